// A client that meets a daemon at its end: its socket still takes connections, and nobody serves them.
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openSocket } from "../../../control/src/client/opening.js";

it("finds a daemon down that breaks off who waits at its socket, and then is gone", async () => {
  const folder = mkdtempSync(join(tmpdir(), "hvkit-opening-"));
  const path = join(folder, "socket");
  let came = 0;
  const server = createServer((socket) => {
    socket.destroy();
    if (++came === 3) server.close();
  });
  try {
    await new Promise<void>((resolve) => server.listen(path, resolve));
    await expect(openSocket(path)).rejects.toMatchObject({ code: "E_NOT_UP" });
    expect(came).toBe(3);
  } finally {
    server.close();
    rmSync(folder, { recursive: true, force: true });
  }
});

it("says so when a daemon breaks off for good", async () => {
  const folder = mkdtempSync(join(tmpdir(), "hvkit-opening-"));
  const path = join(folder, "socket");
  const server = createServer((socket) => socket.destroy());
  try {
    await new Promise<void>((resolve) => server.listen(path, resolve));
    await expect(openSocket(path)).rejects.toMatchObject({ code: "E_CONNECT" });
  } finally {
    server.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
