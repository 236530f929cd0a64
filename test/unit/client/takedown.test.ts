// `down` with a daemon that does not do what it is told.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type RuntimePaths, runtimePaths } from "../../../control/src/api/paths.js";
import { takeDown } from "../../../control/src/client/takedown.js";
import { writeMark } from "../../../control/src/daemon/lock.js";
import { endProcess, isAlive, markOf, type ProcessMark } from "../../../control/src/native/process.js";

const before = process.env.XDG_RUNTIME_DIR;
let folder: string;
let paths: RuntimePaths;
let hung: ProcessMark | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "hvkit-down-"));
  process.env.XDG_RUNTIME_DIR = folder;
  paths = runtimePaths();
  mkdirSync(paths.folder, { mode: 0o700 });
});
afterEach(async () => {
  if (hung) await endProcess(hung, 0);
  if (before === undefined) delete process.env.XDG_RUNTIME_DIR;
  else process.env.XDG_RUNTIME_DIR = before;
  rmSync(folder, { recursive: true, force: true });
});

/** A process that has the lock, ignores SIGTERM, and does `what` with connections. */
async function hang(what: string): Promise<ProcessMark> {
  const script = `process.on("SIGTERM", () => {}); require("net").createServer(${what}).listen(process.argv[1], () => console.log("ready"))`;
  const child = spawn(process.execPath, ["-e", script, paths.socket], { stdio: ["ignore", "pipe", "inherit"] });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  hung = markOf(child.pid ?? 0);
  writeMark(paths.lock, hung.pid);
  return hung;
}

describe("down", () => {
  it.each([
    ["never answers", "() => {}"],
    ["closes each connection", "(socket) => socket.destroy()"],
  ])("ends a daemon that %s, and removes what it had", async (_what, handler) => {
    const daemon = await hang(handler);
    writeFileSync(paths.log, "");
    expect(await takeDown({ patienceMs: 300 })).toBe("up");
    expect(isAlive(daemon)).toBe(false);
    expect(existsSync(paths.folder)).toBe(false);
  });

  it("with nothing there does nothing", async () => {
    rmSync(paths.folder, { recursive: true });
    expect(await takeDown()).toBe("down");
  });
});
