// The linked image (hv.bin, the bytes from 1 MiB to __data_end) -> the file that is loaded to 1 MiB, from which hv/boot/unpack.asm makes the same
// bytes again. hv/boot/hv.ld has the names:
//
//   to __plain_end                       as it is: headers, entry, unpacking
//   bytes u32, CRC-32C u32               of the block (struct packed of hv/boot/boot.inc)
//   the block, zeros behind it           __packed_start to __data_end: calls made absolute, then LZ4
import { packLz4 } from "./lz4.mjs";
import { BuildError } from "./run.mjs";

const WORD = 8;
const CALL_REL32 = 0xe8;
const CRC32C = 0x82f63b78;

/** The symbols of hv.elf that say where things lie in the image. */
export const symbols = [
  "__image_start",
  "__plain_end",
  "__packed_start",
  "__code_end",
  "__data_end",
  "__spare_start",
  "__image_end",
  "call_reach",
];

/** `at`: the symbols' values. Errors: BuildError, when what unpack.asm relies on does not hold. */
export function packImage(bytes, at) {
  const plain = bytes.subarray(0, at.__plain_end - at.__image_start);
  const rest = Uint8Array.from(bytes.subarray(at.__packed_start - at.__image_start));
  if (rest.length !== at.__data_end - at.__packed_start) throw new BuildError("pack: the linked image does not end where __data_end is");
  absoluteCalls(rest.subarray(0, at.__code_end - at.__packed_start), at.__packed_start, at.call_reach);
  const block = padded(packLz4(rest));
  // The block is moved to the bss's end, past what is in use there, and then overwritten where it was loaded.
  if (block.length > at.__image_end - at.__spare_start) throw new BuildError(`pack: the bss has no room for ${block.length} packed bytes`);
  const file = new Uint8Array(plain.length + WORD + block.length);
  if (at.__image_start + file.length > at.__data_end) throw new BuildError("pack: the packed image is larger than what it unpacks to");
  file.set(plain);
  const words = new DataView(file.buffer, plain.length, WORD);
  words.setUint32(0, block.length, true);
  words.setUint32(4, crc32c(block), true);
  file.set(block, plain.length + WORD);
  return file;
}

/** The block's end is a distance of 0. */
function padded(bytes) {
  const out = new Uint8Array(Math.ceil((bytes.length + 2) / WORD) * WORD);
  out.set(bytes);
  return out;
}

/**
 * One function is called from many places by as many distances, but it has one address: an E8h's distance becomes distance + address, modulo
 * both directions' reach, where it is within `reach`; LZ4 then finds it again. What only looks like a call is treated as one, and restored as one.
 */
export function absoluteCalls(code, address, reach) {
  const view = new DataView(code.buffer, code.byteOffset, code.byteLength);
  for (let at = 0; at < code.length - 4; at++) {
    if (code[at] !== CALL_REL32) continue;
    at++;
    const distance = view.getInt32(at, true);
    if (distance >= -reach && distance < reach) view.setInt32(at, ((distance + reach + address + at) & (2 * reach - 1)) - reach, true);
    at += 3;
  }
}

/** Bit by bit: it is done once, and the build has no TypeScript of the control plane yet. */
export function crc32c(bytes) {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ CRC32C : crc >>> 1;
  }
  return ~crc >>> 0;
}
