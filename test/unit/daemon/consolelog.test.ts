import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fc, test } from "@fast-check/vitest";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConsoleLog } from "../../../control/src/daemon/consolelog.js";

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
    const log = new ConsoleLog(folder, "c", 8);
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
    const log = new ConsoleLog(folder, "c", 8);
    log.append(Buffer.from("0123456"));
    expect(readdirSync(folder).map((name) => statSync(join(folder, name)).mode & 0o777)).toEqual([0o600, 0o600]);
    log.remove();
    expect(readdirSync(folder)).toEqual([]);
  });

  test.prop({ parts: fc.array(fc.string({ maxLength: 30, unit: "binary-ascii" }), { maxLength: 20 }) })(
    "reads back the end of all that was written",
    ({ parts }) => {
      const log = new ConsoleLog(folder, "p", 16);
      for (const part of parts) log.append(Buffer.from(part));
      const all = parts.join("");
      expect(log.end).toBe(all.length);
      expect(text(log)).toBe(all.slice(log.start));
      expect(log.end - log.start).toBeGreaterThanOrEqual(Math.min(all.length, 8));
      log.remove();
    },
  );
});
