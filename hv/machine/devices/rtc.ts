// The MC146818 real-time clock and its CMOS cells (Motorola data sheet), ports 70h and 71h, IRQ8. The time is init's wall clock plus
// guest.clock(); cells 0..9 and 32h (the century, which PCs added) are filled in when somebody looks. An update happens at each full
// second; UIP is set for the 2228 us before it (data sheet, "Update cycle": 244 us warning, 1984 us update at 32768 Hz).
// Not modelled: daylight saving (DSE), the square wave output.
//
//   A   UIP | DV2..0 | RS3..0        C   IRQF PF AF UF | 0 0 0 0
//   B   SET PIE AIE UIE SQWE DM 24h DSE        D   VRT | 0...

import * as guest from "../guest";
import { rtc, timers } from "../state";
import { NEVER, rearm } from "../timers";
import { DAYS_TO_1970 } from "./calendar";
import { B, Cell, cell, DAY, encode, fillCells, hourCell, isTime, secondsOfCells, setCell, showSeconds } from "./cmos";
import { setLine } from "./pic";

const IRQ: u32 = 8;
const SECOND: u64 = 1000000000;
const UIP_NS: u64 = 2228000;

enum A {
  Rate = 0x0f,
  /** the two upper bits of DV set hold the divider in reset */
  DividerReset = 0x60,
  UpdateInProgress = 0x80,
}

enum C {
  Update = 0x10,
  Alarm = 0x20,
  Periodic = 0x40,
  Interrupt = 0x80,
}

/** An alarm cell from here on matches everything. */
const ANY: u32 = 0xc0;

export function rtcReset(wallSeconds: u64): void {
  rtc.seconds = DAYS_TO_1970 * DAY + wallSeconds;
  rtc.updated = rtc.seconds;
  rtc.shown = NEVER;
  setCell(Cell.A, 0x26);
  setCell(Cell.B, B.Hours24);
  setCell(Cell.D, 0x80);
  fillCells();
}

/** Port 70h cannot be read. */
export function rtcIndexWrite(value: u32): void {
  rtc.index = <u8>value;
}

/** Port 70h bit 7. */
export function isNmiMasked(): bool {
  return rtc.index >> 7 != 0;
}

export function rtcRead(): u32 {
  const index: u32 = rtc.index & 0x7f;
  if (index == Cell.A) {
    const updating = isRunning() && <u64>(<i64>guest.clock() - rtc.origin) % SECOND >= SECOND - UIP_NS;
    return cell(Cell.A) | (updating ? A.UpdateInProgress : 0);
  }
  if (index == Cell.C) {
    catchUp();
    const flags = cell(Cell.C);
    setCell(Cell.C, 0);
    schedule();
    return flags;
  }
  if (isTime(index)) show();
  return cell(index);
}

export function rtcWrite(value: u32): void {
  const index: u32 = rtc.index & 0x7f;
  if (index == Cell.C || index == Cell.D) return;
  catchUp();
  if (index == Cell.A) writeControl(Cell.A, value & 0x7f);
  // Data sheet, register B: SET also clears UIE.
  else if (index == Cell.B) writeControl(Cell.B, value & B.Set ? value & ~B.UpdateEnable : value);
  else if (isTime(index)) {
    show();
    setCell(index, value);
    if (isRunning()) restart(rtc.origin);
  } else setCell(index, value);
  catchUp();
  schedule();
}

/** EventBit.Timer, when the clock's deadline has come. */
export function rtcTimer(): void {
  catchUp();
  schedule();
}

/** Registers A and B: time stops in the cells while SET or the divider's reset is on, and goes on from the cells. */
function writeControl(index: u32, value: u32): void {
  const wasRunning = isRunning();
  const wasReset = isDividerReset();
  if (wasRunning) show();
  setCell(index, value);
  if (isRunning()) {
    // Data sheet, "Divider control": the first update comes half a second after the divider's reset ends.
    if (wasReset) restart(<i64>guest.clock() - <i64>(SECOND / 2));
    else if (!wasRunning) restart(rtc.origin);
    rtc.shown = NEVER;
  }
  if (wasReset) rtc.ticked = ticksOf(guest.clock());
}

