// The bare-metal end of the link (protocol/link.ts): sessions, sequence numbers, acknowledgements, credit, selective repeat. What comes in is
// held until its turn, and then receive.ts's; what goes out is composed in place by message.ts, events.ts and console.ts: begin(), then commit().
//
//   base        high        next          sequence numbers, modulo 256; next - base <= Window
//    | in flight | not yet sent
//
// Each frame of these has its turn: when it was sent last, as a count of frames; or DUE, ARRIVED.

import { Channel, FrameType, Link } from "../../protocol/link";
import { checkFrame, frameAck, frameChannel, frameCredit, frameSeq, frameType, PAYLOAD, sendFrame } from "./frame";
import * as host from "./host";
import { HostFact } from "./host";
import { inboxRoom } from "./inbox";
import { CONTROL, HELD, HELD_BYTES, OUTBOX, OUTBOX_BYTES, OUTBOX_TURN, Size } from "./layout";

export const NEVER: u64 = u64.MAX_VALUE;
export const MILLISECOND: u64 = 1_000_000;
/** A retransmission that brought nothing doubles the time to the next one, up to 16 times: an idle emulator's clock runs ahead. */
const MAX_BACKOFF: u32 = 4;
/** To be sent. */
const DUE: u32 = 0;
const ARRIVED: u32 = u32.MAX_VALUE;

let open: bool = false;
let epoch: u32 = 0;
/** Of the Sync that began the session. */
let session: u32 = 0;
let expected: u32 = 0;
/** The first number that the peer has no credit for, as it was told. */
let promised: u32 = 0;
let base: u32 = 0;
let high: u32 = 0;
let next: u32 = 0;
/** Frames from base on that the peer takes. */
let credit: u32 = 0;
/** [strandedFrom, strandedTo): what the session before had composed and not seen acknowledged. It lies where it was until more is composed. */
export let strandedFrom: u32 = 0;
export let strandedTo: u32 = 0;
/** Data frames sent since there were none in flight. */
let turn: u32 = 0;
let ackOwed: bool = false;
/** The channel of what came last and was not kept: of a probe, its number. */
let echo: u32 = 0;
let syncAckOwed: bool = false;
let syncAckEpoch: u32 = 0;
let syncDue: u64 = 0;
/** When the peer last had news, or when there was first something to wait for; 0: there is nothing. */
let progress: u64 = 0;
let backoff: u32 = 0;
/** Free bytes of the serial ring when it is empty: the most that was ever seen. */
let ringBytes: u32 = 0;
/** A frame waits for room in the serial ring. */
let blocked: bool = false;
/** The line is output only: what was sent has arrived. */
let scripted: bool = false;

export let framesIn: u64 = 0;
export let framesOut: u64 = 0;
export let framesBad: u64 = 0;
export let framesResent: u64 = 0;

export function initLink(): void {
  epoch = <u32>host.fact(HostFact.Epoch);
  scripted = host.fact(HostFact.Scripted) != 0;
}

export function countBad(): void {
  framesBad++;
}

/** Takes a frame from the line. True: a session began, and what belonged to the one before is void. */
export function accept(frame: usize, length: u32, now: u64): bool {
  const payload = checkFrame(frame, length);
  const type = frameType(frame);
  const control = type >= <u32>FrameType.Sync;
  if (payload < 0 || type - FrameType.Data > <u32>(FrameType.Resume - FrameType.Data) || (control && payload != 8)) {
    framesBad++;
    return false;
  }
  framesIn++;
  if (control) return synchronize(frame, type);
  if (!open) return false;
  const data = type == FrameType.Data;
  takeAck(frameAck(frame), data ? 0 : frameSeq(frame), frameCredit(frame), now);
  if (data) hold(frame, length);
  else if (frameChannel(frame) != 0) setTurn(base, DUE);
  return false;
}

/** A Sync whose epoch is the session's own is the peer's repetition: it is answered, and nothing is lost. A SyncAck counts only
 *  while no session is open: after that it is late. A Resume asks which session is open. */
