// The MSR policy: each listed register, what is not listed, and values that a CPU refuses.
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { Vendor } from "../../../protocol/messages.js";
import { Register } from "../../../protocol/state.js";
import { fullCpu, Guest, VENDORS } from "./guest.js";

const EFER = 0xc0000080;
const PAT = 0x277;
const GP = { vector: 13, type: 3, error: 0 };

describe.each(VENDORS)("MSRs on %s", (_name, vendor) => {
  test.each([
    ["TSC", 0x10, Register.Tsc],
    ["SYSENTER_CS", 0x174, Register.SysenterCs],
    ["SYSENTER_ESP", 0x175, Register.SysenterEsp],
    ["SYSENTER_EIP", 0x176, Register.SysenterEip],
    ["STAR", 0xc0000081, Register.Star],
    ["LSTAR", 0xc0000082, Register.Lstar],
    ["CSTAR", 0xc0000083, Register.Cstar],
    ["SFMASK", 0xc0000084, Register.Sfmask],
    ["FS_BASE", 0xc0000100, Register.FsBase],
    ["GS_BASE", 0xc0000101, Register.GsBase],
    ["KERNEL_GS_BASE", 0xc0000102, Register.KernelGsBase],
  ])("%s is the vCPU's own", (_msr, index, register) => {
    const guest = new Guest({ vendor });
    expect(guest.wrmsr(index, 0x12345678n)).toBe(true);
    expect(guest.get(register)).toBe(0x12345678n);
    expect(guest.get(Register.Rip)).toBe(0x100002n);
    guest.set(register, 0x1_8765_4321n);
    expect(guest.rdmsr(index)).toBe(0x1_8765_4321n);
  });

  test.each([0x175, 0x176, 0xc0000082, 0xc0000083, 0xc0000100, 0xc0000101, 0xc0000102])("%i takes canonical addresses only", (index) => {
    const guest = new Guest({ vendor });
    expect(guest.wrmsr(index, 0x0000_8000_0000_0000n)).toBe(false);
    expect(guest.injected).toEqual(GP);
    expect(guest.get(Register.Rip)).toBe(0x100000n);
    expect(guest.wrmsr(index, 0xffff_8000_0000_0000n)).toBe(true);
    expect(guest.wrmsr(index, 0x0000_7fff_ffff_ffffn)).toBe(true);
  });

  test("EFER: reserved bits, and LME while paging is on, are refused; LMA is kept", () => {
    const guest = new Guest({ vendor });
    expect(guest.rdmsr(EFER)).toBe(0x500n);
    expect(guest.wrmsr(EFER, 0xd01n)).toBe(true);
    expect(guest.get(Register.Efer)).toBe(0xd01n);
    expect(guest.wrmsr(EFER, 0x901n)).toBe(true);
    expect(guest.get(Register.Efer)).toBe(0xd01n);
    // SVME, LMSLE, FFXSR, reserved
    for (const bit of [12n, 13n, 14n, 1n, 63n]) expect(guest.wrmsr(EFER, 0xd01n | (1n << bit)), String(bit)).toBe(false);
    expect(guest.wrmsr(EFER, 0x801n)).toBe(false);
    guest.protected();
    expect(guest.wrmsr(EFER, 0x100n)).toBe(true);
    expect(guest.wrmsr(EFER, 0n)).toBe(true);
  });

  test("PAT: eight memory types", () => {
    const guest = new Guest({ vendor });
    expect(guest.wrmsr(PAT, 0x0007040600070406n)).toBe(true);
    expect(guest.rdmsr(PAT)).toBe(0x0007040600070406n);
  });

  const pat = new Guest({ vendor });
  property.prop([fc.array(fc.integer({ min: 0, max: 8 }), { minLength: 8, maxLength: 8 })], { numRuns: 100 })("PAT: any types", (types) => {
    const value = types.reduce((sum, type, index) => sum | (BigInt(type) << BigInt(8 * index)), 0n);
    pat.set(Register.Rip, 0x100000);
    expect(pat.wrmsr(PAT, value)).toBe(types.every((type) => [0, 1, 4, 5, 6, 7].includes(type)));
  });

  test("microcode revision and DEBUGCTL read 0 and take any write", () => {
    const guest = new Guest({ vendor });
    for (const index of [0x8b, 0x1d9]) {
      expect(guest.wrmsr(index, 5n)).toBe(true);
      expect(guest.rdmsr(index)).toBe(0n);
    }
  });

  test.each([
    [0x3a, Vendor.Vmx, 1n, false],
    [0x1a0, Vendor.Vmx, 0x1801n, true],
    [0x140, Vendor.Vmx, 0n, true],
    [0xce, Vendor.Vmx, 0n, false],
    [0x34, Vendor.Vmx, 0n, false],
    [0xc0010015, Vendor.Svm, 0x1000000n, true],
    [0xc0011029, Vendor.Svm, 0n, true],
    [0xc0010055, Vendor.Svm, 0n, true],
  ])("%i is there on one vendor's CPUs only, whichever this one is", (index, owner, value, writable) => {
    for (const named of [Vendor.Vmx, Vendor.Svm]) {
      const hostCpuid = (leaf: number, subleaf: number): readonly [number, number, number, number] =>
        leaf === 0 && named === Vendor.Svm ? [0x20, 0x68747541, 0x444d4163, 0x69746e65] : fullCpu(leaf, subleaf);
      const guest = new Guest({ vendor, hostCpuid });
      expect(guest.rdmsr(index)).toBe(owner === named ? value : undefined);
      expect(guest.wrmsr(index, value)).toBe(owner === named && writable);
    }
  });

  test("what is not listed is #GP: APIC base, MTRR, MCA, TSC_AUX, TSC deadline, Hyper-V's and KVM's others", () => {
    const guest = new Guest({ vendor });
    for (const index of [0x1b, 0xfe, 0x179, 0x400, 0xc0000103, 0x6e0, 0x40000000, 0x12, 0x4b564d02, 0xc0010114, 0xffffffff, 0]) {
      expect(guest.rdmsr(index), index.toString(16)).toBeUndefined();
      expect(guest.injected).toEqual(GP);
      expect(guest.wrmsr(index, 0n), index.toString(16)).toBe(false);
    }
  });

  property.prop([fc.integer({ min: 0, max: 0xffffffff }), fc.bigInt({ min: 0n, max: (1n << 64n) - 1n })], { numRuns: 200 })(
    "no MSR and no value ends a guest",
    (index, value) => {
      pat.set(Register.Rip, 0x100000);
      pat.rdmsr(index);
      pat.set(Register.Rip, 0x100000);
      pat.wrmsr(index, value);
      expect(pat.ended).toBeUndefined();
    },
  );
});
