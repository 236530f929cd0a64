import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { showLogLine } from "../../../control/src/cli/daemonlog.js";
import { openLog } from "../../../control/src/daemon/log.js";
import { LogFile, olderHalf } from "../../../control/src/daemon/logfile.js";
import { Harness } from "./harness.js";

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "hvkit-log-"));
  path = join(folder, "daemon.log");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const lines = (file = path): Record<string, unknown>[] =>
  readFileSync(file, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe("the daemon's log", () => {
  it("is pino's lines in a file that only its user reads", () => {
    openLog(path).info({ guest: "web" }, "guest started");
    expect(lines()).toEqual([{ level: 30, time: expect.any(String) as string, guest: "web", msg: "guest started" }]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it("has a limit: the older half goes", () => {
    const log = openLog(path, { limit: 20_000 });
    for (let number = 0; number < 1000; number++) log.info({ number }, "a line");
    expect(readdirSync(folder).sort()).toEqual(["daemon.log", "daemon.log.1"]);
    expect(statSync(path).size).toBeLessThanOrEqual(10_000);
    expect(statSync(olderHalf(path)).size).toBeLessThanOrEqual(10_000);
    const numbers = [...lines(olderHalf(path)), ...lines()].map(({ number }) => Number(number));
    expect(numbers).toEqual(Array.from(numbers, (_, index) => 1000 - numbers.length + index));
    expect(numbers.length).toBeGreaterThan(100);
  });

  it("on a full disk loses lines, counts them, and goes on when there is room", () => {
    let room = 30;
    const file = new LogFile(path, {
      write: (fd, bytes, offset) => {
        const count = Math.min(room, bytes.length - offset);
        if (count === 0) throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
        room -= count;
        return writeSync(fd, bytes, offset, count);
      },
    });
    file.write('{"first":1}\n');
    for (let count = 0; count < 5; count++) file.write('{"cut off":"a line that is too long"}\n');
    expect(file.lost).toBe(5);
    room = 10_000;
    file.write('{"last":1}\n');
    const text = readFileSync(path, "utf8").trimEnd().split("\n");
    expect(text[0]).toBe('{"first":1}');
    expect(text[1]).toBe('{"cut off":"a line'); // where the room ended
    expect(JSON.parse(text[2] ?? "")).toMatchObject({ lines: 5, msg: expect.stringContaining("lost") as string });
    expect(text.slice(3)).toEqual(['{"last":1}']);
    file.close();
  });

  it("on a full file system costs the daemon nothing", async ({ skip }) => {
    const full = join(folder, "full");
    mkdirSync(full);
    if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", full]).status !== 0) {
      skip("only root may mount a small file system");
    }
    try {
      const log = openLog(join(full, "daemon.log"));
      const written = (): number => readFileSync(join(full, "daemon.log"), "utf8").split("\n").length;
      const harness = await Harness.start(undefined, { log });
      try {
        for (let line = 0; line < 2000; line++) log.info({ line }, "a line that is one of many");
        expect(written()).toBeGreaterThan(100);
        expect(written()).toBeLessThan(2000);
        const client = await harness.client();
        await harness.call(client, "run", { image: "sector", name: "web" });
        await harness.call(client, "rm", { guest: "web", force: true });
        log.info("after");
      } finally {
        await harness.stop();
      }
    } finally {
      spawnSync("umount", ["-l", full]); // the log is open still
    }
  });

  it("is shown as lines for people", () => {
    expect(showLogLine('{"level":30,"time":"2026-01-01T00:00:00.000Z","socket":"/run/s","tcp":{"port":1},"msg":"ready"}')).toBe(
      '2026-01-01T00:00:00.000Z info ready socket=/run/s tcp={"port":1}',
    );
    expect(showLogLine('{"level":50,"time":"T","err":{"message":"no","code":"E_X"},"msg":"failed"}')).toBe("T error failed: E_X: no");
    expect(showLogLine('{"cut off')).toBe('{"cut off');
  });

  it.skipIf(!existsSync("/dev/full"))("writes to no file that takes nothing", () => {
    const file = new LogFile("/dev/full");
    for (let line = 0; line < 100; line++) file.write("x\n");
    expect(file.lost).toBe(100);
    file.close();
  });

  it("refuses a level that there is not", () => {
    const before = process.env.HVKIT_LOG_LEVEL;
    process.env.HVKIT_LOG_LEVEL = "loud";
    try {
      expect(() => openLog(path)).toThrow(expect.objectContaining({ code: "E_USAGE" }));
    } finally {
      if (before === undefined) delete process.env.HVKIT_LOG_LEVEL;
      else process.env.HVKIT_LOG_LEVEL = before;
    }
  });
});
