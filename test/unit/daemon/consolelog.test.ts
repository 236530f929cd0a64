import { mkdtempSync, readdirSync, rmSync, statSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fc, test } from "@fast-check/vitest";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConsoleBudget } from "../../../control/src/daemon/consolebudget.js";
import { ConsoleLog, type ConsoleLogOptions } from "../../../control/src/daemon/consolelog.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "hvkit-log-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const text = (log: ConsoleLog, offset = 0, length = 1000): string => Buffer.from(log.read(offset, length).data).toString();

describe("a console's log", () => {
  it("makes no file before the first byte", () => {
    const log = new ConsoleLog(folder, "c");
    expect(text(log)).toBe("");
    expect(readdirSync(folder)).toEqual([]);
  });

  it("keeps the last part, between half its limit and all of it", () => {
    const log = new ConsoleLog(folder, "c", { limit: 8 });
    log.append(Buffer.from("0123456789"));
    expect([log.start, log.end, text(log)]).toEqual([4, 10, "456789"]);
    log.append(Buffer.from("ab"));
    expect([log.start, log.end, text(log)]).toEqual([4, 12, "456789ab"]);
    log.append(Buffer.from("c"));
    expect([log.start, log.end, text(log)]).toEqual([8, 13, "89abc"]);
    expect(text(log, 10, 2)).toBe("ab");
    expect(log.read(0, 1).offset).toBe(8);
    expect(text(log, 99)).toBe("");
  });

  it("is for its user alone, and goes with the guest", () => {
    const log = new ConsoleLog(folder, "c", { limit: 8 });
    log.append(Buffer.from("0123456"));
    expect(readdirSync(folder).map((name) => statSync(join(folder, name)).mode & 0o777)).toEqual([0o600, 0o600]);
    log.remove();
    expect(readdirSync(folder)).toEqual([]);
  });

  it("takes what a full disk does not as lost, says so once, and goes on", () => {
    const said: unknown[] = [];
    let room = 5;
    const write: ConsoleLogOptions["write"] = (file, bytes, offset, length, position) => {
      if (room === 0) throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
      const count = writeSync(file, bytes, offset, Math.min(length, room, 3), position); // short counts, too
      room -= count;
      return count;
    };
    const log = new ConsoleLog(folder, "c", { limit: 8, write, onFailure: (error) => said.push(error) });
    expect(log.append(Buffer.from("01234567"))).toBe(5);
    expect(log.append(Buffer.from("xx"))).toBe(0);
    expect([log.end, log.lost, text(log)]).toEqual([5, 5, "01234"]);
    expect(said).toEqual([expect.objectContaining({ code: "E_DISK_FULL" })]);
    room = 100;
    expect(log.append(Buffer.from("abc"))).toBe(3);
    expect([log.end, log.lost, text(log)]).toEqual([8, 5, "01234abc"]);
    room = 0; // when a half's turn has come, what it had is gone before the write fails
    expect(log.append(Buffer.from("d"))).toBe(0);
    expect([log.start, text(log), said.length]).toEqual([4, "4abc", 2]);
  });

  it("takes no more than its part of what all logs may have: the largest gives way", () => {
    const budget = new ConsoleBudget(24);
    const [greedy, modest] = ["a", "b"].map((name) => new ConsoleLog(folder, name, { limit: 16, budget })) as [ConsoleLog, ConsoleLog];
    greedy.append(Buffer.from("0123456789abcdef"));
    modest.append(Buffer.from("modest!!"));
    expect([greedy.kept, modest.kept, budget.used]).toEqual([16, 8, 24]);
    modest.append(Buffer.from("more"));
    expect([text(greedy), text(modest), budget.used]).toEqual(["89abcdef", "modest!!more", 20]);
    greedy.append(Buffer.from("ghijk"));
    expect([text(greedy), text(modest), budget.used]).toEqual(["89abcdefghijk", "more", 17]);
    modest.remove();
    expect([budget.used, readdirSync(folder)]).toEqual([13, ["a.0", "a.1"]]);
  });

  test.prop({ parts: fc.array(fc.string({ maxLength: 30, unit: "binary-ascii" }), { maxLength: 20 }) })(
    "reads back the end of all that was written",
    ({ parts }) => {
      const log = new ConsoleLog(folder, "p", { limit: 16 });
      for (const part of parts) log.append(Buffer.from(part));
      const all = parts.join("");
      expect(log.end).toBe(all.length);
      expect(text(log)).toBe(all.slice(log.start));
      expect(log.end - log.start).toBeGreaterThanOrEqual(Math.min(all.length, 8));
      log.remove();
    },
  );
});
