// Two traces held against each other, their files, and what is chosen of one.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { TracedExit } from "../../../control/src/api/trace.js";
import { showComparison, showDiff } from "../../../control/src/cli/tracediff.js";
import { compareTraces } from "../../../control/src/trace/diff.js";
import { headerOf, lineOf, readTrace } from "../../../control/src/trace/file.js";
import { parseHexList, parseReasons, passes } from "../../../control/src/trace/filter.js";

const folder = mkdtempSync(join(tmpdir(), "hvkit-trace-"));
afterAll(() => rmSync(folder, { recursive: true }));

const exit = (index: number, fields: Partial<TracedExit> = {}): TracedExit => ({
  index,
  timeNs: String(index * 1000),
  reason: "io-out",
  rip: `0x${(0x1000 + index).toString(16)}`,
  verdict: "resume",
  port: 0x3f8,
  bytes: 1,
  value: "0x41",
  raw: { reason: "0x7b", qualification: "0x3f80010" },
  ...fields,
});
const halt = (index: number): TracedExit => ({
  index,
  timeNs: "0",
  reason: "hlt",
  rip: "0x9",
  verdict: "halt",
  raw: { reason: "0x78", qualification: "0x0" },
});
const three = [exit(0), exit(1), exit(2)];

describe("comparison", () => {
  test("time, number, verdict and what the CPU told do not count", () => {
    const other = three.map((one) => ({ ...one, index: one.index + 5, timeNs: "9", raw: { reason: "0x1e", qualification: "0x3f80000" } }));
    expect(compareTraces(three, other)).toMatchObject({
      alike: 3,
      difference: null,
      leftOut: { a: 0, b: 0 },
      lost: { a: false, b: false },
    });
  });

  test.each([
    ["rip", { rip: "0x7" }],
    ["value", { value: "0x42" }],
    ["port", { port: 0x2f8 }],
    ["reason", { reason: "io-in" }],
  ] as const)("the first difference is found, and told: %s", (field, change) => {
    const found = compareTraces(three, [exit(0), { ...exit(1), ...change }, exit(2)]);
    expect(found).toMatchObject({ alike: 1, difference: { alike: 1, a: { index: 1 }, b: { index: 1 }, differs: [field] } });
    expect(found.before.map(({ index }) => index)).toEqual([0]);
  });

  test("what only one vendor exits for, or only the clock brings, is left out", () => {
    const a = [exit(0), halt(1), { ...exit(2), rip: "0x1001" }];
    const b = [{ ...exit(0) }, { ...exit(1), rip: "0x1001" }, { ...halt(2), reason: "cr-access" }];
    expect(compareTraces(a, b)).toMatchObject({ alike: 2, difference: null, leftOut: { a: 1, b: 1 } });
  });

  test("what a clock reads may differ, what else is read may not", () => {
    const read = (port: number, value: string): TracedExit[] => [exit(0, { reason: "io-in", port, value })];
    expect(compareTraces(read(0x40, "0x1"), read(0x40, "0x2")).difference).toBeNull();
    expect(compareTraces(read(0x3fd, "0x1"), read(0x3fd, "0x2")).difference).toMatchObject({ differs: ["value"] });
  });

  test("a trace that ends before the other parts from it", () => {
    expect(compareTraces(three, three.slice(0, 2))).toMatchObject({ alike: 2, difference: { a: { index: 2 }, b: null, differs: ["end"] } });
    expect(compareTraces([], three).difference).toMatchObject({ a: null, b: { index: 0 } });
  });

  test("from a gap on nothing is said; what was chosen has none", () => {
    const gap = [exit(0), exit(2, { value: "0x99" })];
    expect(compareTraces(three, gap)).toMatchObject({ alike: 1, difference: null, lost: { a: false, b: true } });
    expect(compareTraces(gap, gap, true)).toMatchObject({ alike: 2, difference: null, lost: { a: false, b: false } });
    expect(compareTraces([exit(0), exit(2)], gap, true).difference).toMatchObject({ alike: 1, differs: ["value"] });
  });
});

