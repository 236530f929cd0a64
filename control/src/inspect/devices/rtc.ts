// The MC146818 in words: its time, its alarm, what it interrupts for.
import type { Records } from "../view.js";
import { recordOf } from "./record.js";

const SECOND = 1_000_000_000n;
/** from the year 0 (proleptic Gregorian), where the record counts from, to 1970 */
const SECONDS_TO_1970 = 719_528n * 86_400n;
const CELLS = 128;
const CELL = { secondsAlarm: 1, minutesAlarm: 3, hoursAlarm: 5, a: 10, b: 11, c: 12 } as const;
/** an alarm cell from here on matches everything */
const ANY = 0xc0;
const SOURCES: [number, string][] = [
  [0x10, "update"],
  [0x20, "alarm"],
  [0x40, "periodic"],
];

export interface RtcState {
  /** ISO 8601, without a zone; null: it is stopped, or shows a year beyond 9999 */
  time: string | null;
  /** neither SET nor the divider's reset holds it */
  running: boolean;
  /** register B: update, alarm, periodic */
  enabled: string[];
  /** register C: what has happened since it was read last */
  flags: string[];
  /** IRQ8 is up until register C is read */
  interrupt: boolean;
  /** "hh:mm:ss", ** for what matches everything; as the cells have it */
  alarm: string;
  /** of the periodic interrupt; null: off */
  periodicHz: number | null;
  /** port 70h bit 7 */
  nmiMasked: boolean;
}

export function rtcOf(records: Records, clockNs: bigint): RtcState {
  const { number, big, bytes } = recordOf(records, "rtc");
  const cells = bytes("cells", CELLS);
  const cell = (index: number): number => cells[index] ?? 0;
  const [a, b, c] = [cell(CELL.a), cell(CELL.b), cell(CELL.c)];
  const running = (b & 0x80) === 0 && (a & 0x60) !== 0x60;
  const passed = clockNs - big("origin");
  const seconds = big("seconds") + (passed > 0n ? passed / SECOND : 0n) - SECONDS_TO_1970;
  const rate = a & 15;
  const names = (bits: number): string[] => SOURCES.filter(([bit]) => bits & bit).map(([, name]) => name);
  const alarm = [CELL.hoursAlarm, CELL.minutesAlarm, CELL.secondsAlarm].map((index) => alarmText(cell(index), (b & 4) !== 0));
  return {
    time: running ? timeText(seconds) : null,
    running,
    enabled: names(b),
    flags: names(c),
    interrupt: (c & 0x80) !== 0,
    alarm: alarm.join(":"),
    periodicHz: rate === 0 ? null : 32_768 / 2 ** (rate < 3 ? rate + 6 : rate - 1),
    nmiMasked: (number("index") & 0x80) !== 0,
  };
}

function timeText(seconds: bigint): string | null {
  const date = new Date(Number(seconds) * 1000);
  const year = Number.isNaN(date.getTime()) ? 10_000 : date.getUTCFullYear();
  return year < 0 || year > 9999 ? null : date.toISOString().slice(0, 19);
}

/** Bit 7 of the hours is PM in the 12-hour form; binary cells are shown in decimal, BCD ones are decimal. */
function alarmText(value: number, binary: boolean): string {
  if (value >= ANY) return "**";
  const digits = binary ? String(value & 0x7f) : (value & 0x7f).toString(16);
  return `${digits.padStart(2, "0")}${value & 0x80 ? "pm" : ""}`;
}