function synchronize(frame: usize, type: u32): bool {
  const version = load<u32>(frame + PAYLOAD);
  const theirs = load<u32>(frame + PAYLOAD, 4);
  if (type == FrameType.SyncAck) {
    if (open || theirs != epoch || version != Link.Version) return false;
  } else {
    const asks = type == FrameType.Resume;
    syncAckOwed = !asks || open;
    syncAckEpoch = asks ? session : theirs;
    if (asks || version != Link.Version || (open && session == theirs)) return false;
  }
  session = theirs;
  open = true;
  strandedFrom = base;
  strandedTo = next;
  ackOwed = false;
  expected = base = high = next = 0;
  promised = credit = Link.Window;
  progress = 0;
  backoff = 0;
  memory.fill(HELD_BYTES, 0, Link.Window * 4);
  return true;
}

/** Frames from `expected` on that there is room for: a request takes a place of the inbox, all else none. */
function grant(): u32 {
  return min<u32>(Link.Window, inboxRoom());
}

/** Keeps a frame that has credit, until its turn. All others the peer sends again, or has sent twice. */
function hold(frame: usize, length: u32): void {
  ackOwed = true;
  const seq = frameSeq(frame);
  if (((seq - expected) & 255) >= grant() || heldBytes(seq) > 0) {
    echo = frameChannel(frame);
    return;
  }
  memory.copy(heldAt(seq), frame, length);
  store<u32>(HELD_BYTES + (seq % Link.Window) * 4, length);
}

/** The frame whose turn it is, or 0. Console input needs room for the word that some of it was lost. */
export function inTurn(): usize {
  const frame = heldAt(expected);
  return heldBytes(expected) == 0 || (frameChannel(frame) == Channel.Console && room() == 0) ? 0 : frame;
}

/** The turn goes on; the bytes of its payload, which stays where it is until more comes from the line. */
export function take(): u32 {
  const length = heldBytes(expected);
  store<u32>(HELD_BYTES + (expected % Link.Window) * 4, 0);
  expected = (expected + 1) & 255;
  return length - Link.HeaderBytes - Link.CrcBytes;
}

/** Ack's bits: what is held after the one that is missing. */
function heldBits(): u32 {
  let bits: u32 = 0;
  for (let i: u32 = Link.Window - 1; i > 0; i--) bits = (bits << 1) | u32(heldBytes(expected + i) > 0);
  return bits;
}

function heldAt(seq: u32): usize {
  return HELD + (seq % Link.Window) * Size.Slot;
}

function heldBytes(seq: u32): u32 {
  return load<u32>(HELD_BYTES + (seq % Link.Window) * 4);
}

/** The line keeps its order: what was sent before a frame that has arrived, and has not arrived itself, is lost. */
function takeAck(ack: u32, bits: u32, given: u32, now: u64): void {
  const sent = (high - base) & 255;
  const news = (ack - base) & 255;
  if (news > sent) return;
  credit = given;
  let latest: u32 = 0;
  // The bit before the first stands for the frame that is missing.
  for (let i: u32 = 0; i < sent; i++) if (i < news || ((bits << 1) >> (i - news)) & 1) latest = max(latest, arrive(base + i));
  base = ack;
  if (news == 0 && latest == 0) return;
  progress = now;
  backoff = 0;
  for (let seq = base; seq != high; seq = (seq + 1) & 255) if (turnOf(seq) < latest) setTurn(seq, DUE);
}

/** The turn that it was sent in; 0 where that says nothing. */
function arrive(seq: u32): u32 {
  const sentIn = turnOf(seq);
  setTurn(seq, ARRIVED);
  return sentIn == ARRIVED ? 0 : sentIn;
}

/** Frames that may still be composed. */
export function room(): u32 {
  return open ? Link.Window - ((next - base) & 255) : 0;
}

/** All that was sent has arrived. */
export function settled(): bool {
  return !open || base == next;
}

/** Where the next frame's payload is composed; only with room(). */
export function begin(): usize {
  return slot(next) + PAYLOAD;
}

