// A debugger's part in a machine's exits: which exceptions are its own, where a step ends, what waits meanwhile; and MOV DR, which exits while
// the debug registers in use are the debugger's.
import { describe, expect, test } from "vitest";
import { DebuggerRecord, EventBit, Layout, Verdict } from "../../../hv/machine/layout.js";
import { DebugFlag, DebugStop } from "../../../protocol/debug.js";
import { Vendor } from "../../../protocol/messages.js";
import { ExitField, Register } from "../../../protocol/state.js";
import { Guest, VENDORS } from "./guest.js";
import { IRQ4, raiseIrq4 } from "./irq.js";

const TF = 0x100n;
const IF = 0x200n;
const BS = 0x4000n;
const VALID = 0x80000000n;
const STEP = DebugFlag.Attached | DebugFlag.Step;
const HARDWARE = DebugFlag.Attached | DebugFlag.Hardware;
const FLAGS = Layout.Debug + DebuggerRecord.Flags;

function view(guest: Guest): DataView {
  return new DataView(guest.machine.memory.buffer);
}

/** As hv/asm/debug.asm leaves it before an entry. */
function debugged(vendor: Vendor, flags: number): Guest {
  const guest = new Guest({ vendor });
  view(guest).setUint32(FLAGS, flags, true);
  if (flags & DebugFlag.Step) guest.set(Register.Rflags, guest.get(Register.Rflags) | TF);
  return guest;
}

function stopOf(guest: Guest): number {
  return view(guest).getUint32(Layout.Debug + DebuggerRecord.Stop, true);
}

/** A #DB exit: VMX has its bits in the qualification, SVM in DR6. `type` is VMX's. */
function debugException(guest: Guest, bits: bigint, type = 3n): number {
  guest.set(ExitField.Interruption, VALID | (type << 8n) | 1n);
  if (guest.vendor === Vendor.Svm) guest.set(Register.Dr6, guest.get(Register.Dr6) | bits);
  return guest.raw(guest.vendor === Vendor.Vmx ? 0 : 0x41, { qualification: guest.vendor === Vendor.Vmx ? bits : 0n });
}

/** INT1: a privileged software exception, ICEBP, or #UD where the CPU has it not. */
function int1(guest: Guest): number {
  guest.code([0xf1]);
  if (guest.vendor === Vendor.Vmx) return debugException(guest, 0n, 5n);
  return guest.raw(0x88);
}

describe.each(VENDORS)("a debugger on %s", (_name, vendor) => {
  test("a step ends at the #DB that it asked for, and the guest's DR6 does not show it", () => {
    const guest = debugged(vendor, STEP);
    guest.set(Register.Dr6, 0xffff0ff0n);
    expect(debugException(guest, BS)).toBe(Verdict.Break);
    expect(stopOf(guest)).toBe(DebugStop.Step);
    expect(guest.get(Register.Dr6)).toBe(0xffff0ff0n);
    expect(guest.injected).toBeUndefined();
  });

  test("breakpoints that it set are its own", () => {
    const guest = debugged(vendor, HARDWARE);
    expect(debugException(guest, 5n)).toBe(Verdict.Break);
    expect(stopOf(guest)).toBe(5);
  });

  test.each([
    ["nobody debugs it", 0, BS],
    ["no step is made", DebugFlag.Attached, BS],
    ["the debug registers are the guest's", DebugFlag.Attached, 1n],
  ])("the guest's own #DB is the guest's while %s", (_why, flags, bits) => {
    const guest = debugged(vendor, flags);
    expect(debugException(guest, bits)).toBe(Verdict.Resume);
    expect(guest.injected).toMatchObject({ vector: 1 });
    expect(guest.get(Register.Dr6) & bits).toBe(bits);
  });

  test("INT1 stops a guest that is debugged, at the instruction", () => {
    const guest = debugged(vendor, DebugFlag.Attached);
    const at = guest.get(Register.Rip);
    expect(int1(guest)).toBe(Verdict.Break);
    expect(stopOf(guest)).toBe(DebugStop.Software);
    expect(guest.get(Register.Rip)).toBe(at);
  });

  test("so it does where the CPU raises #UD", () => {
    const guest = debugged(vendor, DebugFlag.Attached);
    guest.code([0xf1]);
    guest.set(ExitField.Interruption, VALID | 0x306n);
    expect(guest.raw(vendor === Vendor.Vmx ? 0 : 0x46)).toBe(Verdict.Break);
    expect(stopOf(guest)).toBe(DebugStop.Software);
    view(guest).setUint32(FLAGS, 0, true);
    expect(guest.raw(vendor === Vendor.Vmx ? 0 : 0x46)).toBe(Verdict.Resume);
    expect(guest.injected).toMatchObject({ vector: 6 });
  });

  test("a step over an instruction that exits ends behind it", () => {
    const guest = debugged(vendor, STEP);
    const at = guest.get(Register.Rip);
    expect(guest.exit("cpuid", [0x0f, 0xa2])).toBe(Verdict.Break);
    expect(stopOf(guest)).toBe(DebugStop.Step);
    expect(guest.get(Register.Rip)).toBe(at + 2n);
    expect(guest.injected).toBeUndefined();
    expect(guest.get(Register.PendingDebug)).toBe(0n);
  });

  test("HLT is stepped over", () => {
    const guest = debugged(vendor, STEP);
    expect(guest.exit("hlt", [0xf4])).toBe(Verdict.Break);
    expect(guest.machine.event(EventBit.Timer)).toBe(Verdict.Resume);
  });

  test("an instruction that faults leaves the exception for the next entry", () => {
    const guest = debugged(vendor, STEP);
    const at = guest.get(Register.Rip);
    guest.set(Register.Rcx, 0x1b);
    expect(guest.exit("rdmsr", [0x0f, 0x32])).toBe(Verdict.Break);
    expect(stopOf(guest)).toBe(DebugStop.Event);
    expect(guest.injected).toMatchObject({ vector: 13 });
    expect(guest.get(Register.Rip)).toBe(at);
  });

  test("interrupts wait until the step is done", () => {
    const guest = debugged(vendor, 0);
    guest.set(Register.Rflags, 2);
    raiseIrq4(guest);
    guest.set(ExitField.InterruptWindow, 0n);
    guest.set(Register.Rflags, 2n | IF | TF);
    view(guest).setUint32(FLAGS, STEP, true);
    expect(guest.machine.event(EventBit.Timer)).toBe(Verdict.Resume);
    expect(guest.raw(guest.reason("interruptWindow"))).toBe(Verdict.Resume);
    expect(guest.injected).toBeUndefined();
    view(guest).setUint32(FLAGS, DebugFlag.Attached, true);
    guest.machine.event(EventBit.Timer);
    expect(guest.injected).toEqual(IRQ4);
  });

  test("the interrupt that ends HLT ends the step, too", () => {
    const guest = debugged(vendor, 0);
    expect(guest.exit("hlt", [0xf4])).toBe(Verdict.Halt);
    view(guest).setUint32(FLAGS, STEP, true);
    expect(guest.machine.event(EventBit.Timer)).toBe(Verdict.Halt);
    expect(guest.machine.event(EventBit.Nmi)).toBe(Verdict.Break);
    expect(stopOf(guest)).toBe(DebugStop.Event);
    expect(guest.injected).toMatchObject({ vector: 2, type: 2 });
  });
});

