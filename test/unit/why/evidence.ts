// Evidence that a test makes up: a healthy guest in 64-bit mode, with what the test changes.

import { machineOf } from "../../../control/src/inspect/devices/machine.js";
import { disassemble } from "../../../control/src/inspect/disasm.js";
import type { MachineState, Records } from "../../../control/src/inspect/view.js";
import type { Activity, Evidence, Running, Sample, Standing } from "../../../control/src/why/evidence.js";

export const RIP = 0x10_0000n;
const NEVER = 0xffff_ffff_ffff_ffffn;

const pic = { irr: 0n, isr: 0n, imr: 0n, icw1: 0x11n, base: 0x20n, lowest: 7n, expected: 0n, elcr: 0n, icw4: 1n };
/** PICs initialized and open, no timer, COM1 and COM2 silent. */
const quiet: Records = {
  picMaster: pic,
  picSlave: { ...pic, base: 0x28n },
  pit0: { mode: 2n, state: 0n },
  timers: { pit: NEVER, rtc: NEVER, com1: NEVER, com2: NEVER },
  com1: { lcr: 3n, divisor: 1n },
  com2: { lcr: 3n, divisor: 1n },
};

/** Fields by "record.field" on top of a quiet machine. */
export function recordsWith(changes: Record<string, bigint | readonly bigint[]> = {}): Records {
  const records: Record<string, Record<string, bigint | readonly bigint[]>> = structuredClone(quiet) as never;
  for (const [path, value] of Object.entries(changes)) {
    const [record = "", field = ""] = path.split(".");
    records[record] = { ...records[record], [field]: value };
  }
  return records;
}

export function standing(
  {
    records = {},
    code = "90",
    before = "9090",
    flags = 0x202n,
    ...machine
  }: Partial<Omit<MachineState, "records">> & {
    records?: Parameters<typeof recordsWith>[0];
    code?: string;
    before?: string;
    flags?: bigint;
  } = {},
  registers: Record<string, bigint> = {},
): Standing {
  const state: MachineState = {
    records: recordsWith(records),
    clockNs: 10n ** 9n,
    halted: false,
    inject: 0n,
    events: 0,
    inputBytes: [0, 0],
    ...machine,
  };
  return {
    registers: { rip: RIP, rflags: flags, cr0: 0x8000_0011n, cr4: 0x20n, efer: 0xd01n, "cs.attributes": 0xa09bn, ...registers },
    machine: machineOf(state),
    code: disassemble(64, RIP, Buffer.from(code, "hex"), 8),
    unmapped: null,
    before: Buffer.from(before, "hex"),
  };
}

export const samples = (count: number, halted: boolean, rip: (index: number) => bigint = () => RIP): Sample[] =>
  Array.from({ length: count }, (_, index) => ({ rip: rip(index), halted }));

export function running(change: Partial<Omit<Running, "activity">> & { activity?: Partial<Activity> } = {}): Running {
  const activity = { ns: 300_000_000n, runNs: 290_000_000n, haltNs: 0n, exits: 10n, byReason: new Map(), injected: 0n, ...change.activity };
  return { samples: samples(12, false), unchanged: false, cpus: null, ...change, activity };
}

export const asleep = (injected = 0n): Running => running({ samples: samples(12, true), activity: { runNs: 1000n, injected } });

export const evidence = (change: Partial<Evidence> = {}): Evidence => ({
  guest: "web",
  state: "running",
  end: null,
  debugged: false,
  standing: undefined,
  running: undefined,
  fault: undefined,
  ...change,
});
