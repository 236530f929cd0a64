// Interrupts, NMIs and exceptions into the guest: injections, windows, the interrupt shadow, single-stepping, HLT; and the exits that
// end a guest.
import { describe, expect, test } from "vitest";
import { EventBit, Verdict } from "../../../hv/machine/layout.js";
import { EndReason, Vendor } from "../../../protocol/messages.js";
import { ExitField, ExitReason, Register } from "../../../protocol/state.js";
import { Guest, VENDORS } from "./guest.js";
import { IRQ4, raiseIrq4 } from "./irq.js";

const TF = 0x100n;
const IF = 0x200n;

describe.each(VENDORS)("interrupts on %s", (_name, vendor) => {
  test("the exit that raises one injects it", () => {
    const guest = new Guest({ vendor });
    raiseIrq4(guest);
    expect(guest.injected).toEqual(IRQ4);
  });

  test("with IF clear a window is asked for, once; its exit injects", () => {
    const guest = new Guest({ vendor });
    guest.set(Register.Rflags, 2);
    raiseIrq4(guest);
    expect(guest.injected).toBeUndefined();
    expect(guest.get(ExitField.InterruptWindow)).toBe(1n);
    guest.out(0x80, 0);
    expect(guest.written.some(([field]) => field === ExitField.InterruptWindow)).toBe(false);
    guest.set(Register.Rflags, 2n | IF);
    const at = guest.get(Register.Rip);
    expect(guest.raw(guest.reason("interruptWindow"))).toBe(Verdict.Resume);
    expect(guest.injected).toEqual(IRQ4);
    expect(guest.get(ExitField.InterruptWindow)).toBe(0n);
    expect(guest.get(Register.Rip)).toBe(at);
  });

  test("an instruction that is skipped ends the shadow, and the interrupt comes at once", () => {
    const guest = new Guest({ vendor });
    guest.set(Register.Rflags, 2);
    raiseIrq4(guest);
    guest.set(Register.Rflags, 2n | IF);
    guest.out(0x80, 0);
    expect(guest.injected).toEqual(IRQ4);
    guest.set(Register.Rip, 0x100000);
    guest.cpuid(0, 0, { shadow: 1 });
    expect(guest.get(Register.InterruptShadow)).toBe(0n);
  });

  test("an exception takes the place; the interrupt gets a window", () => {
    const guest = new Guest({ vendor });
    guest.set(Register.Rflags, 2);
    raiseIrq4(guest);
    guest.raw(guest.reason("interruptWindow"));
    guest.set(Register.Rflags, 2n | IF);
    guest.rdmsr(0x1b);
    expect(guest.injected?.vector).toBe(13);
    expect(guest.get(ExitField.InterruptWindow)).toBe(1n);
  });

  test("a timer's event injects into a running guest, but not over what is set already", () => {
    const guest = new Guest({ vendor });
    guest.set(Register.Rflags, 2);
    raiseIrq4(guest);
    guest.set(Register.Rflags, 2n | IF);
    guest.set(ExitField.Inject, 0x80000b0dn);
    expect(guest.machine.event(EventBit.Timer)).toBe(Verdict.Resume);
    expect(guest.injected?.vector).toBe(13);
    guest.set(ExitField.Inject, 0n);
    guest.machine.event(EventBit.Timer);
    expect(guest.injected).toEqual(IRQ4);
  });
});

describe.each(VENDORS)("NMIs on %s", (_name, vendor) => {
  const NMI = { vector: 2, type: 2, error: undefined };

  test("wake a halted guest, interrupts on or off", () => {
    const guest = new Guest({ vendor });
    expect(guest.exit("hlt", [0xf4])).toBe(Verdict.Halt);
    expect(guest.machine.event(EventBit.Timer)).toBe(Verdict.Halt);
    expect(guest.machine.event(EventBit.Nmi)).toBe(Verdict.Resume);
    expect(guest.injected).toEqual(NMI);
  });

  test("wait while NMIs are blocked, in the shadow, and behind port 70h", () => {
    const guest = new Guest({ vendor });
    guest.set(Register.NmiBlocked, 1);
    guest.machine.event(EventBit.Nmi);
    expect(guest.injected).toBeUndefined();
    expect(guest.get(ExitField.NmiWindow)).toBe(1n);
    guest.raw(guest.reason("nmiWindow"));
    expect(guest.injected).toEqual(NMI);
    expect(guest.get(ExitField.NmiWindow)).toBe(0n);
    guest.out(0x70, 0x80);
    guest.machine.event(EventBit.Nmi);
    expect(guest.injected).toBeUndefined();
    guest.out(0x70, 0x00);
    expect(guest.injected).toEqual(NMI);
  });
});

