import { describe, expect, it } from "vitest";
import { exitCodeOf } from "../../../control/src/cli/attach.js";
import { addFile } from "../../../control/src/cli/commands/run.js";

describe("run's exit code", () => {
  const end = (code: string, value = "0x0") => ({ code, text: "", value, rip: "0x0" });
  it.each([
    ["exited", end("power-off"), 0],
    ["exited", end("debug-exit", "0x1"), 1],
    ["exited", end("debug-exit", "0x21"), 33],
    ["exited", end("killed"), 1],
    ["lost", end("lost"), 1],
    ["exited", null, 1],
  ] as const)("for %s, %o is %d", (state, ended, code) => expect(exitCodeOf({ state, end: ended })).toBe(code));
});

describe("--add", () => {
  it.each([
    ["/tmp/a", "/tmp/a", "/add/a"],
    ["/tmp/a:/bin/b", "/tmp/a", "/bin/b"],
    ["/tmp/a:b:/bin/c", "/tmp/a:b", "/bin/c"],
    [`${import.meta.filename}`, import.meta.filename, "/add/attach.test.ts"],
  ])("%s", (text, file, path) => expect(addFile(text, [])).toEqual([{ file, path }]));

  it("can be said again", () => expect(addFile("/b", addFile("/a", []))).toHaveLength(2));
});
