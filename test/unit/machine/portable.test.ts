// The portable CPU model: the same on both vendors, its MSRs AMD's, and refused where the CPU lacks something of it.
import { describe, expect, test } from "vitest";
import { CpuModel, Status, Vendor } from "../../../protocol/messages.js";
import { fullCpu, Guest, VENDORS } from "./guest.js";

const LEAVES: [leaf: number, subleaf: number][] = [
  ...[0, 1, 2, 4, 7, 0x15, 0x40000000, 0x40000001, 0x40000010, 0x40000100, 0x40000101].map((leaf): [number, number] => [leaf, 0]),
  ...[0, 1, 2].map((subleaf): [number, number] => [13, subleaf]),
  ...Array.from({ length: 9 }, (_, leaf): [number, number] => [0x80000000 + leaf, 0]),
];
const portable = { cpuModel: CpuModel.Portable };
const lacks =
  (leaf: number, register: number, mask: number) =>
  (asked: number, subleaf: number): [number, number, number, number] => {
    const row: [number, number, number, number] = [...fullCpu(asked, subleaf)];
    if (asked === leaf) row[register] = ((row[register] ?? 0) & ~mask) >>> 0;
    return row;
  };

test("both vendors' guests see the same CPU", () => {
  const [vmx, svm] = VENDORS.map(([, vendor]) => new Guest({ vendor, ...portable }));
  for (const [leaf, subleaf] of LEAVES) expect(vmx?.cpuid(leaf, subleaf), leaf.toString(16)).toEqual(svm?.cpuid(leaf, subleaf));
});

test("it has a name, a rate, a hypervisor, and what AMD repeats", () => {
  const guest = new Guest(portable);
  const text = (...words: number[]): string => Buffer.from(new Uint32Array(words).buffer).toString("latin1").replace(/\0+$/, "");
  const [, b, c, d] = guest.cpuid(0);
  expect(text(b, d, c)).toBe("AuthenticAMD");
  expect(text(...[2, 3, 4].flatMap((leaf) => guest.cpuid(0x80000000 + leaf)))).toBe("hvkit portable CPU");
  expect(guest.cpuid(0x15)).toEqual([1, 1, 2_000_000_000, 0]);
  expect(guest.cpuid(0x40000010)[0]).toBe(2_000_000);
  expect(guest.cpuid(1)[2] >>> 31).toBe(1);
  const repeated = 0x0183a17d;
  expect(guest.cpuid(0x80000001)[3] & repeated).toBe(guest.cpuid(1)[3] & repeated);
});

describe.each(VENDORS)("on %s", (_name, vendor) => {
  test("its MSRs are AMD's", () => {
    const guest = new Guest({ vendor, ...portable });
    expect(guest.rdmsr(0xc0010015)).toBe(0x1000000n);
    expect(guest.rdmsr(0x3a)).toBeUndefined();
  });

  test.each([
    ["AVX2", 7, 1, 1 << 5],
    ["AES", 1, 2, 1 << 25],
    ["LM", 0x80000001, 3, 1 << 29],
    ["ABM", 0x80000001, 2, 1 << 5],
  ])("a CPU without %s is refused, and says so", (_feature, leaf, register, mask) => {
    const guest = new Guest({ vendor, hostCpuid: lacks(leaf, register, mask), ...portable });
    expect(guest.status).toBe(Status.CpuLacks);
    const row = BigInt(((leaf << 2) | (leaf >>> 30)) >>> 0);
    expect(guest.machine.bootValue()).toBe((row << 40n) | (BigInt(register) << 32n) | BigInt(mask));
  });

  test("the host's model never is", () => {
    expect(new Guest({ vendor, hostCpuid: () => [0, 0, 0, 0] }).status).toBe(Status.Ok);
  });

  test("what only Intel's CPUs lack of leaf 80000001h is no reason", () => {
    const guest = new Guest({ vendor: Vendor.Vmx, hostCpuid: lacks(0x80000001, 3, 0x0183f3ff & ~0x800), ...portable });
    expect(guest.status).toBe(Status.Ok);
  });
});
