// A guest's RAM: blocks chained in guest-physical order, in as few runs of neighbours as there are to be had. Takes from and returns to
// frames.ts; guests.ts hands the blocks to the host.

import { BlockKind, blocks, classify, kindOf, setKind } from "./frames";
import { BLOCK_NEXT } from "./layout";

export const NO_BLOCK: u32 = 0xffff;

let runStart: u32 = 0;

export function nextBlock(block: u32): u32 {
  return load<u16>(BLOCK_NEXT + block * 2);
}

/** Takes `count` clean blocks in at most `maxRuns` runs: the first of them, or NO_BLOCK, and then nothing was taken. */
export function takeBlocks(count: u32, maxRuns: u32): u32 {
  let first = NO_BLOCK;
  let last = NO_BLOCK;
  while (count > 0) {
    const length = maxRuns > 0 ? findRun(count) : 0;
    if (length == 0) {
      returnBlocks(first);
      return NO_BLOCK;
    }
    maxRuns--;
    count -= length;
    for (let block = runStart; block < runStart + length; block++) {
      setKind(block, BlockKind.Ram);
      if (last == NO_BLOCK) first = block;
      else link(last, block);
      link(block, NO_BLOCK);
      last = block;
    }
  }
  return first;
}

/** Each block is what the host now says it is. */
export function returnBlocks(first: u32): void {
  for (let block = first; block != NO_BLOCK; block = nextBlock(block)) {
    setKind(block, kindOf(block) & ~BlockKind.Shared);
    classify(block);
  }
}

/** Their guest shares them from now on. */
export function shareBlocks(first: u32): void {
  for (let block = first; block != NO_BLOCK; block = nextBlock(block)) setKind(block, BlockKind.Carved | BlockKind.Shared);
}

function link(block: u32, next: u32): void {
  store<u16>(BLOCK_NEXT + block * 2, next);
}

/** Sets runStart to the first run of `wanted` clean blocks, else to the longest there is; its length, at most `wanted`. */
function findRun(wanted: u32): u32 {
  let best: u32 = 0;
  let length: u32 = 0;
  for (let block: u32 = 0; block < blocks; block++) {
    length = kindOf(block) == BlockKind.Clean ? length + 1 : 0;
    if (length > best) {
      best = length;
      runStart = block + 1 - length;
      if (best == wanted) break;
    }
  }
  return best;
}
