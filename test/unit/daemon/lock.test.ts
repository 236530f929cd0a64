import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checkRuntimeFolder, type RuntimePaths, runtimePaths } from "../../../control/src/api/paths.js";
import { readMark, removeFolder, runningDaemon, takeLock, writeMark } from "../../../control/src/daemon/lock.js";
import { endProcess, isAlive, markOf } from "../../../control/src/native/process.js";
import { until } from "./harness.js";

let folder: string;
let paths: RuntimePaths;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "hvkit-lock-"));
  paths = runtimePaths({ XDG_RUNTIME_DIR: folder });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** a process of ours that sleeps */
function sleeper() {
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
  return new Promise<typeof child>((resolve) => child.once("spawn", () => resolve(child)));
}

describe("the lock", () => {
  it("is one daemon's", async () => {
    expect(await takeLock(paths)).toBe(false);
    expect(runningDaemon(paths)?.pid).toBe(process.pid);
    await expect(takeLock(paths)).rejects.toMatchObject({ code: "E_ALREADY_UP" });
    removeFolder(paths);
    expect(existsSync(paths.folder)).toBe(false);
  });

  it("of a dead daemon is taken over, and its engine and files go", async () => {
    const engine = await sleeper();
    mkdirSync(paths.guests, { recursive: true, mode: 0o700 });
    mkdirSync(paths.folder, { recursive: true });
    const dead = await sleeper();
    const mark = markOf(dead.pid ?? 0);
    await endProcess(mark);
    writeFileSync(paths.lock, JSON.stringify(mark));
    writeFileSync(paths.socket, "stale");
    writeMark(paths.engine, engine.pid ?? 0);
    expect(await takeLock(paths)).toBe(true);
    expect(existsSync(paths.socket)).toBe(false);
    expect(existsSync(paths.guests)).toBe(false);
    await until(() => !isAlive(markOf(engine.pid ?? 0))); // until its parent, this process, has reaped it, it is there
    expect(readMark(paths.lock)?.pid).toBe(process.pid);
  });

  it("that names a process which is another by now is stale", async () => {
    mkdirSync(paths.folder, { mode: 0o700 });
    writeFileSync(paths.lock, JSON.stringify({ pid: process.pid, start: "1" }));
    expect(runningDaemon(paths)).toBeUndefined();
    await takeLock(paths);
    expect(runningDaemon(paths)?.pid).toBe(process.pid);
  });

  it.each(["", "{", "[]", '{"pid":"x"}', '{"pid":1}', '{"pid":-1}'])("with the text %j is stale", async (text) => {
    mkdirSync(paths.folder, { mode: 0o700 });
    writeFileSync(paths.lock, text);
    await takeLock(paths);
    expect(runningDaemon(paths)?.pid).toBe(process.pid);
  });

  it("is taken by one of several", async () => {
    const results = await Promise.allSettled([takeLock(paths), takeLock(paths), takeLock(paths)]);
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });
});

describe("the runtime folder", () => {
  it("is refused when others may look into it", () => {
    mkdirSync(paths.folder, { mode: 0o755 });
    expect(() => checkRuntimeFolder(paths.folder)).toThrow(
      expect.objectContaining({ code: "E_RUNTIME_FOLDER", message: expect.stringContaining("755") as string }),
    );
  });

  it("is refused when it is a link", () => {
    symlinkSync(folder, paths.folder);
    expect(() => checkRuntimeFolder(paths.folder)).toThrow(expect.objectContaining({ code: "E_RUNTIME_FOLDER" }));
  });

  it("is below XDG_RUNTIME_DIR, else below the temporary folder by user", () => {
    expect(paths.folder).toBe(join(folder, "hvkit"));
    for (const XDG_RUNTIME_DIR of [undefined, "relative", "/nonexistent"]) {
      expect(runtimePaths({ XDG_RUNTIME_DIR }).folder).toBe(join(tmpdir(), `hvkit-${process.getuid?.()}`));
    }
  });

  it("is another one for each instance", () => {
    expect(runtimePaths({ XDG_RUNTIME_DIR: folder, HVKIT_INSTANCE: "two" })).toMatchObject({
      instance: "two",
      folder: join(folder, "hvkit-two"),
    });
    expect(runtimePaths({ XDG_RUNTIME_DIR: folder, HVKIT_INSTANCE: "" })).toEqual(paths);
    for (const HVKIT_INSTANCE of ["../x", "a/b", "-x", "x".repeat(64)]) {
      expect(() => runtimePaths({ XDG_RUNTIME_DIR: folder, HVKIT_INSTANCE })).toThrow(expect.objectContaining({ code: "E_NAME" }));
    }
  });

  it("has a path that a socket can have", () => {
    const long = join(folder, "x".repeat(100));
    mkdirSync(long);
    expect(() => runtimePaths({ XDG_RUNTIME_DIR: long })).toThrow(expect.objectContaining({ code: "E_RUNTIME_FOLDER" }));
  });
});
