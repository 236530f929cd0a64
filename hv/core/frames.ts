// Free memory: which 2 MiB blocks are whole and clean, which are carved into single frames, which are a guest's RAM. hv/asm owns the
// truth, frame by frame (host.frame); this is the allocator's own view, a byte for each block. scrub.ts cleans, placement.ts picks
// RAM from it, guests.ts takes and returns.
import * as host from "./host";
import { FrameState, HostFact } from "./host";
import { BLOCK_KINDS, Size } from "./layout";

export const BLOCK_FRAMES: u32 = 512;
export const BLOCK_BYTES: u64 = 0x200000;
export const FRAME_BYTES: u64 = 4096;
export const NO_FRAME: u32 = u32.MAX_VALUE;

/** Bits of a block's kind. None: nothing in it is ours to give. */
export enum BlockKind {
  None = 0,
  /** all 512 frames are free */
  Whole = 1,
  /** given out frame by frame */
  Carved = 2,
  /** a guest's RAM */
  Ram = 4,
  HasClean = 8,
  HasDirty = 16,
  /** in the chain of a guest that shares it: frames of it may be free, but all of it is nobody else's before that guest is gone */
  Shared = 32,
  /** all 512 frames are free and zero */
  Clean = 9,
}

/** Blocks that exist. */
export let blocks: u32 = 0;
/** Blocks that are Whole, and those of them that are Clean. */
export let wholeBlocks: u32 = 0;
export let cleanBlocks: u32 = 0;
/** What there was at the start: Whole blocks, that guests can have as RAM, and free frames in all. */
export let allBlocks: u32 = 0;
export let allFrames: u64 = 0;

/** The carved block that single frames come from, and how far it is searched. */
let carved: u32 = 0;
let carvedIndex: u32 = 0;

export function initFrames(): void {
  blocks = <u32>min<u64>((host.fact(HostFact.Frames) + BLOCK_FRAMES - 1) / BLOCK_FRAMES, Size.Blocks);
  for (let block: u32 = 0; block < blocks; block++) allFrames += classify(block);
  allBlocks = wholeBlocks;
}

export function kindOf(block: u32): u32 {
  return load<u8>(BLOCK_KINDS + block);
}

export function setKind(block: u32, kind: u32): void {
  const before = kindOf(block);
  if (before & BlockKind.Whole) wholeBlocks--;
  if (before == BlockKind.Clean) cleanBlocks--;
  if (kind & BlockKind.Whole) wholeBlocks++;
  if (kind == BlockKind.Clean) cleanBlocks++;
  store<u8>(BLOCK_KINDS + block, kind);
}

/** Looks a block up again, after frames of it came back or were cleaned: its free frames. */
export function classify(block: u32): u32 {
  const dirty = host.blockCount(block, FrameState.Dirty);
  const clean = dirty == BLOCK_FRAMES ? 0 : host.blockCount(block, FrameState.Clean);
  const free = clean + dirty;
  const shared = kindOf(block) & BlockKind.Shared;
  let kind: u32 = shared
    ? BlockKind.Carved | BlockKind.Shared
    : free == BLOCK_FRAMES
      ? BlockKind.Whole
      : free != 0 || kindOf(block) != BlockKind.None
        ? BlockKind.Carved
        : BlockKind.None;
  if (clean != 0) kind |= BlockKind.HasClean;
  if (dirty != 0) kind |= BlockKind.HasDirty;
  setKind(block, kind);
  return free;
}

/** After a guest's single frames came back. */
export function classifyCarved(): void {
  for (let block: u32 = 0; block < blocks; block++) if (kindOf(block) & BlockKind.Carved) classify(block);
}

/** A clean frame for the host to take, or NO_FRAME. A block is carved when no carved one has any left: the highest, so that RAM stays in
 *  one piece. */
export function singleFrame(): u32 {
  do {
    if (carvedIndex < BLOCK_FRAMES && kindOf(carved) & BlockKind.Carved) {
      while (carvedIndex < BLOCK_FRAMES) {
        const frame = carved * BLOCK_FRAMES + carvedIndex++;
        if ((<u32>host.frame(frame) & 0xff) == FrameState.Clean) return frame;
      }
      classify(carved);
    }
  } while (nextCarved());
  return NO_FRAME;
}

function nextCarved(): bool {
  carvedIndex = 0;
  let candidate: u32 = blocks;
  for (let block: u32 = 0; block < blocks; block++) {
    const kind = kindOf(block);
    if ((kind & (BlockKind.Carved | BlockKind.HasClean)) == (BlockKind.Carved | BlockKind.HasClean)) {
      carved = block;
      return true;
    }
    if (kind == BlockKind.Clean) candidate = block;
  }
  if (candidate == blocks) return false;
  setKind(candidate, BlockKind.Carved | BlockKind.HasClean);
  carved = candidate;
  return true;
}

/** Clean frames in carved blocks. */
export function cleanSingles(): u32 {
  let sum: u32 = 0;
  for (let block: u32 = 0; block < blocks; block++) {
    const kind = kindOf(block);
    if (kind & BlockKind.Carved && kind & BlockKind.HasClean) sum += host.blockCount(block, FrameState.Clean);
  }
  return sum;
}

/** Free frames, in all blocks. The host counts a block one by one: it is asked about mixed ones only. */
export function freeFrames(): u64 {
  let sum: u64 = 0;
  for (let block: u32 = 0; block < blocks; block++) {
    const kind = kindOf(block);
    if (kind & BlockKind.Whole) sum += BLOCK_FRAMES;
    else if (kind & BlockKind.Carved) sum += host.blockCount(block, FrameState.Clean) + host.blockCount(block, FrameState.Dirty);
  }
  return sum + host.fact(HostFact.Reserve);
}

/** Those of them that are not scrubbed yet. */
export function dirtyFrames(): u64 {
  let sum: u64 = 0;
  for (let block: u32 = 0; block < blocks; block++) {
    if (kindOf(block) & BlockKind.HasDirty) sum += host.blockCount(block, FrameState.Dirty);
  }
  return sum;
}
