import { describe, expect, it } from "vitest";
import { crc32c } from "../../../control/src/link/crc32c.js";

const of = (make: (index: number) => number, length = 32): number => crc32c(Uint8Array.from({ length }, (_, index) => make(index)));

describe("CRC-32C", () => {
  // RFC 3720 B.4, whose bytes are in the order of the line: the lowest first.
  it("has the RFC's values", () => {
    expect(of(() => 0)).toBe(0x8a9136aa);
    expect(of(() => 0xff)).toBe(0x62a8ab43);
    expect(of((index) => index)).toBe(0x46dd794e);
    expect(of((index) => 31 - index)).toBe(0x113fdb5c);
  });

  it("has the check value of the catalogues, and 0 for nothing", () => {
    expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
    expect(crc32c(new Uint8Array())).toBe(0);
  });
});
