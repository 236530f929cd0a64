// What fits a terminal: text that is cut, tables, and which name was meant.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { didYouMean, nearest } from "../../../control/src/api/nearest.js";
import { table } from "../../../control/src/cli/output.js";
import { cut, pad, textWidth } from "../../../control/src/cli/terminal.js";

describe("text on a terminal", () => {
  const colours = (text: string): string[] =>
    text
      .split("\u001b")
      .slice(1)
      .map((part) => part.slice(0, part.indexOf("m")));

  it.each([
    ["", 0],
    ["abc", 3],
    ["e\u0301", 1],
    ["日本", 4],
    ["\x1b[1mbold\x1b[0m", 4],
    ["🚀", 2],
  ])("%j takes %d cells", (text, width) => expect(textWidth(text)).toBe(width));

  it.each([
    ["abcdef", 6, "abcdef"],
    ["abcdef", 5, "abcd…"],
    ["abcdef", 1, "…"],
    ["abcdef", 0, ""],
    ["日本語", 4, "日…"],
    ["\x1b[1mabcdef\x1b[0m", 4, "\x1b[1mabc…\x1b[0m"],
  ])("%j is cut to %d", (text, width, expected) => expect(cut(text, width)).toBe(expected));

  it("is never wider than its room, and ends its colours", () => {
    const word = fc.oneof(fc.string(), fc.constantFrom("日本", "\x1b[1m", "\x1b[0m", "e\u0301", "🚀"));
    fc.assert(
      fc.property(fc.array(word), fc.nat(30), (words, width) => {
        const text = words.join("");
        expect(textWidth(cut(text, width))).toBeLessThanOrEqual(width);
        if (width > 0) expect(colours(cut(text, width))).toEqual(colours(text));
        expect(textWidth(pad(text, width))).toBe(Math.max(width, textWidth(text)));
      }),
    );
  });
});

describe("a table", () => {
  const rows = [
    ["0123456789ab", "web", "linux", "running (idle) for 12 seconds"],
    ["ba9876543210", "a-name-that-is-rather-long", "sector", "paused"],
  ];
  const headings = ["ID", "NAME", "IMAGE", "STATE"];

  it("has all of its text where there is no terminal, and where it has room", () => {
    expect(table(headings, rows)).toContain("a-name-that-is-rather-long   sector   paused");
    expect(table(headings, rows, 200)).toBe(table(headings, rows));
  });

  it("is cut to the terminal's width, the widest columns first", () => {
    expect(table(headings, rows, 60)).toBe(
      [
        "ID             NAME               IMAGE    STATE",
        "0123456789ab   web                linux    running (idle) f…",
        "ba9876543210   a-name-that-is-…   sector   paused",
      ].join("\n"),
    );
    for (const room of [1, 10, 20, 40, 79]) {
      for (const line of table(headings, rows, room).split("\n")) expect(textWidth(line)).toBeLessThanOrEqual(room);
    }
  });

  it("keeps whole what is marked so: others are cut, and then left out", () => {
    const priorities = { whole: ["ID", "NAME"], spare: ["IMAGE"] };
    expect(table(headings, rows, 62, priorities).split("\n")).toEqual([
      "ID             NAME                         IMAGE    STATE",
      "0123456789ab   web                          linux    running …",
      "ba9876543210   a-name-that-is-rather-long   sector   paused",
    ]);
    expect(table(headings, rows, 52, priorities).split("\n")).toEqual([
      "ID             NAME                         STATE",
      "0123456789ab   web                          running…",
      "ba9876543210   a-name-that-is-rather-long   paused",
    ]);
    // What is last, and whole, goes on in the next line.
    expect(table(headings, rows, 52, { whole: ["STATE"], spare: ["IMAGE", "NAME"] }).split("\n")).toEqual([
      "ID         NAME       STATE",
      "0123456…   web        running (idle) for 12 seconds",
      "ba98765…   a-name-…   paused",
    ]);
  });
});

describe("a mistyped name", () => {
  it.each([
    ["wbe", "web"],
    ["linxu", "linux"],
    ["Linux", "linux"],
    ["before-upgrde", "before-upgrade"],
    ["x", undefined],
    ["database", undefined],
    ["", undefined],
  ])("%j: %j was meant", (word, meant) => expect(nearest(word, ["web", "linux", "before-upgrade"])).toBe(meant));

  it("is asked about in a hint", () => {
    expect(didYouMean("linxu", ["linux"])).toBe("Did you mean 'linux'? ");
    expect(didYouMean("clock", ["linux"])).toBe("");
  });
});
