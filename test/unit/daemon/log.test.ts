import { existsSync } from "node:fs";
import { expect, it } from "vitest";
import { openLog } from "../../../control/src/daemon/log.js";

it.skipIf(!existsSync("/dev/full"))("a full disk costs lines of the log, not the daemon", async () => {
  const log = openLog("/dev/full");
  for (let line = 0; line < 2000; line++) log.info({ line }, "a line that is long enough to pass the limit of what waits");
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(log.level).toBe("info");
});