describe("file", () => {
  const path = join(folder, "a.jsonl");
  const header = headerOf({ name: "web", vendor: "AMD SVM" });
  const write = (...lines: string[]): void => writeFileSync(path, lines.join(""));

  test("is read as it was written", () => {
    write(lineOf(header), ...three.map(lineOf));
    expect(readTrace(path)).toEqual({ path, header, exits: three });
  });

  test.each([
    ["is empty", [""], "line 1"],
    ["is of another kind", ['{"a":1}\n'], "line 1"],
    ["is cut off", [lineOf(header), lineOf(exit(0)).slice(0, 40)], "line 2 is not JSON"],
    ["has an exit of another form", [lineOf(header), '{"index":1}\n'], "line 2: timeNs"],
    ["has them in disorder", [lineOf(header), lineOf(exit(1)), lineOf(exit(1))], "line 3"],
  ])("one that %s is refused, with the line", (_what, lines, where) => {
    write(...lines);
    expect(() => readTrace(path)).toThrow(expect.objectContaining({ code: "E_TRACE_FILE", message: expect.stringContaining(where) }));
  });

  test("one that is not there", () => {
    expect(() => readTrace(join(folder, "none"))).toThrow(expect.objectContaining({ code: expect.stringMatching(/^E_/) }));
  });

  test("two that part are shown with what came before, and end with 1", () => {
    const other = join(folder, "b.jsonl");
    write(lineOf(header), ...three.map(lineOf));
    const changed = [exit(0), exit(1), exit(2, { value: "0x42" })];
    writeFileSync(other, [lineOf({ ...header, vendor: "Intel VMX" }), ...changed.map(lineOf)].join(""));
    const [a, b] = [readTrace(path), readTrace(other)];
    expect(showComparison({ ...a, path: "a" }, { ...b, path: "b" }, compareTraces(a.exits, b.exits))).toMatchInlineSnapshot(`
      "A  a: 3 exits of web (AMD SVM)
      B  b: 3 exits of web (Intel VMX)
      they part after 2 exits that are alike, in: value

              0              1000  OUT 3F8h 41h 'A'
              1              1001  OUT 3F8h 41h 'A'
      A       2              1002  OUT 3F8h 41h 'A'
      B       2              1002  OUT 3F8h 42h 'B'"
    `);
    expect(showComparison({ ...a, path: "a" }, { ...a, path: "a" }, compareTraces(a.exits, a.exits))).toMatchInlineSnapshot(`
      "A  a: 3 exits of web (AMD SVM)
      B  a: 3 exits of web (AMD SVM)
      they are alike: 3 exits"
    `);
    expect([showDiff(path, path, true), showDiff(path, other, true)]).toEqual([0, 1]);
    const late = { ...a, path: "a", exits: [exit(7)] };
    const chosen = { ...late, header: headerOf({ name: "web", vendor: "AMD SVM" }, true) };
    expect(showComparison(late, chosen, compareTraces(late.exits, chosen.exits, true))).toMatchInlineSnapshot(`
      "A  a: 1 exits of web (AMD SVM)
      B  a: 1 exits of web (AMD SVM)
      a begins with exit 7: what was before is not in it
      a has only exits that were chosen: none is known to be missing
      they are alike: 1 exits"
    `);
  });
});

describe("filter", () => {
  test("by reason, its families, port, MSR", () => {
    const [out, write] = [exit(0), { ...halt(1), reason: "wrmsr", msr: "0xc0000080" }];
    expect(parseReasons("io,cpuid")).toEqual(["io-in", "io-out", "io-string", "cpuid"]);
    expect(parseHexList("3f8,0x60,80h", "--port", 0xffff)).toEqual([0x3f8, 0x60, 0x80]);
    expect([out, write].map((one) => passes(one, { reasons: parseReasons("msr") }))).toEqual([false, true]);
    expect([out, write].map((one) => passes(one, { ports: [0x3f8] }))).toEqual([true, false]);
    expect([out, write].map((one) => passes(one, { msrs: [0xc0000080] }))).toEqual([false, true]);
    expect(passes(out, { reasons: ["io-out"], ports: [0x60] })).toBe(false);
  });

  test.each([
    () => parseReasons("cpuid,nothing"),
    () => parseHexList("10000", "--port", 0xffff),
    () => parseHexList("zz", "--msr", 0xffff_ffff),
    () => parseHexList("", "--port", 0xffff),
  ])("what does not exist is wrong usage", (parse) => {
    expect(parse).toThrow(expect.objectContaining({ code: "E_USAGE" }));
  });
});
