// The first divergence of two recorded traces. Compared is what the guest did, as far as it depends neither on the vendor nor on time; so one image
// on VMX and on SVM can be held against itself.
import type { TracedExit } from "../api/trace.js";

/** Left out: what one vendor exits for and the other does not, and what comes when the clock says so. HLT is among them: whether a guest halts
 *  depends on whether the interrupt that it waits for was there before. */
export const LEFT_OUT: readonly string[] = [
  "interrupt-window",
  "nmi-window",
  "host-interrupt",
  "hlt",
  "pause",
  "cr-access",
  "rdtsc",
  "init",
];

/** The PIT's counters, the system control port (its refresh bit) and the RTC: what they read depends on the time. */
const CLOCK_PORTS: readonly number[] = [0x40, 0x41, 0x42, 0x61, 0x71];

const COMPARED = [
  "reason",
  "rip",
  "port",
  "bytes",
  "direction",
  "count",
  "leaf",
  "subleaf",
  "msr",
  "register",
  "vector",
  "call",
  "selector",
  "value",
] as const satisfies readonly (keyof TracedExit)[];

export type ComparedField = (typeof COMPARED)[number] | "end";

export interface TraceDifference {
  /** exits that were alike before it */
  alike: number;
  /** null: no further exit in that trace */
  a: TracedExit | null;
  b: TracedExit | null;
  differs: ComparedField[];
}

export interface TraceComparison {
  /** pairs that were compared and alike */
  alike: number;
  leftOut: { a: number; b: number };
  /** the comparison ended here because exits are missing: it says nothing of what comes after */
  lost: { a: boolean; b: boolean };
  difference: TraceDifference | null;
  /** the last pairs that are alike, as `a` has them */
  before: TracedExit[];
}

/** how many of the exits before the difference are given */
const CONTEXT = 5;

/** @param filtered only some exits were recorded: what is missing is no gap */
export function compareTraces(a: readonly TracedExit[], b: readonly TracedExit[], filtered = false): TraceComparison {
  const [left, right] = [comparable(a, filtered), comparable(b, filtered)];
  const leftOut = { a: a.length - left.exits.length - left.cut, b: b.length - right.exits.length - right.cut };
  const lost = { a: left.cut > 0, b: right.cut > 0 };
  const common = Math.min(left.exits.length, right.exits.length);
  const result = (alike: number, difference: TraceDifference | null): TraceComparison => ({
    alike,
    leftOut,
    lost,
    difference,
    before: left.exits.slice(Math.max(0, alike - CONTEXT), alike),
  });
  for (let index = 0; index < common; index++) {
    const [one, two] = [left.exits[index], right.exits[index]];
    if (!one || !two) break;
    const differs = COMPARED.filter((field) => !alike(field, one, two));
    if (differs.length > 0) return result(index, { alike: index, a: one, b: two, differs });
  }
  const [longer, shorter] = left.exits.length > right.exits.length ? [left, right] : [right, left];
  // The shorter one goes on, but nobody knows how.
  if (longer.exits.length === common || shorter.cut > 0) return result(common, null);
  const [one, two] = [left.exits[common] ?? null, right.exits[common] ?? null];
  return result(common, { alike: common, a: one, b: two, differs: ["end"] });
}

/** What is compared, up to the first exit that was lost; and how many come after that. */
function comparable(exits: readonly TracedExit[], filtered: boolean): { exits: TracedExit[]; cut: number } {
  const first = exits[0]?.index ?? 0;
  const gap = filtered ? -1 : exits.findIndex(({ index }, place) => index !== first + place);
  const whole = gap < 0 ? exits : exits.slice(0, gap);
  return { exits: whole.filter(({ reason }) => !LEFT_OUT.includes(reason)), cut: exits.length - whole.length };
}

function alike(field: (typeof COMPARED)[number], one: TracedExit, two: TracedExit): boolean {
  if (field === "value" && one.reason === "io-in" && one.port !== undefined && CLOCK_PORTS.includes(one.port)) return true;
  return one[field] === two[field];
}
