// The table of guests: what core remembers of each slot. The guest itself is the host's; its RAM blocks are a chain in placement.ts.
// Used by all operations, by events.ts and console.ts. The host names the guests that have news; their marks stay until the line
// has taken it.

import { GuestLimit, GuestStatReply, RunState } from "../../protocol/messages";
import { BLOCK_BYTES } from "./frames";
import * as host from "./host";
import { GUESTS, Size } from "./layout";
import { NO_BLOCK, shareBlocks } from "./placement";

/** Of a slot; 0: it is free. */
enum Use {
  Taken = 1,
  /** the guest is a copy, or has one */
  Shares = 2,
  /** its RAM went to others */
  Bare = 4,
}

/** What is still to be looked at. */
export enum Mark {
  State = 1,
  Console = 2,
}

//    0      1      2      3      4             6             8        12       16       24
//   +------+------+------+------+-------------+-------------+--------+--------+--------+
//   | use  | marks| known| noted| blocks      | first block | lost 0 | lost 1 | shared |
//   +------+------+------+------+-------------+-------------+--------+--------+--------+
// @ts-ignore: decorator
@unmanaged
class GuestRecord {
  use: u8;
  marks: u8;
  /** the RunState that the peer was last told, or can tell from a reply */
  known: u8;
  /** the RunState when its marks were set */
  noted: u8;
  blocks: u16;
  first: u16;
  /** u32 of each port: console bytes that went with a session, and are still to be told */
  lost: u64;
  /** GuestStatReply.CopiedBytes when it was copied last: what it had of its own by then it shares again */
  shared: u64;
}

const LOST: usize = offsetof<GuestRecord>("lost");

/** One more than the highest slot that was ever used: what loops over guests have to look at. */
export let top: u32 = 0;
export let guests: u32 = 0;
/** Guests that are copies, or have one. */
export let sharing: u32 = 0;
/** Marks that some guest may have. */
export let pending: u32 = 0;

function record(slot: u32): GuestRecord {
  return changetype<GuestRecord>(GUESTS + slot * Size.GuestRecord);
}

export function exists(slot: u64): bool {
  return slot < <u64>GuestLimit.Slots && record(<u32>slot).use != 0;
}

/** The lowest free slot, or GuestLimit.Slots. */
export function freeSlot(): u32 {
  let slot: u32 = 0;
  while (slot < <u32>GuestLimit.Slots && record(slot).use) slot++;
  return slot;
}

export function enroll(slot: u32, blocks: u32, first: u32): void {
  const guest = record(slot);
  guest.use = <u8>Use.Taken;
  guest.marks = 0;
  guest.known = <u8>RunState.Created;
  guest.blocks = <u16>blocks;
  guest.first = <u16>first;
  guest.lost = 0;
  guest.shared = 0;
  guests++;
  top = max(top, slot + 1);
}

export function strike(slot: u32): void {
  const guest = record(slot);
  if (guest.use & Use.Shares) sharing--;
  guest.use = 0;
  guest.marks = 0;
  guest.blocks = 0;
  guest.first = <u16>NO_BLOCK;
  guests--;
}

/** Guests that share with each other. One alone shares with nobody. */
export function sharers(): u32 {
  return sharing < 2 ? 0 : sharing;
}

/** The guest is a copy, or has one. */
export function shares(slot: u32): bool {
  return (record(slot).use & Use.Shares) != 0;
}

export function markShared(slot: u32): void {
  const guest = record(slot);
  guest.shared = host.guestStat(slot, GuestStatReply.CopiedBytes);
  if (guest.use & Use.Shares) return;
  guest.use |= <u8>Use.Shares;
  sharing++;
  shareBlocks(guest.first);
}

/** Its RAM went to others. */
export function isBare(slot: u32): bool {
  return (record(slot).use & Use.Bare) != 0;
}

/** The guest has no RAM any more: the first block of what it had. */
export function strip(slot: u32): u32 {
  const guest = record(slot);
  const first = guest.first;
  guest.use |= <u8>Use.Bare;
  guest.first = <u16>NO_BLOCK;
  return first;
}

/** What was copied for the guest since it was copied itself: about what it has that nobody else has. */
export function copiedBytes(slot: u32): u64 {
  return host.guestStat(slot, GuestStatReply.CopiedBytes) - record(slot).shared;
}

export function blocksOf(slot: u32): u32 {
  return record(slot).blocks;
}

export function memoryBytes(slot: u32): u64 {
  return <u64>blocksOf(slot) * BLOCK_BYTES;
}

export function firstBlock(slot: u32): u32 {
  return record(slot).first;
}

/** [address, address + bytes) lies in the guest's RAM, and that is there. */
export function inside(slot: u32, address: u64, bytes: u64): bool {
  const size = memoryBytes(slot);
  return !isBare(slot) && address <= size && bytes <= size - address;
}

export function marks(slot: u32): u32 {
  return record(slot).marks;
}

export function unmark(slot: u32, bits: u32): void {
  record(slot).marks &= ~(<u8>bits);
}

/** Marks the guests that the host names. Their state is of now, before their consoles are looked at: a guest on another CPU may go on, say its
 *  last words and end in between, and of an end that comes later the next call knows. */
export function noteChanges(): void {
  for (let slot = host.guestChanged(0); slot >= 0; slot = host.guestChanged(slot + 1)) {
    if (!exists(slot)) continue;
    record(slot).marks = <u8>(Mark.State | Mark.Console);
    record(slot).noted = <u8>host.guestState(slot);
    pending = Mark.State | Mark.Console;
  }
}

/** Console bytes of a guest that nobody will see. Its console has that to tell, then. */
export function countLost(slot: u32, port: u32, bytes: u32): void {
  if (!exists(slot)) return;
  const at = changetype<usize>(record(slot)) + LOST + 4 * port;
  store<u32>(at, load<u32>(at) + bytes);
  record(slot).marks |= <u8>Mark.Console;
  pending |= Mark.Console;
}

/** Counts them from zero again. */
export function takeLost(slot: u32, port: u32): u32 {
  const at = changetype<usize>(record(slot)) + LOST + 4 * port;
  const bytes = load<u32>(at);
  store<u32>(at, 0);
  return bytes;
}

/** No guest has this mark any more. */
export function settle(bits: u32): void {
  pending &= ~bits;
}

export function notedState(slot: u32): u32 {
  return record(slot).noted;
}

export function knownState(slot: u32): u32 {
  return record(slot).known;
}

export function setKnownState(slot: u32, state: u32): void {
  record(slot).known = <u8>state;
}
