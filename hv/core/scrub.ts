// Zeroes free frames whose content is unknown, in small pieces: in the background, or for a guest that waits for memory. Stands beside
// frames.ts, whose blocks it turns from dirty to clean.

import { BLOCK_FRAMES, BlockKind, blocks, classify, kindOf, setKind } from "./frames";
import * as host from "./host";
import { FrameState } from "./host";
import { MILLISECOND, NEVER } from "./link";

/** Frames scrubbed in the background in one piece: 64 KiB, well below a millisecond. */
const PIECE: u32 = 16;
/** How long a CPU must not have been idle before it scrubs all the same: most load passes sooner, and is not slowed down. */
const PATIENCE: u64 = 1000 * MILLISECOND;
/** A busy CPU gives it one part in so many of its time, and does no more than a piece each 2 ms: each stops a guest. */
const SHARE: u64 = 200;
const PAUSE: u64 = 2 * MILLISECOND;

/** When a busy CPU does the next piece. */
let due: u64 = 0;
let block: u32 = 0;
let index: u32 = 0;
let finished: bool = false;

/** Frames came back: there may be something to do again. */
export function scrubAgain(): void {
  finished = false;
}

/** There may be dirty frames. */
export function scrubbing(): bool {
  return !finished;
}

/** All of an idle CPU's time, a little of a busy one's: guests that never halt must not keep memory dirty for ever. */
export function scrubInBackground(now: u64, idle: bool): void {
  if (finished || (!idle && now < due)) return;
  const start = host.clock();
  scrub(PIECE);
  const end = host.clock();
  due = end + (idle ? PATIENCE : max((end - start) * SHARE, PAUSE));
}

export function scrubDeadline(): u64 {
  return finished ? NEVER : due;
}

/** Zeroes at most `budget` frames. True when a block was finished, or nothing is left to do. */
export function scrub(budget: u32): bool {
  if (!findBlock()) {
    finished = true;
    return true;
  }
  while (budget > 0 && index < BLOCK_FRAMES) {
    const count = run(min(budget, BLOCK_FRAMES - index));
    if (count == 0) {
      index++;
      continue;
    }
    if (!host.frameScrub(block * BLOCK_FRAMES + index, count)) {
      // The host knows better: leave the block alone.
      setKind(block, BlockKind.None);
      return true;
    }
    index += count;
    budget -= count;
  }
  if (index < BLOCK_FRAMES) return false;
  classify(block);
  index = 0;
  return true;
}

/** Dirty frames in a row from `index` on, at most `limit`. */
function run(limit: u32): u32 {
  let count: u32 = 0;
  while (count < limit && (<u32>host.frame(block * BLOCK_FRAMES + index + count) & 0xff) == FrameState.Dirty) count++;
  return count;
}

/** Stays at the block that was begun, else goes to the next dirty one. */
function findBlock(): bool {
  for (let i: u32 = 0; i < blocks; i++) {
    if (kindOf(block) & BlockKind.HasDirty) return true;
    index = 0;
    block++;
    if (block >= blocks) block = 0;
  }
  return false;
}
