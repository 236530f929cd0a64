// Requests that wait for their turn, in a ring. Filled by receive.ts, emptied by request.ts in the order that turn.ts finds.

import { INBOX, INBOX_BYTES, Size } from "./layout";

let head: u32 = 0;
let count: u32 = 0;

/** Requests that there is room for: the peer's credit. */
export function inboxRoom(): u32 {
  return Size.Inbox - count;
}

/** Keeps a request; only with inboxRoom(). */
export function keep(payload: usize, bytes: u32): void {
  store<u32>(lengthAt(count), bytes);
  memory.copy(payloadAt(count), payload, bytes);
  count++;
}

export function waiting(): u32 {
  return count;
}

/** The request at place `index`, 0 is the oldest. */
export function payloadAt(index: u32): usize {
  return INBOX + ((head + index) % Size.Inbox) * Size.Slot;
}

export function payloadBytes(index: u32): u32 {
  return load<u32>(lengthAt(index));
}

/** Removes one. Those that it overtook close up to it. */
export function drop(index: u32): void {
  for (; index > 0; index--) {
    memory.copy(payloadAt(index), payloadAt(index - 1), payloadBytes(index - 1));
    store<u32>(lengthAt(index), payloadBytes(index - 1));
  }
  head = (head + 1) % Size.Inbox;
  count--;
}

/** Forgets all that waits. */
export function clearInbox(): void {
  head = 0;
  count = 0;
}

function lengthAt(index: u32): usize {
  return INBOX_BYTES + ((head + index) % Size.Inbox) * 4;
}
