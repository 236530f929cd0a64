// Requests that wait for their turn, in a ring; the frame that is coming in is assembled in the slot behind the last one, so that
// nothing is copied. Filled by receive.ts, emptied by request.ts.

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
export function keep(payloadBytes: u32): void {
  store<u32>(INBOX_BYTES + ((head + count) % Size.Inbox) * 4, payloadBytes);
  count++;
}

export function waiting(): u32 {
  return count;
}

export function firstPayload(): usize {
  return slot(head) + PAYLOAD;
}

export function firstBytes(): u32 {
  return load<u32>(INBOX_BYTES + (head % Size.Inbox) * 4);
}

export function drop(): void {
  head = (head + 1) % Size.Inbox;
  count--;
}

/** Forgets all that waits. The frame that is coming in lies behind them: it must be complete. */
export function clearInbox(): void {
  head = 0;
  count = 0;
}

function slot(index: u32): usize {
  return INBOX + (index % Size.Inbox) * Size.Slot;
}
