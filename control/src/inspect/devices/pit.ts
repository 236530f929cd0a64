// The 8254's counters in words (Intel 231164): their mode, what they count from, where they are now. The arithmetic is that of
// hv/machine/devices/counter.ts; a test compares them.
import type { Records } from "../view.js";
import { recordOf } from "./record.js";

const HZ = 1_193_182n;
const SECOND = 1_000_000_000n;
const MODES = [
  "interrupt on terminal count",
  "hardware one-shot",
  "rate generator",
  "square wave",
  "software strobe",
  "hardware strobe",
] as const;
const COUNTING = ["idle", "waiting", "held", "running"] as const;

export interface PitState {
  counter: 0 | 1 | 2;
  mode: number;
  modeName: string;
  /** idle: it has no count yet. waiting: for its gate. held: stopped by it. */
  state: (typeof COUNTING)[number];
  /** what it counts from, 1 to 65536 */
  reload: number;
  /** a count that was written and is not loaded yet */
  next: number | null;
  /** as the guest would read it now */
  count: number;
  out: boolean;
  gate: boolean;
  bcd: boolean;
  /** of OUT in modes 2 and 3, while it runs */
  hz: number | null;
  /** counter 0: ticks that wait to be given */
  owed: number;
}

export function pitsOf(records: Records, clockNs: bigint): [PitState, PitState, PitState] {
  const now = (clockNs / SECOND) * HZ + ((clockNs % SECOND) * HZ) / SECOND;
  return [counterOf(records, 0, now), counterOf(records, 1, now), counterOf(records, 2, now)];
}

function counterOf(records: Records, counter: 0 | 1 | 2, now: bigint): PitState {
  const { number, big } = recordOf(records, `pit${counter}`);
  const mode = number("mode");
  const state = COUNTING[number("state")] ?? "idle";
  const periodic = mode === 2 || mode === 3;
  const bcd = (number("control") & 1) !== 0;
  const { start, count, pending } = loaded(records, counter, now);
  const done = state === "held" ? big("held") : state === "running" && now > start ? now - start : 0n;
  const out = state === "idle" || state === "waiting" ? mode !== 0 : outAt(mode, count, done);
  return {
    counter,
    mode,
    modeName: MODES[mode] ?? `mode ${mode}`,
    state,
    reload: Number(count),
    next: pending === 0n ? null : Number(pending),
    count: state === "idle" ? 0 : valueAt(mode, count, done, bcd),
    out,
    gate: number("gate") !== 0,
    bcd,
    hz: state === "running" && periodic && count > 1n ? Math.round((Number(HZ) / Number(count)) * 1000) / 1000 : null,
    owed: Number(big("owed")),
  };
}

/** Where the count was loaded, with a new count taken over when its turn has passed: the record may be older than the clock. */
function loaded(records: Records, counter: number, now: bigint): { start: bigint; count: bigint; pending: bigint } {
  const { number, big } = recordOf(records, `pit${counter}`);
  const [start, count, pending, turn] = [big("start"), big("count"), big("next"), big("turn")];
  if (pending === 0n || number("state") !== 3 || now < turn) return { start, count: count === 0n ? 1n : count, pending };
  return { start: turn - start === count ? turn : BigInt.asUintN(64, turn - half(pending)), count: pending, pending: 0n };
}

function outAt(mode: number, count: bigint, done: bigint): boolean {
  if (mode < 2) return done >= count;
  if (mode === 2) return done % count !== count - 1n;
  if (mode === 3) return done % count < half(count);
  return done !== count;
}

function valueAt(mode: number, count: bigint, done: bigint, bcd: boolean): number {
  if (mode === 2) return Number(count - (done % count));
  if (mode === 3) {
    const position = done % count;
    return Number((count & ~1n) - 2n * (position < half(count) ? position : position - half(count)));
  }
  const range = bcd ? 10_000n : 0x1_0000n;
  return Number((count + range - (done % range)) % range);
}

const half = (count: bigint): bigint => (count + 1n) / 2n;