describe.each(VENDORS)("HLT on %s", (_name, vendor) => {
  test("halts behind the instruction", () => {
    const guest = new Guest({ vendor });
    expect(guest.exit("hlt", [0xf4])).toBe(Verdict.Halt);
    expect(guest.get(Register.Rip)).toBe(0x100001n);
  });

  test("with interrupts off ends the guest", () => {
    const guest = new Guest({ vendor });
    guest.set(Register.Rflags, 2);
    expect(guest.exit("hlt", [0xf4])).toBe(Verdict.Stop);
    expect(guest.ended).toEqual({ reason: EndReason.HaltedForever, value: 0x100001n });
  });

  test("STI; HLT with an interrupt waiting does not halt", () => {
    const guest = new Guest({ vendor });
    guest.set(Register.Rflags, 2);
    raiseIrq4(guest);
    guest.set(Register.Rflags, 2n | IF);
    expect(guest.exit("hlt", [0xf4], { shadow: 1 })).toBe(Verdict.Resume);
    expect(guest.injected).toEqual(IRQ4);
    expect(guest.get(Register.InterruptShadow)).toBe(0n);
  });

  test("with TF set traps", () => {
    const guest = new Guest({ vendor });
    guest.set(Register.Rflags, 2n | IF | TF);
    expect(guest.exit("hlt", [0xf4])).toBe(Verdict.Resume);
  });
});

describe.each(VENDORS)("single-stepping on %s", (_name, vendor) => {
  const trap = (guest: Guest): void => {
    if (vendor === Vendor.Vmx) expect(guest.get(Register.PendingDebug)).toBe(0x4000n);
    else {
      expect(guest.injected).toEqual({ vector: 1, type: 3, error: undefined });
      expect(guest.get(Register.Dr6) & 0x4000n).toBe(0x4000n);
    }
  };

  test.each([
    ["cpuid", [0x0f, 0xa2]],
    ["pause", [0xf3, 0x90]],
    ["wbinvd", [0x0f, 0x09]],
    ["invd", [0x0f, 0x08]],
  ] as const)("%s", (name, bytes) => {
    const guest = new Guest({ vendor });
    guest.set(Register.Rflags, 2n | IF | TF);
    guest.exit(name, bytes);
    trap(guest);
    expect(guest.get(Register.Rip)).toBe(0x100002n);
    expect(guest.get(Register.Rflags) & 0x10000n).toBe(0n);
  });

  test("comes before an interrupt", () => {
    const guest = new Guest({ vendor });
    guest.set(Register.Rflags, 2);
    raiseIrq4(guest);
    guest.raw(guest.reason("interruptWindow"));
    guest.set(Register.Rflags, 2n | IF | TF);
    guest.out(0x80, 0);
    trap(guest);
    guest.machine.event(EventBit.Timer);
    trap(guest);
    expect(guest.get(ExitField.InterruptWindow)).toBe(1n);
  });
});

/** An exception that was intercepted, perhaps while `before` was being delivered. */
function exception(guest: Guest, vector: number, error?: number, before = 0n): number {
  guest.set(ExitField.Interruption, 0x80000300n | BigInt(vector) | (error === undefined ? 0n : 0x800n));
  guest.set(ExitField.InterruptionError, error ?? 0);
  guest.set(ExitField.Vectoring, before);
  const address = vector === 14 ? 0x1234n : vector === 1 ? 0x4001n : 0n;
  if (guest.vendor === Vendor.Vmx) return guest.raw(0, { qualification: address });
  return guest.raw(0x40 + vector, { qualification: BigInt(error ?? 0), info2: vector === 14 ? address : 0n });
}

