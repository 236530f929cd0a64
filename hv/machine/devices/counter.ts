// One counter of the 8254 as arithmetic (Intel 231164, "Mode definitions"): what OUT and the count are at a tick, when OUT rises
// next, and how a control word, a count and GATE change that. pit.ts has the registers around it. A count that is written at tick
// t is loaded at the CLK pulse t + 1.

import { NEVER } from "../timers";
import { PitRecord } from "./records";

const HZ: u64 = 1193182;
const SECOND: u64 = 1000000000;
/** 20 us: edges closer than this are delivered this far apart: the guest cannot storm the host's timer */
export const MIN_PERIOD: u64 = 24;

export enum Counting {
  /** programmed, no count yet */
  Idle = 0,
  /** has a count; waits for GATE: a rising edge in modes 1 and 5, high in modes 2 and 3 */
  Waiting = 1,
  /** modes 0 and 4 with GATE low: `held` ticks are done */
  Held = 2,
  Running = 3,
}

/** The tick that guest.clock() is in. */
export function ticksOf(time: u64): u64 {
  return (time / SECOND) * HZ + ((time % SECOND) * HZ) / SECOND;
}

/** The first nanosecond of a tick. */
export function timeOf(tick: u64): u64 {
  return (tick / HZ) * SECOND + ((tick % HZ) * SECOND + HZ - 1) / HZ;
}

/** A control word, other than a latch or read-back command. */
export function setMode(counter: PitRecord, control: u32): void {
  const mode = (control >> 1) & 7;
  counter.mode = <u8>(mode > 5 ? mode & 3 : mode);
  counter.control = <u8>(control & 0x3f);
  setState(counter, Counting.Idle);
  counter.next = 0;
  counter.writeHigh = 0;
  counter.readHigh = 0;
  counter.latched = 0;
  counter.statusLatched = 0;
}

/** A whole count was written, in the form that the control word says (0 is the largest). */
export function loadCount(counter: PitRecord, written: u32, now: u64): void {
  const bcd = isBcd(counter);
  let count = written & 0xffff;
  if (bcd) count = (count >> 12) * 1000 + ((count >> 8) & 15) * 100 + ((count >> 4) & 15) * 10 + (count & 15);
  if (count == 0) count = bcd ? 10000 : 0x10000;
  const mode = counter.mode;
  if (counter.state == Counting.Running && mode != 0 && mode != 4 && now >= counter.start) {
    // The period or shot goes on; the new count is for the next (mode 3: half) one.
    counter.next = count;
    counter.turn = isPeriodic(counter) ? nextTurn(counter, now) : NEVER;
    return;
  }
  counter.count = count;
  counter.next = 0;
  if (counter.state == Counting.Running) counter.start = now + 1;
  else if (mode == 1 || mode == 5) setState(counter, Counting.Waiting);
  else if (counter.gate) run(counter, now);
  else if (isPeriodic(counter)) setState(counter, Counting.Waiting);
  else hold(counter, 0);
}

export function setGate(counter: PitRecord, level: u32, now: u64): void {
  counter.gate = <u8>level;
  const state = counter.state;
  if (state == Counting.Idle) return;
  if (counter.mode == 0 || counter.mode == 4) {
    if (!level) hold(counter, elapsed(counter, now));
    else {
      counter.start = now - counter.held;
      setState(counter, Counting.Running);
    }
  } else if (level) {
    if (counter.next) counter.count = counter.next;
    counter.next = 0;
    run(counter, now);
  } else if (isPeriodic(counter)) setState(counter, Counting.Waiting);
}

/** The level of OUT. */
export function counterOut(counter: PitRecord, now: u64): bool {
  const state = counter.state;
  const mode = counter.mode;
  if (state == Counting.Idle || state == Counting.Waiting) return mode != 0;
  const done = elapsed(counter, now);
  const count: u64 = counter.count;
  if (mode < 2) return done >= count;
  if (mode == 2) return done % count != count - 1;
  if (mode == 3) return done % count < half(count);
  return done != count;
}

