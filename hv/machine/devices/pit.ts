// The 8254 timer (Intel 231164): three counters at 1193182 Hz. Counter 0's OUT is IRQ0, counter 2's gate and OUT go through port
// 61h. Nothing counts here: a counter is the tick at which it was loaded, and everything that can be seen follows from guest.clock(),
// with exact integers, so that a minute has its exact number of ticks. counter.ts has the arithmetic of one counter.
//
//   control word   7 6     5 4      3 2 1   0        read-back   7 6   5      4       3  2  1  0
//                  SC      RW       M       BCD                  1 1   COUNT# STATUS# C2 C1 C0 0

import * as guest from "../guest";
import { picMaster, pit0, pit1, pit2, timers } from "../state";
import { NEVER, rearm } from "../timers";
import {
  advance,
  Counting,
  counterOut,
  counterValue,
  isNull,
  loadCount,
  MIN_PERIOD,
  nextEdge,
  setGate,
  setMode,
  setState,
  ticksOf,
  timeOf,
} from "./counter";
import { isAsked, pulse, unpulse } from "./pic";
import { PitRecord } from "./records";

const IRQ: u32 = 0;
const CONTROL: u32 = 3;
const READ_BACK: u32 = 3;
/** guest time, ns, from a tick that was taken to one that is owed: however many are, what they interrupt gets on in between */
const PACE: u64 = 50_000;
/** a minute at 1000 Hz */
const MOST_OWED: u64 = 60000;

enum Access {
  Latch = 0,
  Low = 1,
  High = 2,
  Both = 3,
}

/** Counter 0 waits for its program: no tick comes before the guest asks for it, as it has no firmware that would. */
export function pitReset(): void {
  reset(pit0, 0x36);
  reset(pit1, 0x14);
  reset(pit2, 0x36);
  pit0.gate = 1;
  pit1.gate = 1;
}

export function pitRead(offset: u32): u32 {
  if (offset == CONTROL) return 0xff;
  const counter = counterOf(offset);
  if (counter.statusLatched) {
    counter.statusLatched = 0;
    return counter.status;
  }
  const access = accessOf(counter);
  if (counter.latched) {
    const high = access == Access.High || (access == Access.Both && counter.latched == 1);
    counter.latched--;
    return high ? counter.latch >> 8 : counter.latch & 0xff;
  }
  const value = counterValue(counter, catchUp(counter));
  const high = access == Access.High || counter.readHigh;
  if (access == Access.Both) counter.readHigh ^= 1;
  return high ? value >> 8 : value & 0xff;
}

export function pitWrite(offset: u32, value: u32): void {
  if (offset == CONTROL) writeControl(value);
  else writeCount(counterOf(offset), value);
}

/** Port 61h bit 0. */
export function pitGate(level: u32): void {
  if (pit2.gate != <u8>level) setGate(pit2, level, catchUp(pit2));
}

/** Port 61h bit 5. */
export function pitOut(): u32 {
  return <u32>counterOut(pit2, catchUp(pit2));
}

/** EventBit.Timer, when counter 0's deadline has come. */
export function pitTimer(): void {
  catchUp(pit0);
  giveOwed();
  schedule();
}

/** The CPU took a tick. The next one that is owed does not come at once: a guest that had its CPU for less time than its ticks ask for would
 *  never be out of their handler. */
export function pitTaken(): void {
  if (pit0.owed) schedule();
}

function writeControl(value: u32): void {
  const select = value >> 6;
  if (select == READ_BACK) {
    for (let index: u32 = 0; index < 3; index++) {
      if (!(value & (2 << index))) continue;
      const counter = counterOf(index);
      const now = catchUp(counter);
      if (!(value & 0x20)) latchCount(counter, now);
      if (!(value & 0x10)) latchStatus(counter, now);
    }
    return;
  }
  const counter = counterOf(select);
  const now = catchUp(counter);
  if (((value >> 4) & 3) == Access.Latch) {
    latchCount(counter, now);
    return;
  }
  const before = counterOut(counter, now);
  setMode(counter, value);
  if (select == 0) {
    pit0.owed = 0;
    outChanged(before, now);
  }
}

function writeCount(counter: PitRecord, value: u32): void {
  const now = catchUp(counter);
  const access = accessOf(counter);
  const before = counterOut(counter, now);
  if (access == Access.Both && !counter.writeHigh) {
    counter.low = <u8>value;
    counter.writeHigh = 1;
    // 231164, mode 0: "Writing the first byte disables counting."
    if (counter.mode == 0) setState(counter, Counting.Idle);
  } else {
    counter.writeHigh = 0;
    loadCount(counter, access == Access.Low ? value : access == Access.High ? value << 8 : (value << 8) | counter.low, now);
  }
  if (counter === pit0) outChanged(before, now);
}

/** Counter 0 was programmed: OUT may have moved with it, and the next edge has. */
function outChanged(before: bool, now: u64): void {
  const after = counterOut(pit0, now);
  if (after && !before) tick(1);
  if (before && !after) unpulse(IRQ);
  schedule();
}

/** Reports the rising edges since the last look. Only counter 0's have somebody who listens. */
function catchUp(counter: PitRecord): u64 {
  const now = ticksOf(guest.clock());
  const edges = advance(counter, now);
  if (edges && counter === pit0) tick(edges);
  return now;
}

/** At most one tick waits at the controller. Those that come on top of it are owed: a guest that did not run for a while counts them all the
 *  same. Not owed is what nobody counts: ticks while IRQ0 is masked, those of a period that the host's timer does not keep up with, and
 *  more than a minute of the fastest clock that systems use. */
function tick(edges: u64): void {
  const counted = !(picMaster.imr & 1) && pit0.count >= <u32>MIN_PERIOD;
  pit0.owed = counted ? min(pit0.owed + edges, MOST_OWED) : 1;
  giveOwed();
  if (!counted) pit0.owed = 0;
}

function giveOwed(): void {
  if (pit0.owed && pulse(IRQ)) pit0.owed--;
}

function schedule(): void {
  const edge = nextEdge(pit0);
  timers.pit = edge == NEVER ? NEVER : timeOf(edge);
  if (pit0.owed && !isAsked(IRQ)) timers.pit = min(timers.pit, guest.clock() + PACE);
  rearm();
}

function latchCount(counter: PitRecord, now: u64): void {
  if (counter.latched) return;
  counter.latch = <u16>counterValue(counter, now);
  counter.latched = accessOf(counter) == Access.Both ? 2 : 1;
}

/** OUT, NULL COUNT, then the control word. */
function latchStatus(counter: PitRecord, now: u64): void {
  if (counter.statusLatched) return;
  counter.status = <u8>(((<u32>counterOut(counter, now)) << 7) | ((<u32>isNull(counter, now)) << 6) | counter.control);
  counter.statusLatched = 1;
}

function counterOf(index: u32): PitRecord {
  return index == 0 ? pit0 : index == 1 ? pit1 : pit2;
}

function accessOf(counter: PitRecord): u32 {
  return counter.control >> 4;
}

function reset(counter: PitRecord, control: u32): void {
  setMode(counter, control);
  counter.count = 0x10000;
}
