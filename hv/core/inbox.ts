// Requests that wait for their turn, in a ring; the frame that is coming in is assembled in the slot behind the last one, so that
// nothing is copied but what is overtaken. Filled by receive.ts, emptied by request.ts in the order that turn.ts finds.

import { PAYLOAD } from "./frame";
import { INBOX, INBOX_BYTES, Size } from "./layout";

let head: u32 = 0;
let count: u32 = 0;

/** Where a frame from the line is assembled. */
export function incoming(): usize {
  return slot(head + count);
}

/** There is a slot for the frame after this one. */
export function inboxRoom(): bool {
  return count < <u32>Size.Inbox - 1;
}

/** Keeps the frame that was assembled. */
export function keep(bytes: u32): void {
  store<u32>(lengthAt(count), bytes);
  count++;
}

export function waiting(): u32 {
  return count;
}

/** The request at place `index`, 0 is the oldest. */
export function payloadAt(index: u32): usize {
  return slot(head + index) + PAYLOAD;
}

export function payloadBytes(index: u32): u32 {
  return load<u32>(lengthAt(index));
}

/** Removes one. Those that it overtook close up to it, so that the frame that is coming in stays where it is. */
export function drop(index: u32): void {
  for (; index > 0; index--) {
    memory.copy(payloadAt(index), payloadAt(index - 1), payloadBytes(index - 1));
    store<u32>(lengthAt(index), payloadBytes(index - 1));
  }
  head = (head + 1) % Size.Inbox;
  count--;
}

/** Forgets all that waits. The frame that is coming in lies behind them: it must be complete. */
export function clearInbox(): void {
  head = 0;
  count = 0;
}

function lengthAt(index: u32): usize {
  return INBOX_BYTES + ((head + index) % Size.Inbox) * 4;
}

function slot(index: u32): usize {
  return INBOX + (index % Size.Inbox) * Size.Slot;
}
