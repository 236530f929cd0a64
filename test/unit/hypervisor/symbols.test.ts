import { describe, expect, it } from "vitest";
import { makeSymbolizer, parseSymbols, symbolizerOf } from "../../../control/src/hypervisor/symbols.js";

/** An ELF64 with a symbol table of (name, address, size, type), in the smallest form. */
function elf(symbols: [name: string, address: number, size: number, type: number][]): Uint8Array {
  const names = Buffer.from(`\0${symbols.map(([name]) => `${name}\0`).join("")}`);
  const table = Buffer.alloc(24 * (symbols.length + 1));
  let nameAt = 1;
  for (const [index, [name, address, size, type]] of symbols.entries()) {
    const at = 24 * (index + 1);
    table.writeUInt32LE(nameAt, at);
    table.writeUInt8(type, at + 4);
    table.writeUInt16LE(1, at + 6);
    table.writeBigUInt64LE(BigInt(address), at + 8);
    table.writeBigUInt64LE(BigInt(size), at + 16);
    nameAt += name.length + 1;
  }
  const sections = Buffer.alloc(64 * 3);
  const section = (index: number, type: number, offset: number, size: number, link: number): void => {
    sections.writeUInt32LE(type, 64 * index + 4);
    sections.writeBigUInt64LE(BigInt(offset), 64 * index + 0x18);
    sections.writeBigUInt64LE(BigInt(size), 64 * index + 0x20);
    sections.writeUInt32LE(link, 64 * index + 0x28);
  };
  section(1, 2, 64, table.length, 2);
  section(2, 3, 64 + table.length, names.length, 0);
  const header = Buffer.alloc(64);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  header.writeBigUInt64LE(BigInt(64 + table.length + names.length), 0x28);
  header.writeUInt16LE(64, 0x3a);
  header.writeUInt16LE(3, 0x3c);
  return Buffer.concat([header, table, names, sections]);
}

const FUNC = 2;
const OBJECT = 1;
const file = elf([
  ["poll", 0x2000, 0x40, FUNC],
  ["vmx_run", 0x1000, 0, 0],
  ["vmx_run.resume", 0x1010, 0, 0],
  ["table", 0x1020, 8, OBJECT],
]);

describe("symbols", () => {
  it("give a routine's name and offset; local labels and data do not count", () => {
    const symbolize = makeSymbolizer(parseSymbols(file));
    expect([0x1000n, 0x1025n, 0x2000n, 0x2040n].map(symbolize)).toEqual(["vmx_run", "vmx_run+25h", "poll", "poll+40h"]);
  });

  it("do not name what no symbol covers", () => {
    const symbolize = makeSymbolizer(parseSymbols(file));
    expect([0xfffn, 0x2041n, 0xffff_ffff_8000_0000n].map(symbolize)).toEqual([undefined, undefined, undefined]);
    expect(makeSymbolizer([])(1n)).toBeUndefined();
  });

  it("of a file that is cut or is no ELF are refused at every length", () => {
    for (let length = 0; length < file.length; length++) {
      expect(() => parseSymbols(file.subarray(0, length)), `${length}`).toThrow(expect.objectContaining({ code: "E_ELF" }));
    }
  });

  it("of a file that is not there name nothing", () => {
    expect(symbolizerOf("/no/such/file")(1n)).toBeUndefined();
    expect(symbolizerOf(undefined)(1n)).toBeUndefined();
  });
});
