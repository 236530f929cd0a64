// The CPUID policy: what a guest sees on a CPU that has everything, and on one that lacks things; prefixes; the shortcut.
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { Verdict } from "../../../hv/machine/layout.js";
import { EndReason } from "../../../protocol/messages.js";
import { ExitReason, Register } from "../../../protocol/state.js";
import { fullCpu, Guest, VENDORS } from "./guest.js";

const bits = (...numbers: number[]): number => numbers.reduce((sum, bit) => sum + 2 ** bit, 0);
const has = (value: number, bit: number): boolean => ((value >>> bit) & 1) === 1;

describe.each(VENDORS)("CPUID on %s", (_name, vendor) => {
  test("leaf 0: the highest leaf and the CPU's vendor", () => {
    expect(new Guest({ vendor }).cpuid(0)).toEqual([0x15, 0x756e6547, 0x6c65746e, 0x49656e69]);
  });

  test("leaf 1 hides what the machine does not back", () => {
    const [, ebx, ecx, edx] = new Guest({ vendor }).cpuid(1);
    expect(ebx).toBe(0x1ff00);
    // MONITOR, VMX, SMX, PCID, x2APIC, TSC deadline
    for (const bit of [3, 5, 6, 17, 21, 24]) expect(has(ecx, bit), `ECX ${bit}`).toBe(false);
    // MCE, APIC, MTRR, MCA, HTT
    for (const bit of [7, 9, 12, 14, 28]) expect(has(edx, bit), `EDX ${bit}`).toBe(false);
    // XSAVE, AVX, RDRAND, the hypervisor
    for (const bit of [26, 28, 30, 31]) expect(has(ecx, bit), `ECX ${bit}`).toBe(true);
  });

  test("OSXSAVE follows CR4", () => {
    const guest = new Guest({ vendor });
    expect(has(guest.cpuid(1)[2], 27)).toBe(false);
    guest.set(Register.Cr4, 0x40020);
    expect(has(guest.cpuid(1)[2], 27)).toBe(true);
    guest.set(Register.Cr4, 0x20);
    expect(has(guest.cpuid(1)[2], 27)).toBe(false);
  });

  test("leaf 7: AVX2 yes; AVX-512, INVPCID, PKU, LA57, CET, SGX, AMX no; other subleaves are empty", () => {
    const guest = new Guest({ vendor });
    const [eax, ebx, ecx, edx] = guest.cpuid(7);
    expect(eax).toBe(0);
    expect(has(ebx, 5)).toBe(true);
    for (const bit of [1, 2, 10, 16, 17, 28, 30, 31]) expect(has(ebx, bit), `EBX ${bit}`).toBe(false);
    for (const bit of [3, 4, 7, 16, 22]) expect(has(ecx, bit), `ECX ${bit}`).toBe(false);
    for (const bit of [20, 22, 24, 25, 26, 29]) expect(has(edx, bit), `EDX ${bit}`).toBe(false);
    expect(guest.cpuid(7, 1)).toEqual([0, 0, 0, 0]);
  });

  test("leaf 0Dh: x87, SSE, AVX, and sizes that follow XCR0", () => {
    const guest = new Guest({ vendor });
    guest.set(Register.Xcr0, 1);
    expect(guest.cpuid(13)).toEqual([7, 576, 832, 0]);
    guest.set(Register.Xcr0, 7);
    expect(guest.cpuid(13)).toEqual([7, 832, 832, 0]);
    expect(guest.cpuid(13, 1)).toEqual([7, 832, 0, 0]);
    expect(guest.cpuid(13, 2)).toEqual([256, 576, 0, 0]);
    expect(guest.cpuid(13, 3)).toEqual([0, 0, 0, 0]);
    expect(guest.cpuid(13, 9)).toEqual([0, 0, 0, 0]);
  });

  test("without XSAVE there is nothing that needs it", () => {
    const hostCpuid = (leaf: number, subleaf: number): readonly [number, number, number, number] => {
      const row = fullCpu(leaf, subleaf);
      return leaf === 1 ? [row[0], row[1], row[2] & ~bits(26), row[3]] : row;
    };
    const guest = new Guest({ vendor, hostCpuid });
    const ecx = guest.cpuid(1)[2];
    for (const bit of [12, 26, 28, 29]) expect(has(ecx, bit), `ECX ${bit}`).toBe(false);
    expect(has(guest.cpuid(7)[1], 5)).toBe(false);
    expect(guest.cpuid(13)).toEqual([0, 0, 0, 0]);
    expect(guest.cpuid(13, 1)).toEqual([0, 0, 0, 0]);
  });

  test("XSAVE without AVX", () => {
    const hostCpuid = (leaf: number, subleaf: number): readonly [number, number, number, number] =>
      leaf === 13 && subleaf === 0 ? [3, 576, 576, 0] : fullCpu(leaf, subleaf);
    const guest = new Guest({ vendor, hostCpuid });
    guest.set(Register.Xcr0, 3);
    expect(has(guest.cpuid(1)[2], 28)).toBe(false);
    expect(guest.cpuid(13)).toEqual([3, 576, 576, 0]);
    expect(guest.cpuid(13, 2)).toEqual([0, 0, 0, 0]);
  });

  test("caches have no sharing", () => {
    const guest = new Guest({ vendor });
    expect(guest.cpuid(4)[0]).toBe(0x3fff);
    expect(guest.cpuid(4, 3)[0]).toBe(0x3fff);
    expect(guest.cpuid(4, 4)).toEqual([0, 0, 0, 0]);
  });

  test("the hypervisor's leaves", () => {
    const guest = new Guest({ vendor });
    const [max, ...signature] = guest.cpuid(0x40000000);
    expect(max).toBe(0x40000010);
    const text = Buffer.alloc(12);
    signature.forEach((value, index) => {
      text.writeUInt32LE(value, index * 4);
    });
    expect(text.toString("latin1")).toBe("hvkithvkit\0\0");
    expect(guest.cpuid(0x40000001)).toEqual([3, 0, 0, 0]);
    expect(guest.cpuid(0x40000010)).toEqual([2_000_000, 0, 0, 0]);
    expect(guest.cpuid(0x15)).toEqual([1, 1, 2_000_000_000, 0]);
  });

  test("KVM's leaves, at 40000100h: the clock, and nothing else", () => {
    const guest = new Guest({ vendor });
    const [max, ...signature] = guest.cpuid(0x40000100);
    expect(max).toBe(0x40000101);
    expect(Buffer.from(new Uint32Array(signature).buffer).toString("latin1")).toBe("KVMKVMKVM\0\0\0");
    expect(guest.cpuid(0x40000101)).toEqual([bits(3, 24), 0, 0, 0]);
    expect(guest.cpuid(0x400000ff)).toEqual([0, 0, 0, 0]);
  });

  test("extended leaves: SVM, RDTSCP, topology and FFXSR are hidden", () => {
    const guest = new Guest({ vendor });
    expect(guest.cpuid(0x80000000)[0]).toBe(0x80000008);
    const [, , ecx, edx] = guest.cpuid(0x80000001);
    for (const bit of [1, 2, 3, 9, 22, 23]) expect(has(ecx, bit), `ECX ${bit}`).toBe(false);
    for (const bit of [7, 9, 12, 14, 25, 27]) expect(has(edx, bit), `EDX ${bit}`).toBe(false);
    for (const bit of [11, 20, 26, 29]) expect(has(edx, bit), `EDX ${bit}`).toBe(true);
    expect(guest.cpuid(0x80000004)).toEqual([0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff]);
    expect(guest.cpuid(0x80000007)).toEqual([0, 0, 0, 0x100]);
    expect(guest.cpuid(0x80000008)).toEqual([0x3028, 5, 0, 0]);
  });

  test("what is out of range, or not there, is zeros", () => {
    const guest = new Guest({ vendor });
    for (const leaf of [
      0x3, 0x5, 0xa, 0xb, 0x14, 0x16, 0x20, 0x40000011, 0x40000102, 0x40000200, 0x8000000a, 0x8000001f, 0x80860000, 0xc0000001, 0xffffffff,
    ]) {
      expect(guest.cpuid(leaf), leaf.toString(16)).toEqual([0, 0, 0, 0]);
    }
  });

  test.each([
    ["66", [0x66]],
    ["F3", [0xf3]],
    ["REX.W", [0x48]],
    ["2E 67 F2", [0x2e, 0x67, 0xf2]],
    ["REX before a prefix, which cancels it", [0x48, 0x66]],
    ["thirteen of them", new Array<number>(13).fill(0x66)],
  ])("with prefixes: %s", (_prefixes, prefixes) => {
    const guest = new Guest({ vendor });
    const start = guest.get(Register.Rip);
    guest.set(Register.Rax, 0x40000000);
    expect(guest.exit("cpuid", [...prefixes, 0x0f, 0xa2])).toBe(Verdict.Resume);
    expect(guest.get(Register.Rip)).toBe(start + BigInt(prefixes.length + 2));
    expect(guest.get(Register.Rax)).toBe(0x40000010n);
  });

  const quick = new Guest({ vendor, ramBytes: 2 << 20 });
  const full = new Guest({ vendor, ramBytes: 2 << 20 });
  property.prop([fc.integer({ min: 0, max: 0xffffffff }), fc.integer({ min: 0, max: 20 })], { numRuns: 100 })(
    "the shortcut answers as the loop does",
    (random, subleaf) => {
      const leaf = ((random & 0xc000_0000) | (random & 0x3f)) >>> 0;
      for (const guest of [quick, full]) guest.set(Register.Rip, 0x100000);
      expect(quick.cpuid(leaf, subleaf)).toEqual(full.cpuid(leaf, subleaf, { full: true }));
      expect(quick.get(Register.Rip)).toBe(full.get(Register.Rip));
      expect(quick.counts.get(ExitReason.Cpuid)).toBe(full.counts.get(ExitReason.Cpuid));
    },
  );
});

test("SVM: bytes that are no CPUID end the guest, with their address", () => {
  const guest = new Guest();
  expect(guest.exit("cpuid", [0x90, 0x90])).toBe(Verdict.Stop);
  expect(guest.ended).toEqual({ reason: EndReason.Undecodable, value: 0x100000n });
});
