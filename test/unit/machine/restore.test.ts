// A machine that goes on from a region and CPUID rows that came from outside: what it takes, and what it refuses.
import { describe, expect, test } from "vitest";
import { CpuidTable, Layout, Verdict } from "../../../hv/machine/layout.js";
import { CpuModel, Status, Vendor } from "../../../protocol/messages.js";
import { ExitReason, Register } from "../../../protocol/state.js";
import { layout, region } from "../../../scripts/lib/layout.mjs";
import { fullCpu, Guest, VENDORS } from "./guest.js";

const TABLE_BYTES = CpuidTable.Rows * 16;
const table = layout();

const bytes = (guest: Guest, at: number, count: number): Uint8Array => new Uint8Array(guest.machine.memory.buffer, at, count);
const stateBytes = (guest: Guest): number => new DataView(guest.machine.memory.buffer).getUint32(Layout.StateBytes, true);
const place = (record: string, name: string): { address: number; at: number; type: string } => {
  const found = table.find((entry) => entry.record === record);
  const field = found?.fields.find((entry) => entry.name === name);
  if (!found || !field) throw new Error(`no ${record}.${name}`);
  return { address: found.address, at: found.address + field.offset, type: field.type };
};

/** As the host does it: the region, the rows, then restore. */
function move(from: Guest, to: Guest, halted = 0): number {
  bytes(to, Layout.Region, stateBytes(from)).set(bytes(from, Layout.Region, stateBytes(from)));
  bytes(to, CpuidTable.New, TABLE_BYTES).set(bytes(from, CpuidTable.At, TABLE_BYTES));
  return to.machine.restore(halted);
}

test("the region that is in use ends with the last record", () => {
  const last = table.at(-1);
  expect(Layout.Region + stateBytes(new Guest())).toBe(Math.ceil(((last?.address ?? 0) + (last?.bytes ?? 0)) / 8) * 8);
  expect(Layout.Region + stateBytes(new Guest())).toBeLessThan(region().end);
});

describe.each(VENDORS)("to %s", (_name, vendor) => {
  test("from either vendor: the devices, the timer, CPUID", () => {
    for (const [, before] of VENDORS) {
      const from = new Guest({ vendor: before });
      from.out(0x43, 0x34);
      from.out(0x40, 0x9c);
      from.out(0x40, 0x2e);
      from.out(0x21, 0xfe);
      from.out(0x80, 0x5a);
      expect(from.deadline).toBeLessThan(20_000_000n);
      const to = new Guest({ vendor });
      expect(move(from, to)).toBe(Status.Ok);
      // What is asked for comes with the first entry's event.
      to.machine.event(1);
      expect(to.deadline).toBe(from.deadline);
      expect(to.in(0x80) & 0xffn).toBe(0x5an);
      for (const leaf of [0, 1, 7, 13, 0x80000001]) expect(to.cpuid(leaf)).toEqual(from.cpuid(leaf));
    }
  });

  test("a guest that was halted stays so until something comes", () => {
    const from = new Guest({ vendor });
    from.set(Register.Rflags, 0x202);
    expect(from.exit("hlt", [0xf4])).toBe(Verdict.Halt);
    const to = new Guest({ vendor });
    expect(move(from, to, 1)).toBe(Status.Ok);
    expect(to.machine.event(1)).toBe(Verdict.Halt);
    expect(to.machine.event(8)).toBe(Verdict.Resume);
    expect(to.injected).toMatchObject({ type: 2, vector: 2 });
  });

  test("windows are asked for again", () => {
    const from = new Guest({ vendor });
    from.out(0x20, 0x11);
    for (const value of [0x20, 4, 1, 0xfe]) from.out(0x21, value);
    from.out(0x43, 0x34);
    from.out(0x40, 0x9c);
    from.out(0x40, 0x2e);
    from.set(Register.Rflags, 2);
    from.now = 20_000_000n;
    from.machine.event(1);
    expect(from.injected).toBeUndefined();
    const to = new Guest({ vendor });
    to.now = from.now;
    expect(move(from, to)).toBe(Status.Ok);
    to.set(Register.Rflags, 2);
    to.machine.event(1);
    expect(to.exit("interruptWindow", [0x90])).toBe(Verdict.Resume);
    to.set(Register.Rflags, 0x202);
    to.exit("interruptWindow", [0x90]);
    expect(to.injected).toMatchObject({ type: 0, vector: 0x20 });
  });
});