/** The count as the guest reads it. */
export function counterValue(counter: PitRecord, now: u64): u32 {
  const done = elapsed(counter, now);
  const count: u64 = counter.count;
  let value: u64;
  if (counter.mode == 2) value = count - (done % count);
  else if (counter.mode == 3) {
    // Counts down by two in each half; an odd count is one less (231164, mode 3, "Odd counts").
    const position = done % count;
    value = (count & ~1) - 2 * (position < half(count) ? position : position - half(count));
  } else {
    const range: u64 = isBcd(counter) ? 10000 : 0x10000;
    value = (count + range - (done % range)) % range;
  }
  if (!isBcd(counter)) return <u32>value & 0xffff;
  const digits = <u32>value % 10000;
  return ((digits / 1000) << 12) | (((digits / 100) % 10) << 8) | (((digits / 10) % 10) << 4) | (digits % 10);
}

/** NULL COUNT of the status byte: what was written last is not yet in the counting element. */
export function isNull(counter: PitRecord, now: u64): bool {
  return counter.state < <u8>Counting.Held || counter.next != 0 || (counter.state == Counting.Running && now < counter.start);
}

/** Brings the counter to `now`; the number of rising edges of OUT since the last call. */
export function advance(counter: PitRecord, now: u64): u64 {
  let edges: u64 = 0;
  if (counter.state == Counting.Running) {
    if (counter.next && now >= counter.turn) {
      edges = edgesUntil(counter, counter.turn) - edgesUntil(counter, counter.seen);
      turn(counter);
    }
    edges += edgesUntil(counter, now) - edgesUntil(counter, counter.seen);
  }
  counter.seen = now;
  return edges;
}

/** The first tick after the last advance() at which OUT rises, or at which a new count is loaded. */
export function nextEdge(counter: PitRecord): u64 {
  if (counter.state != Counting.Running) return NEVER;
  const count: u64 = counter.count;
  if (isPeriodic(counter)) {
    if (counter.next) return counter.turn;
    return count < 2 ? NEVER : max(counter.start + (edgesUntil(counter, counter.seen) + 1) * count, counter.seen + MIN_PERIOD);
  }
  const edge = counter.start + count + (counter.mode >= 4 ? 1 : 0);
  return edge > counter.seen ? edge : NEVER;
}

/** Rising edges from the load to `tick`, that tick included. A count of 1 gives none in the periodic modes (it is not legal). */
function edgesUntil(counter: PitRecord, tick: u64): u64 {
  if (tick < counter.start) return 0;
  const done = tick - counter.start;
  const count: u64 = counter.count;
  if (isPeriodic(counter)) return count < 2 ? 0 : done / count;
  return done >= count + (counter.mode >= 4 ? 1 : 0) ? 1 : 0;
}

/** The end of the period, or of the half period in mode 3, that `now` lies in. */
function nextTurn(counter: PitRecord, now: u64): u64 {
  const count: u64 = counter.count;
  const done = elapsed(counter, now);
  counter.start += (done / count) * count;
  return counter.start + (counter.mode == 3 && done % count < half(count) ? half(count) : count);
}

/** Loads `next` at `turn`. A low half that is to come belongs to a period that would have begun before it. */
function turn(counter: PitRecord): void {
  const begins = counter.turn - counter.start == <u64>counter.count;
  counter.start = begins ? counter.turn : counter.turn - half(counter.next);
  counter.count = counter.next;
  counter.next = 0;
  counter.seen = counter.turn;
}

/** setMode, a first byte in mode 0, and the functions here. */
export function setState(counter: PitRecord, state: Counting): void {
  counter.state = <u8>state;
}

function run(counter: PitRecord, now: u64): void {
  counter.start = now + 1;
  setState(counter, Counting.Running);
}

function hold(counter: PitRecord, done: u64): void {
  counter.held = done;
  setState(counter, Counting.Held);
}

function elapsed(counter: PitRecord, now: u64): u64 {
  if (counter.state == Counting.Held) return counter.held;
  return counter.state == Counting.Running && now > counter.start ? now - counter.start : 0;
}

/** Ticks that OUT is high in a period of mode 3. */
function half(count: u64): u64 {
  return (count + 1) / 2;
}

function isPeriodic(counter: PitRecord): bool {
  return (counter.mode & ~1) == 2;
}

function isBcd(counter: PitRecord): bool {
  return (counter.control & 1) != 0;
}
