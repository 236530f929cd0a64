// The host's reserve of clean frames for writes to shared memory: full while guests share some, empty when none do. The host calls core when
// it runs low; a guest that finds it empty waits until core has filled it, from what another one gives if need be (shortage.ts). Driven by work.ts.

import { BLOCK_FRAMES, classify, NO_FRAME, singleFrame } from "./frames";
import { sharers } from "./guests";
import * as host from "./host";
import { HostFact, Reserve } from "./host";
import { scrub, scrubbing } from "./scrub";
import { relieve } from "./shortage";

/** Frames scrubbed at once for a reserve that is low. */
const SCRUB: u32 = 64;

/** True: it is low, and there is still something to be scrubbed for it. */
export function keepReserve(): bool {
  const there = host.fact(HostFact.Reserve);
  // What the last one writes to is its own again without a frame.
  if (sharers() == 0) {
    if (there > 0) giveBack();
    return false;
  }
  if (there > <u64>Reserve.Low) return false;
  for (let count = there; count < <u64>Reserve.Most; count++) {
    const frame = singleFrame();
    if (frame == NO_FRAME) return starve(count);
    if (!host.reserveGive(frame)) return false;
  }
  return false;
}

/** Down to the floor nobody waits. */
function starve(count: u64): bool {
  if (!scrubbing()) return count <= <u64>Reserve.Floor && relieve();
  scrub(SCRUB);
  return true;
}

function giveBack(): void {
  let block = NO_FRAME;
  for (let frame = host.reserveBack(); frame != NO_FRAME; frame = host.reserveBack()) {
    if (frame / BLOCK_FRAMES != block && block != NO_FRAME) classify(block);
    block = frame / BLOCK_FRAMES;
  }
  if (block != NO_FRAME) classify(block);
}