test.each([
  ["picMaster", "lowest", 8],
  ["picSlave", "lowest", 255],
  ["pit0", "count", 0],
  ["pit1", "count", 0x10001],
  ["pit2", "next", 0x10001],
  ["pit0", "mode", 6],
  ["pit0", "state", 4],
  ["pit2", "latched", 3],
  ["com1", "rxHead", 16],
  ["com1", "txHead", 16],
  ["com2", "rxCount", 17],
  ["com2", "txCount", 17],
  ["rtc", "origin", 1],
  ["rtc", "seconds", 2 ** 40],
  ["power", "ended", 1],
  ["power", "spelled", 8],
  ["machine", "halted", 2],
  ["machine", "nmi", 2],
  ["machine", "deferred", 0x20],
  ["machine", "deferred", 0x8000_0120],
  ["machine", "cpuModel", CpuModel.Portable],
  ["kvmclock", "systemTime", 0xffffffff],
  ["kvmclock", "wallClock", 0xfffffffc],
])("refused, with the record: %s.%s = %i", (record, name, value) => {
  const from = new Guest();
  const { address, at, type } = place(record, name);
  const view = new DataView(from.machine.memory.buffer);
  if (type === "u8") view.setUint8(at, value);
  else if (type === "u32") view.setUint32(at, value, true);
  else view.setBigUint64(at, BigInt(value), true);
  const to = new Guest();
  expect(move(from, to)).toBe(Status.RecordRefused);
  expect(to.machine.bootValue()).toBe(BigInt(address));
});

test("refused: the host has it halted, the machine does not know of it", () => {
  expect(move(new Guest(), new Guest(), 1)).toBe(Status.RecordRefused);
});

test.each([
  ["leaf 1 ECX", 1, 2, 30],
  ["leaf 7 EBX", 7, 1, 5],
  ["leaf 80000001h EDX", 0x80000001, 3, 29],
] as const)("a CPU that lacks a bit of %s says which", (_what, leaf, register, bit) => {
  const hostCpuid = (asked: number, subleaf: number): [number, number, number, number] => {
    const row: [number, number, number, number] = [...fullCpu(asked, subleaf)];
    if (asked === leaf) row[register] &= ~(1 << bit);
    return row;
  };
  const to = new Guest({ hostCpuid });
  const before = to.cpuid(leaf);
  expect(move(new Guest(), to)).toBe(Status.CpuLacks);
  const row = BigInt(((leaf << 2) | (leaf >>> 30)) >>> 0);
  expect(to.machine.bootValue()).toBe((row << 40n) | (BigInt(register) << 32n) | (1n << BigInt(bit)));
  expect(to.cpuid(leaf)).toEqual(before);
});

test("a CPU that has more shows the guest what it had", () => {
  const hostCpuid = (leaf: number, subleaf: number): readonly [number, number, number, number] =>
    leaf === 7 ? [0, 0, 0, 0] : fullCpu(leaf, subleaf);
  const to = new Guest();
  expect(move(new Guest({ hostCpuid }), to)).toBe(Status.Ok);
  expect(to.cpuid(7)).toEqual([0, 0, 0, 0]);
  // SMEP goes with its bit.
  to.set(Register.Rax, 0x100000);
  expect(to.counts.get(ExitReason.Cpuid)).toBeGreaterThan(0);
});

test("leaves that AMD repeats are no reason to refuse", () => {
  const intel = (leaf: number, subleaf: number): readonly [number, number, number, number] => {
    const [eax, ebx, ecx, edx] = fullCpu(leaf, subleaf);
    return [eax, ebx, ecx, leaf === 0x80000001 ? edx & ~0x0183f3ff : edx];
  };
  expect(move(new Guest({ vendor: Vendor.Svm }), new Guest({ vendor: Vendor.Vmx, hostCpuid: intel }))).toBe(Status.Ok);
});
