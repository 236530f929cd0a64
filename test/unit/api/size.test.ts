import { describe, expect, it } from "vitest";
import { parseNumber, parseSize, showSize } from "../../../control/src/api/size.js";

describe("sizes", () => {
  it.each([
    ["128M", 2 ** 27],
    ["128m", 2 ** 27],
    ["128MiB", 2 ** 27],
    ["128 MB", 2 ** 27],
    ["1.5G", 1.5 * 2 ** 30],
    ["4096", 4096],
    ["0", 0],
  ])("%s is %d bytes", (text, bytes) => expect(parseSize(text)).toBe(bytes));

  it.each(["", "M", "-1", "1.3K", "128X", "0x10", "1e9", "9999999T"])("%j is none", (text) => {
    expect(() => parseSize(text)).toThrow(expect.objectContaining({ code: "E_SIZE" }));
  });

  it.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1536, "1.50 KiB"],
    [15_500_000, "14.8 MiB"],
    [2 ** 30, "1 GiB"],
    [2 ** 41, "2 TiB"],
  ])("%d is shown as %s", (bytes, text) => expect(showSize(bytes)).toBe(text));

  it("are addresses too, in hexadecimal", () => {
    expect(parseNumber("0x7C00", "address")).toBe(0x7c00);
    expect(parseNumber("4K", "length")).toBe(4096);
    for (const text of ["0xffffffffffffffff", "99999999999999999999"]) {
      expect(() => parseNumber(text, "address")).toThrow(
        expect.objectContaining({ code: "E_NUMBER", message: `address ${text} is too large` }),
      );
    }
    expect(() => parseNumber("7c00", "address")).toThrow(expect.objectContaining({ code: "E_NUMBER" }));
  });
});