describe.each(VENDORS)("exceptions on %s", (_name, vendor) => {
  test("are reflected", () => {
    const guest = new Guest({ vendor });
    expect(exception(guest, 17, 0)).toBe(Verdict.Resume);
    expect(guest.injected).toEqual({ vector: 17, type: 3, error: 0 });
    exception(guest, 14, 7);
    expect(guest.injected).toEqual({ vector: 14, type: 3, error: 7 });
    expect(guest.get(Register.Cr2)).toBe(0x1234n);
    exception(guest, 1);
    expect(guest.injected).toEqual({ vector: 1, type: 3, error: undefined });
    if (vendor === Vendor.Vmx) expect(guest.get(Register.Dr6) & 0x4001n).toBe(0x4001n);
    expect(guest.get(Register.Rip)).toBe(0x100000n);
  });

  test("a #DB turns DR7.GD off, or its handler could not read DR6", () => {
    const guest = new Guest({ vendor });
    guest.set(Register.Dr7, 0x2401);
    exception(guest, 1);
    expect(guest.get(Register.Dr7)).toBe(0x401n);
  });

  test.each([
    ["#GP in #NP", 13, 11, 8],
    ["#GP in #PF", 13, 14, 8],
    ["#PF in #PF", 14, 14, 8],
    ["#PF in #GP", 14, 13, 14],
    ["#AC in #PF", 17, 14, 17],
    ["#GP in #DB", 13, 1, 13],
  ])("%s", (_what, second, first, result) => {
    const guest = new Guest({ vendor });
    exception(guest, second, 0, 0x80000300n | BigInt(first));
    expect(guest.injected?.vector).toBe(result);
  });

  test("#PF in #DF is a triple fault", () => {
    const guest = new Guest({ vendor });
    expect(exception(guest, 14, 0, 0x80000b08n)).toBe(Verdict.Stop);
    expect(guest.ended?.reason).toBe(EndReason.TripleFault);
  });

  test("an interrupt whose delivery was broken off comes again", () => {
    const guest = new Guest({ vendor });
    exception(guest, 17, 0, 0x80000024n);
    expect(guest.injected?.vector).toBe(17);
    expect(guest.get(ExitField.InterruptWindow)).toBe(1n);
    guest.raw(guest.reason("interruptWindow"));
    expect(guest.injected).toEqual(IRQ4);
  });

  test("so does an NMI", () => {
    const guest = new Guest({ vendor });
    exception(guest, 17, 0, 0x80000202n);
    guest.set(Register.NmiBlocked, 0);
    guest.raw(guest.reason("nmiWindow"));
    expect(guest.injected?.type).toBe(2);
  });

  test.each([
    ["monitor", [0x0f, 0x01, 0xc8], { vector: 6, type: 3, error: undefined }],
    ["rdpmc", [0x0f, 0x33], { vector: 13, type: 3, error: 0 }],
  ] as const)("%s is not there", (name, bytes, event) => {
    const guest = new Guest({ vendor });
    expect(guest.exit(name, bytes)).toBe(Verdict.Resume);
    expect(guest.injected).toEqual(event);
    expect(guest.counts.get(ExitReason.Undefined)).toBe(1);
  });
});

describe.each(VENDORS)("the end on %s", (_name, vendor) => {
  test.each([
    ["tripleFault", EndReason.TripleFault, 0x100000n, {}],
    ["nestedFault", EndReason.UnbackedMemory, 0xfee00000n, { info2: 0xfee00000n }],
    ["taskSwitch", EndReason.TaskSwitch, 0x28n, { qualification: 0x40000028n }],
    ["init", EndReason.UnknownExit, undefined, {}],
    ["unknown", EndReason.UnknownExit, undefined, {}],
    ["entryFailed", EndReason.EntryFailed, undefined, {}],
  ] as const)("%s", (name, reason, value, extra) => {
    const guest = new Guest({ vendor });
    expect(guest.raw(guest.reason(name), extra)).toBe(Verdict.Stop);
    expect(guest.ended).toEqual({ reason, value: value ?? BigInt(guest.reason(name)) });
  });

  test("power off and debug exit stop at once", () => {
    const guest = new Guest({ vendor });
    expect(guest.out(0xf4, 0x10)).toBe(Verdict.Stop);
    expect(guest.ended).toEqual({ reason: EndReason.DebugExit, value: 0x21n });
  });
});
