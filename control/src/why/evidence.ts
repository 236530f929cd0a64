// What is known of a guest when somebody asks why it hangs: looked at for about a third of a second, then left alone. The rules in this folder
// see nothing else, so that they are functions of it.
import type { GuestEnd, GuestStats, SubjectState } from "../api/schemas.js";
import type { Machine } from "../inspect/devices/machine.js";
import type { Instruction } from "../inspect/disasm.js";
import type { Registers } from "../inspect/view.js";
import type { KernelPanic } from "../linux/kernelpanic.js";
import type { FaultChain } from "./fault.js";

export interface Sample {
  /** linear */
  rip: bigint;
  halted: boolean;
}

/** What happened between two looks. */
export interface Activity {
  /** of the guest's time */
  ns: bigint;
  runNs: bigint;
  haltNs: bigint;
  exits: bigint;
  byReason: ReadonlyMap<string, bigint>;
  /** interrupts and exceptions that were delivered */
  injected: bigint;
}

/** A guest that the hypervisor has: where it stands. */
export interface Standing {
  registers: Registers;
  machine: Machine;
  /** from RIP on; empty: it is not mapped */
  code: readonly Instruction[];
  /** why there is no code at RIP */
  unmapped: string | null;
  /** the bytes right before RIP, two where they are mapped: a HLT, IN or OUT is done when RIP is past it */
  before: Uint8Array;
}

export interface Running {
  samples: readonly Sample[];
  activity: Activity;
  /** general registers that had the same value at both looks */
  unchanged: boolean;
  /** each CPU's load in percent, and the guest on it; asked for only when this one hardly ran */
  cpus: readonly { index: number; loadPercent: number; guest: string | null }[] | null;
}

export interface Evidence {
  guest: string;
  /** saved: it is in a snapshot, which shows one moment */
  state: SubjectState;
  end: GuestEnd | null;
  /** a debugger has it */
  debugged: boolean;
  /** undefined: the hypervisor has it no more */
  standing: Standing | undefined;
  /** while it runs */
  running: Running | undefined;
  /** of a triple fault */
  fault: FaultChain | undefined;
  /** of a Linux in a snapshot, whose log was read */
  panic?: KernelPanic | undefined;
}

/** @param ns of the guest's time between the two, which are not quite of the moments that it was measured at */
export function activityOf(before: GuestStats, after: GuestStats, ns: bigint): Activity {
  const since = (name: "runNs" | "haltNs" | "exits" | "injected"): bigint => BigInt(after[name]) - BigInt(before[name]);
  const earlier = new Map(before.byReason.map(({ reason, count }) => [reason, BigInt(count)]));
  const byReason = new Map(
    after.byReason
      .map(({ reason, count }): [string, bigint] => [reason, BigInt(count) - (earlier.get(reason) ?? 0n)])
      .filter(([, count]) => count > 0n),
  );
  const [runNs, haltNs] = [since("runNs"), since("haltNs")];
  return { ns: ns > runNs + haltNs ? ns : runNs + haltNs, runNs, haltNs, exits: since("exits"), byReason, injected: since("injected") };
}
