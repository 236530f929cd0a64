// Writes an ELF32 file with a multiboot header, right or wrong as a test asks for it.

export interface Segment {
  address: number;
  bytes: Uint8Array;
  memory: number;
}

const HEADER_BYTES = 52;
const PROGRAM_HEADER_BYTES = 32;
const MAGIC = 0x1badb002;

/** Where the multiboot header stands in the file. */
export const MULTIBOOT_HEADER = 512;
const DATA = 1024;

export function elf32(segments: readonly Segment[], entry: number): Buffer {
  const total = DATA + segments.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const file = Buffer.alloc(total);
  file.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  file.writeUInt16LE(2, 16);
  file.writeUInt16LE(3, 18);
  file.writeUInt32LE(1, 20);
  file.writeUInt32LE(entry, 24);
  file.writeUInt32LE(HEADER_BYTES, 28);
  file.writeUInt16LE(HEADER_BYTES, 40);
  file.writeUInt16LE(PROGRAM_HEADER_BYTES, 42);
  file.writeUInt16LE(segments.length, 44);
  file.writeUInt32LE(MAGIC, MULTIBOOT_HEADER);
  file.writeUInt32LE(0, MULTIBOOT_HEADER + 4);
  file.writeUInt32LE(2 ** 32 - MAGIC, MULTIBOOT_HEADER + 8);
  let at = DATA;
  segments.forEach(({ address, bytes, memory }, index) => {
    const header = HEADER_BYTES + index * PROGRAM_HEADER_BYTES;
    [1, at, address, address, bytes.length, memory, 7, 1].forEach((word, field) => {
      file.writeUInt32LE(word, header + 4 * field);
    });
    file.set(bytes, at);
    at += bytes.length;
  });
  return file;
}
