// Sections of an ELF64 file, little endian (System V ABI, chapter 4): what the symbols of a kernel are taken from.
import { HvkitError } from "../errors.js";

export interface Section {
  name: string;
  type: number;
  flags: number;
  address: bigint;
  size: number;
  /** empty of sections without data in the file */
  data: Buffer;
}

const SHT_NOBITS = 8;
const HEADER_BYTES = 64;

/** Errors: E_KERNEL_SYMBOLS. */
export function readSections(file: Uint8Array): Section[] {
  const view = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  if (view.length < HEADER_BYTES || view.readUInt32BE(0) !== 0x7f454c46 || view[4] !== 2 || view[5] !== 1)
    throw bad("it is no little-endian ELF64");
  const start = Number(view.readBigUInt64LE(0x28));
  const count = view.readUInt16LE(0x3c);
  if (start + count * HEADER_BYTES > view.length) throw bad("its section headers lie outside of the file");
  const headers = Array.from({ length: count }, (_, index) =>
    view.subarray(start + index * HEADER_BYTES, start + (index + 1) * HEADER_BYTES),
  );
  const read = (header: Buffer): Section & { nameAt: number } => {
    const type = header.readUInt32LE(4);
    const size = Number(header.readBigUInt64LE(0x20));
    const offset = Number(header.readBigUInt64LE(0x18));
    if (type !== SHT_NOBITS && offset + size > view.length) throw bad("a section lies outside of the file");
    const data = type === SHT_NOBITS ? Buffer.alloc(0) : view.subarray(offset, offset + size);
    const flags = Number(header.readBigUInt64LE(8));
    return { name: "", nameAt: header.readUInt32LE(0), type, flags, address: header.readBigUInt64LE(0x10), size, data };
  };
  const sections = headers.map(read);
  const names = sections[view.readUInt16LE(0x3e)]?.data ?? Buffer.alloc(0);
  return sections.map(({ nameAt, ...section }) => {
    const end = names.indexOf(0, nameAt);
    return { ...section, name: names.subarray(nameAt, end < 0 ? names.length : end).toString("latin1") };
  });
}

function bad(why: string): HvkitError {
  return new HvkitError("E_KERNEL_SYMBOLS", `the kernel's symbols cannot be read: ${why}`, {
    hint: "Give gdb a file with symbols: --symbols FILE, or none: --no-symbols.",
  });
}