describe.each(VENDORS)("MOV DR on %s", (_name, vendor) => {
  /** `reg`: DR, `rm`: general register */
  function move(guest: Guest, write: boolean, reg: number, rm: number): number {
    const bytes = [0x0f, write ? 0x23 : 0x21, 0xc0 | (reg << 3) | rm];
    guest.code(bytes);
    const qualification = BigInt(reg | (write ? 0 : 16) | (rm << 8));
    const raw = vendor === Vendor.Vmx ? 29 : (write ? 0x30 : 0x20) + reg;
    return guest.raw(raw, { length: 3, qualification });
  }

  test("reads and writes the guest's own", () => {
    const guest = debugged(vendor, HARDWARE);
    const at = guest.get(Register.Rip);
    guest.set(Register.Rbx, 0x123456789abcdef0n);
    expect(move(guest, true, 2, Register.Rbx)).toBe(Verdict.Resume);
    expect(guest.get(Register.Dr2)).toBe(0x123456789abcdef0n);
    expect(guest.get(Register.Rip)).toBe(at + 3n);
    guest.set(Register.Dr7, 0x400n);
    expect(move(guest, false, 7, Register.Rsi)).toBe(Verdict.Resume);
    expect(guest.get(Register.Rsi)).toBe(0x400n);
  });

  test("DR4 and DR5 are DR6 and DR7, or undefined", () => {
    const guest = debugged(vendor, HARDWARE);
    guest.set(Register.Dr6, 0xffff0ff0n);
    move(guest, false, 4, Register.Rax);
    expect(guest.get(Register.Rax)).toBe(0xffff0ff0n);
    guest.set(Register.Cr4, guest.get(Register.Cr4) | 8n);
    move(guest, false, 5, Register.Rax);
    expect(guest.injected).toMatchObject({ vector: 6 });
  });

  test("a value that DR7 cannot have is #GP; outside of 64-bit mode the upper half is not looked at", () => {
    const guest = debugged(vendor, HARDWARE);
    guest.set(Register.Rax, 1n << 32n);
    guest.refuse.add(Register.Dr7);
    move(guest, true, 7, Register.Rax);
    expect(guest.injected).toMatchObject({ vector: 13, error: 0 });
    guest.refuse.clear();
    guest.protected();
    guest.set(Register.Rax, (1n << 32n) | 0x401n);
    move(guest, true, 7, Register.Rax);
    expect(guest.get(Register.Dr7)).toBe(0x401n);
  });
});
