// The bare-metal end of the link (protocol/link.ts): sessions, sequence numbers, acknowledgements, go-back-N. What it accepts goes to
// receive.ts; what it sends is composed in place by reply.ts, events.ts and console.ts: begin(), then commit().
//
//   base        sent       high        next          sequence numbers, modulo 256; next - base <= Window
//    | in flight | to be sent (again)   | not yet sent

import { Channel, FrameType, Link } from "../../protocol/link";
import { checkFrame, frameAck, frameChannel, frameSeq, frameType, PAYLOAD, sendFrame } from "./frame";
import * as host from "./host";
import { HostFact } from "./host";
import { CONTROL, OUTBOX, OUTBOX_BYTES, Size } from "./layout";

export enum Accepted {
  /** nothing for those above */
  Nothing = -1,
  /** a session began: what belonged to the one before is void */
  Reset = -2,
}

export const NEVER: u64 = u64.MAX_VALUE;
export const MILLISECOND: u64 = 1_000_000;
/** A retransmission that brought nothing doubles the time to the next one, up to 16 times: an idle emulator's clock runs ahead. */
const MAX_BACKOFF: u32 = 4;

let open: bool = false;
let epoch: u32 = 0;
/** The peer's epoch, where it was the peer that began the session. */
let peerEpoch: u64 = NEVER;
let expected: u32 = 0;
let base: u32 = 0;
let sent: u32 = 0;
let high: u32 = 0;
let next: u32 = 0;
let ackOwed: bool = false;
let syncAckOwed: bool = false;
let syncAckEpoch: u32 = 0;
let syncDue: u64 = 0;
/** When the peer last acknowledged something new, or when there was nothing for it to acknowledge. */
let progress: u64 = 0;
let backoff: u32 = 0;
/** Free bytes of the serial ring when it is empty: the most that was ever seen. */
let ringBytes: u32 = 0;
/** A frame waits for room in the serial ring. */
let blocked: bool = false;

export let framesIn: u64 = 0;
export let framesOut: u64 = 0;
export let framesBad: u64 = 0;
export let framesResent: u64 = 0;

export function initLink(): void {
  epoch = <u32>host.fact(HostFact.Epoch);
}

export function countBad(): void {
  framesBad++;
}

/** Takes a frame from the line: the Channel whose payload it brings, or an Accepted. */
export function accept(frame: usize, length: u32, now: u64, roomForRequest: bool): i32 {
  const payload = checkFrame(frame, length);
  const type = frameType(frame);
  const control = type == FrameType.Sync || type == FrameType.SyncAck;
  if (payload < 0 || type - FrameType.Data > <u32>(FrameType.SyncAck - FrameType.Data) || (control && payload != 8)) {
    framesBad++;
    return Accepted.Nothing;
  }
  framesIn++;
  if (control) return synchronize(frame, type);
  if (!open) return Accepted.Nothing;
  takeAck(frameAck(frame), now);
  if (type != FrameType.Data) return Accepted.Nothing;
  ackOwed = true;
  const channel = frameChannel(frame);
  // Out of order, or no room: the peer sends it again. Console input needs room for the word that some of it was lost.
  if (frameSeq(frame) != expected) return Accepted.Nothing;
  if (channel == Channel.Request ? !roomForRequest : channel == Channel.Console && room() == 0) return Accepted.Nothing;
  expected = (expected + 1) & 255;
  return channel;
}

/** A Sync whose epoch is the session's own is the peer's repetition: it is answered, and nothing is lost. A SyncAck counts only
 *  while no session is open: after that it is late. */
function synchronize(frame: usize, type: u32): i32 {
  const version = load<u32>(frame + PAYLOAD);
  const theirs = load<u32>(frame + PAYLOAD, 4);
  if (type == FrameType.SyncAck) {
    if (open || theirs != epoch || version != Link.Version) return Accepted.Nothing;
    peerEpoch = NEVER;
  } else {
    syncAckOwed = true;
    syncAckEpoch = theirs;
    if (version != Link.Version || (open && peerEpoch == theirs)) return Accepted.Nothing;
    peerEpoch = theirs;
  }
  open = true;
  ackOwed = false;
  expected = base = sent = high = next = 0;
  backoff = 0;
  return Accepted.Reset;
}

function takeAck(ack: u32, now: u64): void {
  const news = (ack - base) & 255;
  if (news == 0 || news > ((high - base) & 255)) return;
  if (news > ((sent - base) & 255)) sent = ack;
  base = ack;
  progress = now;
  backoff = 0;
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
  next = (next + 1) & 255;
}

function slot(seq: u32): usize {
  return OUTBOX + (seq % Link.Window) * Size.Slot;
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
  if (base == high) progress = now;
  else if (now >= resendDue()) resend(now, free);
  while (sent != next) if (!sendData()) return;
  if (ackOwed && put(CONTROL, FrameType.Ack, 0, 0, 0)) ackOwed = false;
}

/** The time counts from when the line had taken all of it: a slow line is no reason to send again. */
function resend(now: u64, free: u32): void {
  progress = now;
  if (free < ringBytes) return;
  sent = base;
  if (backoff < MAX_BACKOFF) backoff++;
}

function sendData(): bool {
  const frame = slot(sent);
  const payloadBytes = load<u32>(OUTBOX_BYTES + (sent % Link.Window) * 4);
  if (!put(frame, FrameType.Data, sent, frameChannel(frame), payloadBytes)) return false;
  ackOwed = false;
  const again = sent != high;
  sent = (sent + 1) & 255;
  if (again) framesResent++;
  else high = sent;
  return true;
}

function sendControl(type: u32, number: u32): bool {
  store<u32>(CONTROL + PAYLOAD, Link.Version);
  store<u32>(CONTROL + PAYLOAD, number, 4);
  return put(CONTROL, type, 0, 0, 8);
}

function put(frame: usize, type: u32, seq: u32, channel: u32, payloadBytes: u32): bool {
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
  return base == high ? NEVER : resendDue();
}
