// A block of a guest's RAM as a Ram section has it: which of its pages are not zero, these pages, and all of it compressed where that
// pays. Used by writer and reader.
import { promisify } from "node:util";
import { deflateRaw, deflateRawSync, inflateRaw, inflateRawSync } from "node:zlib";
import { BITMAP_BYTES, BLOCK_BYTES, BLOCK_PAGES, Compression, PAGE_BYTES } from "./format.js";

const deflate = promisify(deflateRaw);
const inflate = promisify(inflateRaw);

const ZERO_PAGE = Buffer.alloc(PAGE_BYTES);
const SAMPLE_BYTES = 2 * PAGE_BYTES;
/** Less saved than this is not worth the time to inflate it. */
const WORTH = 7 / 8;
/** zlib's output in one piece instead of many of 16 KiB, each with a turn of the event loop */
const OUTPUT_BYTES = BLOCK_BYTES + BITMAP_BYTES + 1024;

export interface Packed {
  compression: Compression;
  stored: Uint8Array;
}

/** A block's bytes without its zero pages; undefined when it has no others. */
export function packBlock(ram: Buffer): Buffer | undefined {
  const present: number[] = [];
  for (let at = 0; at < BLOCK_BYTES; at += PAGE_BYTES)
    if (ram.compare(ZERO_PAGE, 0, PAGE_BYTES, at, at + PAGE_BYTES) !== 0) present.push(at);
  if (present.length === 0) return undefined;
  const block = Buffer.allocUnsafe(BITMAP_BYTES + present.length * PAGE_BYTES);
  block.fill(0, 0, BITMAP_BYTES);
  for (const [index, at] of present.entries()) {
    const page = at / PAGE_BYTES;
    block[page >> 3] = (block[page >> 3] ?? 0) | (1 << (page & 7));
    ram.copy(block, BITMAP_BYTES + index * PAGE_BYTES, at, at + PAGE_BYTES);
  }
  return block;
}

/** Runs of pages, `offset` from the block's begin. Undefined when the bitmap and the length do not agree. */
export function unpackBlock(block: Uint8Array): { offset: number; bytes: Uint8Array }[] | undefined {
  if (block.length < BITMAP_BYTES) return undefined;
  const runs: { offset: number; bytes: Uint8Array }[] = [];
  let at = BITMAP_BYTES;
  for (let page = 0; page < BLOCK_PAGES; page++) {
    if (((block[page >> 3] ?? 0) & (1 << (page & 7))) === 0) continue;
    const last = runs.at(-1);
    const offset = page * PAGE_BYTES;
    if (last && last.offset + last.bytes.length === offset) {
      last.bytes = block.subarray(last.bytes.byteOffset - block.byteOffset, at + PAGE_BYTES);
    } else runs.push({ offset, bytes: block.subarray(at, at + PAGE_BYTES) });
    at += PAGE_BYTES;
  }
  return runs.length > 0 && at === block.length ? runs : undefined;
}

/** In zlib's threads. What does not shrink in a sample is not tried as a whole. */
export async function compressBlock(block: Buffer): Promise<Packed> {
  const middle = BITMAP_BYTES + Math.floor((block.length - BITMAP_BYTES) / 2 / PAGE_BYTES) * PAGE_BYTES;
  const sample = block.subarray(middle, middle + SAMPLE_BYTES);
  if (deflateRawSync(sample, { level: 1 }).length < sample.length * WORTH) {
    const stored = await deflate(block, { level: 1, chunkSize: OUTPUT_BYTES });
    if (stored.length < block.length * WORTH) return { compression: Compression.Deflate, stored };
  }
  return { compression: Compression.Stored, stored: block };
}

/** What zlib gives with `info`. */
interface Inflated {
  buffer: Buffer;
  engine: { bytesWritten: number };
}

const inflateOptions = (bytes: number) => ({ maxOutputLength: bytes, chunkSize: Math.max(bytes + 64, 1024), info: true });

/** `bytes` bytes, or undefined: it is no deflate stream of that many, or has more after its end. */
export async function inflateBlock(stored: Uint8Array, bytes: number): Promise<Uint8Array | undefined> {
  try {
    return whole((await inflate(stored, inflateOptions(bytes))) as unknown as Inflated, stored, bytes);
  } catch {
    return undefined;
  }
}

/** The same, at once. */
export function inflateBlockSync(stored: Uint8Array, bytes: number): Uint8Array | undefined {
  try {
    return whole(inflateRawSync(stored, inflateOptions(bytes)) as unknown as Inflated, stored, bytes);
  } catch {
    return undefined;
  }
}

function whole({ buffer, engine }: Inflated, stored: Uint8Array, bytes: number): Uint8Array | undefined {
  return buffer.length === bytes && engine.bytesWritten === stored.length ? buffer : undefined;
}
