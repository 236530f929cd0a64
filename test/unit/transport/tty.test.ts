// What a tty does beyond the transports' contract: raw mode at a rate, one user, and every way in which it cannot be opened.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { HvkitError } from "../../../control/src/errors.js";
import { baudRates } from "../../../control/src/native/termios.js";
import { SocketTransport } from "../../../control/src/transport/socket.js";
import { openTty } from "../../../control/src/transport/tty.js";
import { openPty } from "../../support/pty.js";

const settings = (path: string): string => execFileSync("stty", ["-a", "-F", path], { encoding: "latin1" });
const closed = (line: SocketTransport): Promise<unknown> => new Promise((resolve) => line.onClose(resolve));

function failure(open: () => unknown): { code: string; message: string; hint: string | undefined } {
  try {
    open();
  } catch (error) {
    if (error instanceof HvkitError) return error;
  }
  throw new Error("it was opened");
}

describe.runIf(process.platform === "linux")("a tty", () => {
  it("is raw, at the rate that was asked for, and afterwards as it was", async () => {
    const pty = openPty();
    const keeper = openTty({ path: pty.path }); // a pty whose last user leaves forgets its settings
    keeper.close();
    await closed(keeper);
    const far = new SocketTransport(pty.far());
    const line = openTty({ path: pty.path, baud: 9600 });
    const raw = settings(pty.path);
    expect(raw).toContain("speed 9600 baud");
    for (const off of ["-icanon", "-echo", "-isig", "-ixon", "-icrnl", "-opost", "-crtscts", "-cstopb", "-parenb", "cs8", "clocal"]) {
      expect(raw).toMatch(new RegExp(`(^|[\\s;])${off}($|[\\s;])`, "m"));
    }
    line.close();
    await closed(line);
    expect(settings(pty.path)).toMatch(/(^|[\s;])icanon/m);
    far.close();
  });

  it("takes every rate of its list", async () => {
    const pty = openPty();
    for (const baud of baudRates) {
      const line = openTty({ path: pty.path, baud });
      expect(settings(pty.path)).toContain(`speed ${baud} baud`);
      line.close();
      await closed(line);
    }
    pty.far().destroy();
  });

  it("has one user at a time", async () => {
    const { path, far } = openPty();
    const line = openTty({ path });
    expect(failure(() => openTty({ path }))).toMatchObject({ code: "E_TTY_BUSY", message: `${path} is in use by another program` });
    expect(settings(path)).toContain("-icanon"); // who was refused has changed nothing
    line.close();
    await closed(line);
    openTty({ path }).close();
    far().destroy();
  });

  it("that goes is told, with bytes that wait to be written too", async () => {
    for (const waiting of [0, 100_000]) {
      const { path, far } = openPty();
      const line = openTty({ path });
      const end = closed(line);
      line.onData(() => {});
      line.write(Buffer.alloc(waiting));
      far().destroy();
      expect(await end).toMatchObject({ code: "E_TTY_GONE" });
    }
  });

  it.each([
    ["/dev/no-such-tty", /is not there/],
    ["/dev/null", /is no terminal/],
    ["/dev", /is a folder/],
  ])("%s cannot be one", (path, message) => {
    expect(failure(() => openTty({ path }))).toMatchObject({ code: "E_TTY", message: expect.stringMatching(message) });
  });

  it("is no file, and none of a rate that there is not", () => {
    const folder = mkdtempSync(join(tmpdir(), "hvkit-tty-"));
    const path = join(folder, "file");
    writeFileSync(path, "mine");
    expect(failure(() => openTty({ path }))).toMatchObject({ code: "E_TTY" });
    for (const baud of [0, -1, 115_201, Number.NaN]) {
      const { code, hint } = failure(() => openTty({ path, baud }));
      expect(code).toBe("E_BAUD");
      expect(hint).toContain("115200");
    }
    rmSync(folder, { recursive: true });
  });

  const isRoot = process.getuid?.() === 0;
  if (isRoot) process.stderr.write("tty: the test of one that may not be opened is skipped: root may open all of them\n");
  it.skipIf(isRoot)("that one may not open is told", () => {
    expect(failure(() => openTty({ path: "/dev/console" }))).toMatchObject({ code: "E_TTY", hint: expect.stringContaining("dialout") });
  });
});