export function commit(channel: u32, payloadBytes: u32): void {
  store<u8>(slot(next), channel, 3);
  store<u32>(OUTBOX_BYTES + (next % Link.Window) * 4, payloadBytes);
  setTurn(next, DUE);
  next = (next + 1) & 255;
}

/** A frame of the session before: the frame; 0: it has arrived. */
export function stranded(seq: u32): usize {
  return turnOf(seq) == ARRIVED ? 0 : slot(seq);
}

export function strandedBytes(seq: u32): u32 {
  return load<u32>(OUTBOX_BYTES + (seq % Link.Window) * 4);
}

function slot(seq: u32): usize {
  return OUTBOX + (seq % Link.Window) * Size.Slot;
}

function turnOf(seq: u32): u32 {
  return load<u32>(OUTBOX_TURN + (seq % Link.Window) * 4);
}

function setTurn(seq: u32, value: u32): void {
  store<u32>(OUTBOX_TURN + (seq % Link.Window) * 4, value);
}

/** Sends all that is due and fits into the serial ring. */
export function transmit(now: u64): void {
  const free = host.serialRoom();
  if (free > ringBytes) ringBytes = free;
  blocked = false;
  if (syncAckOwed) syncAckOwed = !sendControl(FrameType.SyncAck, syncAckEpoch);
  if (!open) {
    if (now >= syncDue && sendControl(FrameType.Sync, epoch)) syncDue = now + Link.RetransmitMs * MILLISECOND;
    return;
  }
  if (scripted) base = high;
  if (base == next) progress = turn = 0;
  else if (progress == 0) progress = now;
  else if (now >= resendDue()) resend(now, free);
  for (let i: u32 = 0; i < credit && i < ((next - base) & 255); i++) if (turnOf(base + i) == DUE && !sendData((base + i) & 255)) return;
  if (scripted) base = high;
  // The peer may have waited for credit.
  if (((expected + grant() - promised) & 255) >= <u32>Link.Window / 2) ackOwed = true;
  if (ackOwed && put(CONTROL, FrameType.Ack, heldBits(), echo, 0)) ackOwed = false;
}

/** The time counts from when the line had taken all of it: a slow line is no reason to send again. The first frame that has not arrived goes,
 *  with credit or without: the answer tells the rest. */
function resend(now: u64, free: u32): void {
  progress = now;
  if (free < ringBytes) return;
  setTurn(base, DUE);
  credit = max(credit, 1);
  if (backoff < MAX_BACKOFF) backoff++;
}

function sendData(seq: u32): bool {
  const frame = slot(seq);
  if (!put(frame, FrameType.Data, seq, frameChannel(frame), load<u32>(OUTBOX_BYTES + (seq % Link.Window) * 4))) return false;
  // What came out of order only an Ack can tell.
  if (heldBits() == 0) ackOwed = false;
  setTurn(seq, ++turn);
  if (seq == high) high = (seq + 1) & 255;
  else framesResent++;
  return true;
}

function sendControl(type: u32, number: u32): bool {
  store<u32>(CONTROL + PAYLOAD, Link.Version);
  store<u32>(CONTROL + PAYLOAD, number, 4);
  return send(CONTROL, type, 0, 0, 8);
}

/** Data and Ack: with the credit. */
function put(frame: usize, type: u32, seq: u32, channel: u32, payloadBytes: u32): bool {
  if (!send(frame, type, seq, channel | (grant() << Link.CreditShift), payloadBytes)) return false;
  promised = (expected + grant()) & 255;
  return true;
}

function send(frame: usize, type: u32, seq: u32, channel: u32, payloadBytes: u32): bool {
  if (!sendFrame(frame, type, seq, expected, channel, payloadBytes)) {
    blocked = true;
    return false;
  }
  framesOut++;
  return true;
}

function resendDue(): u64 {
  return progress + ((Link.RetransmitMs * MILLISECOND) << backoff);
}

/** When transmit() has something to do again, as far as the clock decides. */
export function linkDeadline(now: u64): u64 {
  if (blocked) return now + MILLISECOND;
  if (!open) return syncDue;
  return base == next ? NEVER : resendDue();
}
