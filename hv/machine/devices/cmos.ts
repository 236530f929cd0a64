// The 128 cells behind port 71h: how a time lies in them (BCD or binary, 12 or 24 hours, the century that PCs added at 32h), and what a
// firmware would have stored in the others. rtc.ts makes the first fourteen a clock.

import * as guest from "../guest";
import { rtc } from "../state";
import { daysToMonth, daysToYear, monthOf, yearOf } from "./calendar";
import { RtcRecord } from "./records";

export const DAY: u64 = 86400;

export enum Cell {
  Seconds = 0,
  SecondsAlarm = 1,
  Minutes = 2,
  MinutesAlarm = 3,
  Hours = 4,
  HoursAlarm = 5,
  Weekday = 6,
  Day = 7,
  Month = 8,
  Year = 9,
  A = 10,
  B = 11,
  C = 12,
  D = 13,
  Equipment = 0x14,
  BaseMemory = 0x15,
  ExtendedMemory = 0x17,
  Checksum = 0x2e,
  ExtendedMemoryFound = 0x30,
  Century = 0x32,
  MemoryAbove16M = 0x34,
}

export enum B {
  Hours24 = 0x02,
  Binary = 0x04,
  UpdateEnable = 0x10,
  AlarmEnable = 0x20,
  PeriodicEnable = 0x40,
  Set = 0x80,
}

/** Writes a time into the cells. */
export function showSeconds(now: u64): void {
  const days = <u32>(now / DAY);
  const year = yearOf(days);
  const dayOfYear = days - daysToYear(year);
  const month = monthOf(year, dayOfYear);
  setCell(Cell.Seconds, encode(<u32>(now % 60)));
  setCell(Cell.Minutes, encode(<u32>((now / 60) % 60)));
  setCell(Cell.Hours, hourCell(<u32>((now / 3600) % 24)));
  // The first of January 0000 was a Saturday; Sunday is 1.
  setCell(Cell.Weekday, encode(((days + 6) % 7) + 1));
  setCell(Cell.Day, encode(dayOfYear - daysToMonth(year, month) + 1));
  setCell(Cell.Month, encode(month));
  setCell(Cell.Year, encode(year % 100));
  setCell(Cell.Century, encode((year / 100) % 100));
}

/** Any bytes give some time: fields out of range carry over. */
export function secondsOfCells(): u64 {
  const year = decode(Cell.Century) * 100 + decode(Cell.Year);
  const month = min(max(decode(Cell.Month), 1), 12);
  const days = daysToYear(year) + daysToMonth(year, month) + max(decode(Cell.Day), 1) - 1;
  let hour = cell(Cell.Hours);
  if (!(cell(Cell.B) & B.Hours24)) {
    const afternoon = hour & 0x80;
    hour = (number(hour & 0x7f) % 12) + (afternoon ? 12 : 0);
  } else hour = number(hour);
  return <u64>days * DAY + <u64>(hour * 3600 + decode(Cell.Minutes) * 60 + decode(Cell.Seconds));
}

/** Bit 7 is PM in the 12-hour form. */
export function hourCell(hour: u32): u32 {
  if (cell(Cell.B) & B.Hours24) return encode(hour);
  return encode(((hour + 11) % 12) + 1) | (hour >= 12 ? 0x80 : 0);
}

export function encode(value: u32): u32 {
  return cell(Cell.B) & B.Binary ? value : ((value / 10) << 4) | (value % 10);
}

function decode(index: u32): u32 {
  return number(cell(index));
}

function number(value: u32): u32 {
  return cell(Cell.B) & B.Binary ? value : (value >> 4) * 10 + (value & 15);
}

export function isTime(index: u32): bool {
  return index == Cell.Century || (index < <u32>Cell.A && (index > <u32>Cell.HoursAlarm || (index & 1) == 0));
}

/** What a firmware would have stored: the FPU, 640 KiB, and the memory above 1 MiB and above 16 MiB, with the checksum of 10h..2Dh. */
export function fillCells(): void {
  const bytes = guest.ramSize();
  const extended = <u32>min<u64>(bytes > 0x100000 ? (bytes - 0x100000) >> 10 : 0, 0xffff);
  const above16M = <u32>min<u64>(bytes > 0x1000000 ? (bytes - 0x1000000) >> 16 : 0, 0xffff);
  setCell(Cell.Equipment, 0x02);
  setCells(Cell.BaseMemory, 640);
  setCells(Cell.ExtendedMemory, extended);
  setCells(Cell.ExtendedMemoryFound, extended);
  setCells(Cell.MemoryAbove16M, above16M);
  let sum: u32 = 0;
  for (let index: u32 = 0x10; index < <u32>Cell.Checksum; index++) sum += cell(index);
  setCell(Cell.Checksum, sum >> 8);
  setCell(Cell.Checksum + 1, sum);
}

function setCells(index: u32, value: u32): void {
  setCell(index, value);
  setCell(index + 1, value >> 8);
}

export function cell(index: u32): u32 {
  return load<u8>(changetype<usize>(rtc) + index, offsetof<RtcRecord>("cells0"));
}

export function setCell(index: u32, value: u32): void {
  store<u8>(changetype<usize>(rtc) + index, <u8>value, offsetof<RtcRecord>("cells0"));
}