/** The time is what the cells say, in the second that began last, counting seconds from `origin`. */
function restart(origin: i64): void {
  const passed = <u64>(<i64>guest.clock() - origin) / SECOND;
  rtc.origin = origin + <i64>(passed * SECOND);
  rtc.seconds = secondsOfCells();
  rtc.updated = rtc.seconds;
}

/** Sets the flags for all that happened since the last look, and IRQ8. */
function catchUp(): void {
  const clock = guest.clock();
  let flags = cell(Cell.C);
  if (isRunning()) {
    const now = secondsAt(clock);
    if (now != rtc.updated) {
      flags |= C.Update;
      if (nextAlarm(rtc.updated) <= now) flags |= C.Alarm;
      rtc.updated = now;
    }
  }
  const period = periodTicks();
  if (period && !isDividerReset()) {
    const ticks = ticksOf(clock);
    if (ticks / period != rtc.ticked / period) flags |= C.Periodic;
    rtc.ticked = ticks;
  }
  setFlags(flags);
}

/** C's flags have the places of B's enables. */
function setFlags(flags: u32): void {
  const raised = (flags & cell(Cell.B) & (C.Update | C.Alarm | C.Periodic)) != 0;
  setCell(Cell.C, raised ? flags | C.Interrupt : flags & ~C.Interrupt);
  setLine(IRQ, raised);
}

/** While IRQ8 is up nothing more can happen until register C is read. */
function schedule(): void {
  setFlags(cell(Cell.C));
  let deadline = NEVER;
  const enables = cell(Cell.B);
  if (!(cell(Cell.C) & C.Interrupt)) {
    if (isRunning()) {
      if (enables & B.UpdateEnable) deadline = timeOfSecond(rtc.updated + 1);
      if (enables & B.AlarmEnable) deadline = min(deadline, timeOfSecond(nextAlarm(rtc.updated)));
    }
    const period = periodTicks();
    if (enables & B.PeriodicEnable && period && !isDividerReset()) deadline = min(deadline, timeOfTick((rtc.ticked / period + 1) * period));
  }
  timers.rtc = deadline;
  rearm();
}

/** The first second after `after` that the alarm cells match. A field that fails skips to its next value, so the steps are few. */
function nextAlarm(after: u64): u64 {
  const hour = cell(Cell.HoursAlarm);
  const minute = cell(Cell.MinutesAlarm);
  const second = cell(Cell.SecondsAlarm);
  const end = after + DAY;
  let time = after + 1;
  while (time <= end) {
    if (hour < ANY && hour != hourCell(<u32>((time / 3600) % 24))) time = (time / 3600 + 1) * 3600;
    else if (minute < ANY && minute != encode(<u32>((time / 60) % 60))) time = (time / 60 + 1) * 60;
    else if (second < ANY && second != encode(<u32>(time % 60))) time++;
    else return time;
  }
  return NEVER;
}

/** Brings the time cells up to date. */
function show(): void {
  if (!isRunning()) return;
  const now = secondsAt(guest.clock());
  if (now == rtc.shown) return;
  rtc.shown = now;
  showSeconds(now);
}

function isRunning(): bool {
  return !(cell(Cell.B) & B.Set) && !isDividerReset();
}

function isDividerReset(): bool {
  return (cell(Cell.A) & A.DividerReset) == A.DividerReset;
}

/** The periodic interrupt's period at 32768 Hz; 0: off. Rates 1 and 2 are those of 8 and 9 (data sheet, table 5). */
function periodTicks(): u64 {
  const rate = cell(Cell.A) & A.Rate;
  return rate == 0 ? 0 : (<u64>1) << (rate < 3 ? rate + 6 : rate - 1);
}

function secondsAt(clock: u64): u64 {
  return rtc.seconds + <u64>(<i64>clock - rtc.origin) / SECOND;
}

function timeOfSecond(second: u64): u64 {
  return second == NEVER ? NEVER : <u64>(rtc.origin + <i64>((second - rtc.seconds) * SECOND));
}

/** 32768 / 1e9 = 64 / 1953125 */
function ticksOf(clock: u64): u64 {
  return (clock * 64) / 1953125;
}

function timeOfTick(tick: u64): u64 {
  return (tick * 1953125 + 63) / 64;
}
