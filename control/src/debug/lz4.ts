// LZ4's legacy frame, in which Linux' build packs kernels: a magic number, then blocks of at most 8 MiB, each behind its length. A block is a
// sequence of literals and matches (LZ4 block format description, lz4.org).
import { HvkitError } from "../errors.js";

export const LZ4_LEGACY_MAGIC = 0x184c2102;
const BLOCK_BYTES = 8 << 20;
const MIN_MATCH = 4;
/** of a length in a token: more of it follows */
const MORE = 15;

/** Errors: E_KERNEL_SYMBOLS. What follows the last block, as the kernel's build appends, is left out. */
export function unpackLz4(packed: Uint8Array): Buffer {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  const blocks: Buffer[] = [];
  for (let at = 4; at + 4 <= packed.length; ) {
    const length = view.getUint32(at, true);
    at += 4;
    if (length === LZ4_LEGACY_MAGIC) continue;
    if (length === 0 || at + length > packed.length) break;
    blocks.push(unpackBlock(packed.subarray(at, at + length)));
    at += length;
  }
  return Buffer.concat(blocks);
}

function unpackBlock(block: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(BLOCK_BYTES);
  let at = 0;
  let done = 0;
  const more = (length: number): number => {
    let total = length;
    for (let byte = 255; byte === 255; total += byte) byte = block[at++] ?? 0;
    return total;
  };
  while (at < block.length) {
    const token = block[at++] ?? 0;
    const literals = token >> 4 === MORE ? more(MORE) : token >> 4;
    if (at + literals > block.length || done + literals > out.length) throw damaged();
    out.set(block.subarray(at, at + literals), done);
    at += literals;
    done += literals;
    if (at >= block.length) break;
    const distance = (block[at] ?? 0) | ((block[at + 1] ?? 0) << 8);
    at += 2;
    const match = ((token & 15) === MORE ? more(MORE) : token & 15) + MIN_MATCH;
    if (distance === 0 || distance > done || done + match > out.length) throw damaged();
    // A match may reach into what it writes itself: byte by byte then.
    if (distance >= match) out.copyWithin(done, done - distance, done - distance + match);
    else for (let index = 0; index < match; index++) out[done + index] = out[done + index - distance] ?? 0;
    done += match;
  }
  return Buffer.from(out.subarray(0, done));
}

function damaged(): HvkitError {
  return new HvkitError("E_KERNEL_SYMBOLS", "the kernel cannot be unpacked: its LZ4 data are damaged", {
    hint: "Fetch or build the kernel again.",
  });
}
