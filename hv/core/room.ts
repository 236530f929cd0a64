// What guests that share memory may still write must stay free: whoever wants frames for more than that is refused, so that a storm of copies, or a
// new guest beside copies, harms nobody. Asked by clone.ts and create.ts.

import { BLOCK_FRAMES, freeFrames, wholeBlocks } from "./frames";

/** Frames that must stay free for each guest that shares memory. */
export const FREE_A_GUEST: u64 = 256;

/** So many frames can be taken beside `sharers` that share. */
export function hasRoom(frames: u64, sharers: u32): bool {
  const wanted = frames + FREE_A_GUEST * sharers;
  // Counting all of them takes long.
  return <u64>wholeBlocks * BLOCK_FRAMES >= wanted || freeFrames() >= wanted;
}

/** How many frames can be taken beside them. */
export function room(sharers: u32): u64 {
  const free = freeFrames();
  return free - min(free, FREE_A_GUEST * sharers);
}
