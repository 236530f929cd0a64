// Names for the hypervisor's addresses, from the symbol table of build/hv.elf (ELF64, little endian; System V ABI, chapter 4).
// Reads only what it needs: section headers, the one SHT_SYMTAB and its string table. Used by panic reports.
import { readFileSync } from "node:fs";
import { HvkitError } from "../errors.js";

/** `name+1A` (offset in hex) for an address, or undefined when no symbol covers it. */
export type Symbolizer = (address: bigint) => string | undefined;

interface Symbol {
  address: bigint;
  size: bigint;
  name: string;
}

const SHT_SYMTAB = 2;
const SYMBOL_BYTES = 24;
const STT_NOTYPE = 0;
const STT_FUNC = 2;
/** A symbol without a size (NASM gives none) covers at most this many bytes: farther off the name would mislead. */
const MAX_REACH = 0x10000n;

/** Parses the symbol table. Throws E_ELF for anything that is not a whole ELF64 with symbols. */
export function parseSymbols(file: Uint8Array): Symbol[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < 64 || view.getUint32(0, false) !== 0x7f454c46 || file[4] !== 2 || file[5] !== 1)
    throw bad("it is not a little-endian ELF64");
  const headers = Number(view.getBigUint64(0x28, true));
  const headerBytes = view.getUint16(0x3a, true);
  const count = view.getUint16(0x3c, true);
  if (headerBytes < 64 || headers + headerBytes * count > file.length) throw bad("its section headers lie outside of the file");

  const section = (index: number): { type: number; offset: number; size: number; link: number } => {
    if (index >= count) throw bad(`section ${index} does not exist`);
    const at = headers + headerBytes * index;
    const offset = Number(view.getBigUint64(at + 0x18, true));
    const size = Number(view.getBigUint64(at + 0x20, true));
    return { type: view.getUint32(at + 4, true), offset, size, link: view.getUint32(at + 0x28, true) };
  };
  const table = Array.from({ length: count }, (_, index) => section(index)).find(({ type }) => type === SHT_SYMTAB);
  if (!table) throw bad("it has no symbol table");
  const names = section(table.link);
  if (table.offset + table.size > file.length || names.offset + names.size > file.length)
    throw bad("its symbol table lies outside of the file");

  const symbols: Symbol[] = [];
  for (let at = table.offset; at + SYMBOL_BYTES <= table.offset + table.size; at += SYMBOL_BYTES) {
    const type = view.getUint8(at + 4) & 15;
    const defined = view.getUint16(at + 6, true) !== 0;
    const name = stringAt(file, names.offset + view.getUint32(at, true), names.offset + names.size);
    if (!defined || name === "" || (type !== STT_FUNC && type !== STT_NOTYPE)) continue;
    symbols.push({ address: view.getBigUint64(at + 8, true), size: view.getBigUint64(at + 16, true), name });
  }
  return symbols.sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0));
}

/** A symbolizer over sorted symbols. NASM's local labels (`routine.label`) come out as their routine with an offset. */
export function makeSymbolizer(symbols: readonly Symbol[]): Symbolizer {
  const routines = symbols.filter(({ name }) => !/\.|^\$|^L\d/.test(name.slice(1)));
  return (address) => {
    let low = 0;
    let high = routines.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (routines[middle].address <= address) low = middle + 1;
      else high = middle;
    }
    const symbol = routines[low - 1];
    if (!symbol) return undefined;
    const offset = address - symbol.address;
    if (offset >= (symbol.size > 0n ? symbol.size + 1n : MAX_REACH)) return undefined;
    return offset === 0n ? symbol.name : `${symbol.name}+${offset.toString(16).toUpperCase()}h`;
  };
}

/** A symbolizer that reads the file at its first use: most sessions never panic. A file that cannot be read names nothing. */
export function symbolizerOf(path: string | undefined): Symbolizer {
  let loaded: Symbolizer | undefined;
  return (address) => {
    if (path === undefined) return undefined;
    loaded ??= load(path);
    return loaded(address);
  };
}

function load(path: string): Symbolizer {
  try {
    return makeSymbolizer(parseSymbols(readFileSync(path)));
  } catch {
    return () => undefined;
  }
}

function stringAt(file: Uint8Array, from: number, end: number): string {
  const stop = file.indexOf(0, from);
  return from >= end || stop < 0 || stop > end ? "" : Buffer.from(file.buffer, file.byteOffset + from, stop - from).toString("latin1");
}

function bad(what: string): HvkitError {
  return new HvkitError("E_ELF", `The file has no symbols that can be read: ${what}.`);
}
