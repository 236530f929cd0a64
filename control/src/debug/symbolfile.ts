// An ELF file that has nothing but a kernel's symbols, and its call frames: what gdb loads. Sections stand for the kernel's own, without
// their data (System V ABI, chapter 4).
import type { KernelSymbol } from "./kallsyms.js";
import type { Section } from "./vmlinux.js";

const HEADER_BYTES = 64;
const SYMBOL_BYTES = 24;
const SHT = { progbits: 1, symtab: 2, strtab: 3, nobits: 8 };
const SHF_ALLOC = 2;
const SHN_ABS = 0xfff1;
const ET_EXEC = 2;
const EM_X86_64 = 62;
const GLOBAL = 1 << 4;
const STT = { object: 1, func: 2 };

interface Part {
  name: string;
  type: number;
  flags: number;
  address: bigint;
  size: number;
  data?: Buffer;
  link?: number;
  info?: number;
  entry?: number;
}

export function symbolFile(sections: readonly Section[], symbols: readonly KernelSymbol[], frames: Buffer | undefined): Buffer {
  const own = sections.filter(({ flags, address, size }) => flags & SHF_ALLOC && address !== 0n && size > 0);
  const parts: Part[] = [
    { name: "", type: 0, flags: 0, address: 0n, size: 0 },
    ...own.map(({ name, flags, address, size }) => ({ name, type: SHT.nobits, flags, address, size })),
  ];
  const part = (name: string, type: number, data: Buffer, more: Partial<Part> = {}): void => {
    parts.push({ name, type, flags: 0, address: 0n, size: data.length, data, ...more });
  };
  if (frames) part(".debug_frame", SHT.progbits, frames);
  const { table, strings, locals } = symbolTable(own, symbols);
  part(".symtab", SHT.symtab, table, { link: parts.length + 1, info: locals, entry: SYMBOL_BYTES });
  part(".strtab", SHT.strtab, strings);
  const names = stringTable([...parts.map(({ name }) => name), ".shstrtab"]);
  part(".shstrtab", SHT.strtab, names.bytes);
  return assemble(parts, names.offsets);
}

/** Local ones first, as the format wants it. A function reaches to the next symbol: gdb names what is in between by it. */
function symbolTable(sections: readonly Section[], symbols: readonly KernelSymbol[]): { table: Buffer; strings: Buffer; locals: number } {
  const sorted = [...symbols].sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0));
  const sized = sorted.map((symbol, index) => {
    const next = sorted.slice(index + 1, index + 16).find(({ address }) => address > symbol.address);
    const section = sections.findIndex(({ address, size }) => symbol.address >= address && symbol.address < address + BigInt(size));
    return { ...symbol, size: next && section >= 0 ? next.address - symbol.address : 0n, section: section < 0 ? SHN_ABS : section + 1 };
  });
  const isLocal = ({ type }: KernelSymbol): boolean => type === type.toLowerCase();
  const ordered = [...sized.filter(isLocal), ...sized.filter((symbol) => !isLocal(symbol))];
  const { bytes: strings, offsets } = stringTable(ordered.map(({ name }) => name));
  const table = Buffer.alloc((ordered.length + 1) * SYMBOL_BYTES);
  ordered.forEach((symbol, index) => {
    const at = (index + 1) * SYMBOL_BYTES;
    table.writeUInt32LE(offsets[index] ?? 0, at);
    const kind = "tTwW".includes(symbol.type) ? STT.func : STT.object;
    table[at + 4] = (isLocal(symbol) ? 0 : GLOBAL) | kind;
    table.writeUInt16LE(symbol.section, at + 6);
    table.writeBigUInt64LE(symbol.address, at + 8);
    table.writeBigUInt64LE(symbol.size, at + 16);
  });
  return { table, strings, locals: 1 + sized.filter(isLocal).length };
}

function stringTable(texts: readonly string[]): { bytes: Buffer; offsets: number[] } {
  let length = 1;
  const offsets = texts.map((text) => {
    const at = text === "" ? 0 : length;
    if (text !== "") length += Buffer.byteLength(text) + 1;
    return at;
  });
  return {
    bytes: Buffer.from(
      `\0${texts
        .filter((text) => text !== "")
        .map((text) => `${text}\0`)
        .join("")}`,
    ),
    offsets,
  };
}

function assemble(parts: readonly Part[], nameOffsets: readonly number[]): Buffer {
  let at = HEADER_BYTES;
  const places = parts.map(({ data }) => {
    const place = at;
    at = align8(at + (data?.length ?? 0));
    return place;
  });
  const file = Buffer.alloc(at + parts.length * HEADER_BYTES);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  file.writeUInt16LE(ET_EXEC, 0x10);
  file.writeUInt16LE(EM_X86_64, 0x12);
  file.writeUInt32LE(1, 0x14);
  file.writeBigUInt64LE(BigInt(at), 0x28);
  file.writeUInt16LE(HEADER_BYTES, 0x34);
  file.writeUInt16LE(HEADER_BYTES, 0x3a);
  file.writeUInt16LE(parts.length, 0x3c);
  file.writeUInt16LE(parts.length - 1, 0x3e);
  parts.forEach(({ type, flags, address, size, data, link = 0, info = 0, entry = 0 }, index) => {
    const header = at + index * HEADER_BYTES;
    const place = places[index] ?? 0;
    if (data) file.set(data, place);
    file.writeUInt32LE(nameOffsets[index] ?? 0, header);
    file.writeUInt32LE(type, header + 4);
    file.writeBigUInt64LE(BigInt(flags), header + 8);
    file.writeBigUInt64LE(address, header + 0x10);
    file.writeBigUInt64LE(BigInt(place), header + 0x18);
    file.writeBigUInt64LE(BigInt(size), header + 0x20);
    file.writeUInt32LE(link, header + 0x28);
    file.writeUInt32LE(info, header + 0x2c);
    file.writeBigUInt64LE(type === 0 ? 0n : 8n, header + 0x30);
    file.writeBigUInt64LE(BigInt(entry), header + 0x38);
  });
  return file;
}

function align8(value: number): number {
  return (value + 7) & ~7;
}
