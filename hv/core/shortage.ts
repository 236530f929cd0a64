// No frame is left for what guests write to memory that they share. One gives all of its RAM, so that all others go on: who has ended, if any such has
// RAM yet; else who had most copied ends for it, so that idle copies and a source that wrote little are the last. Asked by reserve.ts.

import { RunState } from "../../protocol/messages";
import { returnGuest } from "./create";
import { copiedBytes, isBare, shares, strip, top } from "./guests";
import * as host from "./host";

const NOBODY: u32 = u32.MAX_VALUE;
/** More than any guest has. */
const ENDED: u64 = 1 << 63;

/** False: nobody has anything to give. */
export function relieve(): bool {
  const slot = greediest();
  if (slot == NOBODY || !host.guestShed(slot)) return false;
  returnGuest(strip(slot));
  return true;
}

/** Of those that have alike, the one in the highest slot. */
function greediest(): u32 {
  let found = NOBODY;
  let most: u64 = 0;
  for (let slot: u32 = 0; slot < top; slot++) {
    if (!shares(slot) || isBare(slot)) continue;
    const has = copiedBytes(slot) | (host.guestState(slot) == RunState.Ended ? ENDED : 0);
    if (has < most) continue;
    most = has;
    found = slot;
  }
  return found;
}
