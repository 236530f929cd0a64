// Instructions of the other vendor's, after an exit for #UD; and RDTSC where it exits.
import { describe, expect, test } from "vitest";
import { Verdict } from "../../../hv/machine/layout.js";
import { CpuModel, Vendor } from "../../../protocol/messages.js";
import { ExitField, ExitReason, Register } from "../../../protocol/state.js";
import { Guest, VENDORS } from "./guest.js";

const VMCALL = [0x0f, 0x01, 0xc1];
const VMMCALL = [0x0f, 0x01, 0xd9];
const SYSCALL = [0x0f, 0x05];
const UD = { vector: 6, type: 3, error: undefined };
/** IRQ 0 at vector 20h, 100 Hz. */
const ICW_AND_PIT = [
  [0x20, 0x11],
  [0x21, 0x20],
  [0x21, 4],
  [0x21, 1],
  [0x21, 0xfe],
  [0x43, 0x34],
  [0x40, 0x9c],
  [0x40, 0x2e],
] as const;
const COMPATIBILITY = 0xc0fbn;

/** The instruction raises #UD, which exits. */
function undefinedOp(guest: Guest, bytes: readonly number[]): number {
  guest.code(bytes);
  guest.set(ExitField.Interruption, 0x80000306n);
  return guest.raw(guest.vendor === Vendor.Vmx ? 0 : 0x46);
}

describe.each(VENDORS)("on %s", (_name, vendor) => {
  const other = vendor === Vendor.Vmx ? VMMCALL : VMCALL;
  const own = vendor === Vendor.Vmx ? VMCALL : VMMCALL;

  test("the other vendor's hypercall is one", () => {
    const guest = new Guest({ vendor });
    guest.now = 5_000n;
    guest.set(Register.Rax, 1);
    expect(undefinedOp(guest, other)).toBe(Verdict.Resume);
    expect(guest.get(Register.Rax)).toBe(5_000n);
    expect(guest.get(Register.Rip)).toBe(0x100003n);
    expect(guest.injected).toBeUndefined();
    expect(guest.counts.get(ExitReason.Hypercall)).toBe(1);
  });

  test.each([
    ["its own hypercall, which never raises it", own],
    ["UD2", [0x0f, 0x0b]],
    ["the other's with LOCK", [0xf0, ...other]],
    ["SYSENTER", [0x0f, 0x34]],
    ["no such opcode", [0xff, 0xff]],
    ["SYSCALL in 64-bit mode", SYSCALL],
  ])("the guest's own: %s", (_what, bytes) => {
    const guest = new Guest({ vendor, cpuModel: CpuModel.Portable });
    guest.set(Register.Efer, 0x501);
    expect(undefinedOp(guest, bytes)).toBe(Verdict.Resume);
    expect(guest.injected).toEqual(UD);
    expect(guest.get(Register.Rip)).toBe(0x100000n);
  });

  test("RDTSC, where it exits, gives the guest's TSC", () => {
    const guest = new Guest({ vendor });
    guest.set(Register.Tsc, 0x1234_5678_9abc_def0n);
    guest.code([0x0f, 0x31]);
    expect(guest.raw(vendor === Vendor.Vmx ? 16 : 0x6e, { length: 2 })).toBe(Verdict.Resume);
    expect([guest.get(Register.Rax), guest.get(Register.Rdx)]).toEqual([0x9abcdef0n, 0x12345678n]);
    expect(guest.get(Register.Rip)).toBe(0x100002n);
    expect(guest.counts.get(ExitReason.Rdtsc)).toBe(1);
  });
});

describe("SYSCALL in 32-bit code under a 64-bit kernel", () => {
  function compatible(vendor: Vendor, cpuModel: CpuModel): Guest {
    const guest = new Guest({ vendor, cpuModel });
    guest.segment(Register.CsSelector, 0x23, 0, 0xffffffff, Number(COMPATIBILITY));
    guest.segment(Register.SsSelector, 0x2b, 0, 0xffffffff, 0xc0f3);
    guest.set(Register.Efer, 0xd01);
    guest.set(Register.Star, (0x23n << 48n) | (0x10n << 32n));
    guest.set(Register.Cstar, 0xffff_ffff_8100_0000n);
    guest.set(Register.Sfmask, 0x47700);
    guest.set(Register.Rflags, 0x10246);
    return guest;
  }

  test("goes to CSTAR on Intel's CPU, for a guest whose CPU is AMD's", () => {
    const guest = compatible(Vendor.Vmx, CpuModel.Portable);
    expect(undefinedOp(guest, SYSCALL)).toBe(Verdict.Resume);
    expect(guest.injected).toBeUndefined();
    expect(guest.get(Register.Rip)).toBe(0xffff_ffff_8100_0000n);
    expect(guest.get(Register.Rcx)).toBe(0x100002n);
    expect(guest.get(Register.R11)).toBe(0x246n);
    expect(guest.get(Register.Rflags)).toBe(0x46n);
    expect(guest.get(Register.CsSelector)).toBe(0x10n);
    expect(guest.get(Register.SsSelector)).toBe(0x18n);
    expect(guest.get(Register.CsAttributes)).toBe(0xa09bn);
    expect(guest.get(Register.SsAttributes)).toBe(0xc093n);
  });

  test("an interrupt that waits is not set in it: its flags are not those of the exit", () => {
    const guest = compatible(Vendor.Vmx, CpuModel.Portable);
    guest.set(Register.Rip, 0x100000);
    for (const [port, value] of ICW_AND_PIT) guest.out(port, value);
    guest.now = 20_000_000n;
    guest.set(Register.Rflags, 2);
    guest.machine.event(1);
    guest.set(Register.Rflags, 0x202);
    guest.set(Register.Rip, 0x100000);
    undefinedOp(guest, SYSCALL);
    expect(guest.injected).toBeUndefined();
    expect(guest.get(Register.Rflags)).toBe(2n);
  });

  test.each([
    ["on AMD's CPU it never exits", Vendor.Svm, CpuModel.Portable, 0xd01],
    ["a guest whose CPU is Intel's", Vendor.Vmx, CpuModel.Host, 0xd01],
    ["SYSCALL is off", Vendor.Vmx, CpuModel.Portable, 0xd00],
  ])("stays #UD: %s", (_why, vendor, model, efer) => {
    const guest = compatible(vendor, model);
    guest.set(Register.Efer, efer);
    expect(undefinedOp(guest, SYSCALL)).toBe(Verdict.Resume);
    expect(guest.injected).toEqual(UD);
  });
});
