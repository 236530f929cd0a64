// The kernel file for multiboot loaders: ELF32 for the 80386 (System V ABI, chapters 4 and 5) with one segment, which is a whole packed image.

const HEADER = 52;
const SEGMENT = 32;
const EXECUTABLE = 2;
const I386 = 3;
const LOAD = 1;
const ALL_RIGHTS = 7;
/** Multiboot2 3.1.1 wants its header aligned to 8 bytes in the file; in the image it is. */
const OFFSET = 88;

/** `start`, `end`: where it is loaded to, and up to where the memory behind it is zero. */
export function elf32(image, { entry, start, end }) {
  const file = Buffer.alloc(OFFSET + image.length);
  Buffer.from("\x7fELF\x01\x01\x01", "latin1").copy(file);
  file.writeUInt16LE(EXECUTABLE, 16);
  file.writeUInt16LE(I386, 18);
  file.writeUInt32LE(1, 20);
  file.writeUInt32LE(entry, 24);
  file.writeUInt32LE(HEADER, 28); // the segments' table follows
  file.writeUInt16LE(HEADER, 40);
  file.writeUInt16LE(SEGMENT, 42);
  file.writeUInt16LE(1, 44);
  // type, offset, virtual and physical address, bytes in the file and in memory, rights, alignment: none
  for (const [index, value] of [LOAD, OFFSET, start, start, image.length, end - start, ALL_RIGHTS, 1].entries()) {
    file.writeUInt32LE(value, HEADER + 4 * index);
  }
  file.set(image, OFFSET);
  return file;
}
