// The loop body: an exit becomes a neutral reason, its handler an outcome, the outcome a verdict. Only this file moves RIP on.

import { DebugStop } from "../../protocol/debug";
import { EndReason } from "../../protocol/messages";
import { ExitReason, Register } from "../../protocol/state";
import { answer, cpuid, isFixed, rowOf } from "./cpuid";
import { controlRegister, xsetbv } from "./cr";
import { isDebuggers, stepping, stop } from "./debug";
import { instructionLength, isLast, lastLength, wasLocked } from "./decode";
import { debugRegister } from "./dr";
import { closeNmiWindow, closeWindow, deliver, eventPending, injecting, reflect } from "./events";
import { exitFlags, exitLength, exitShadow, Fault, Flag, Io, Outcome, rawReason, rip, setExitLength, Vector } from "./exit";
import { foreignInstruction } from "./foreign";
import * as guest from "./guest";
import { Hypercall, hypercall } from "./hypercall";
import { inject } from "./inject";
import { deviceEvent } from "./interrupts";
import { ioIn, ioOut } from "./io";
import { EventBit, Verdict } from "./layout";
import { rdmsr, readTsc, wrmsr } from "./msr";
import { machine, power } from "./state";
import { stringIo } from "./strings";
import { codeBytes, gpr, setGpr, setRip } from "./vcpu";
import {
  crAccess,
  detailedReason,
  drAccess,
  exception,
  faultAddress,
  ioString,
  plainReason,
  rawCpuid,
  rawHypercall,
  singleStep,
  taskSelector,
  undefinedVector,
} from "./vendor";

/** After an exit that is the machine's to handle: the exit record and VcpuRecord are filled in. The exits that everyone measures
 *  come first, as far as nothing is unusual. After those no event can have come up: what waits has its window. */
export function exit(): u32 {
  const raw = rawReason();
  if (raw == rawCpuid()) return quickCpuid();
  if (raw == rawHypercall()) return quickHypercall();
  return exitInFull();
}

/** The loop's body. exit() is the same with a shortcut; a test compares them. (As an export it also stays a function of its own, so that
 *  the shortcut has none of its registers to save.) */
export function exitInFull(): u32 {
  const raw = rawReason();
  let reason = plainReason(raw);
  if (!reason) reason = detailedReason(raw);
  guest.count(reason);
  let outcome = handle(reason);
  if (outcome == Outcome.Next) outcome = advance(reason);
  if (outcome == Outcome.Next && !eventPending()) return Verdict.Resume;
  return settle(outcome);
}

// @ts-ignore: decorator
@inline
function quickCpuid(): u32 {
  let length = exitLength();
  if (!length) {
    if (!isLast()) return exitInFull();
    length = lastLength();
  }
  const before = rip();
  const row = rowOf(<u32>gpr(Register.Rax));
  if (isUnusual(before, before + length) || !isFixed(row)) return exitInFull();
  answer(row);
  setRip(before + length);
  guest.count(ExitReason.Cpuid);
  return Verdict.Resume;
}

// @ts-ignore: decorator
@inline
function quickHypercall(): u32 {
  let length = exitLength();
  if (!length) {
    if (!isLast()) return exitInFull();
    length = lastLength();
  }
  const before = rip();
  if (isUnusual(before, before + length) || <u32>gpr(Register.Rax) != Hypercall.Nothing) return exitInFull();
  setGpr(Register.Rax, 0);
  setRip(before + length);
  guest.count(ExitReason.Hypercall);
  return Verdict.Resume;
}

// @ts-ignore: decorator
@inline
function handle(reason: u32): Outcome {
  switch (reason) {
    case ExitReason.Cpuid:
      cpuid();
      return Outcome.Next;
    case ExitReason.Hypercall:
      hypercall();
      return Outcome.Next;
    case ExitReason.IoIn:
    case ExitReason.IoOut:
      return portIo();
    case ExitReason.IoString:
      return ioString() ? stringIo() : end(EndReason.Undecodable, rip());
    case ExitReason.Hlt:
      return hlt();
    case ExitReason.Rdmsr:
      return rdmsr();
    case ExitReason.Wrmsr:
      // Fetched before it is done: a new EFER.NXE changes the walk.
      if (!exitLength()) setExitLength(instructionLength(reason));
      return wrmsr();
    case ExitReason.CrAccess:
      return crAccess() ? controlRegister() : end(EndReason.Undecodable, rip());
    case ExitReason.DrAccess:
      return drAccess() ? debugRegister() : end(EndReason.Undecodable, rip());
    case ExitReason.Xsetbv:
      return xsetbv();
    case ExitReason.Rdtsc:
      readTsc();
      return Outcome.Next;
    case ExitReason.CacheControl:
    case ExitReason.Pause:
      return Outcome.Next;
    case ExitReason.InterruptWindow:
      closeWindow();
      return Outcome.Window;
    case ExitReason.NmiWindow:
      closeNmiWindow();
      return Outcome.Window;
    case ExitReason.Exception:
      return exceptional();
    case ExitReason.Undefined:
      return absent();
    case ExitReason.TripleFault:
      return end(EndReason.TripleFault, rip());
    case ExitReason.NestedFault:
      return end(EndReason.UnbackedMemory, faultAddress());
    case ExitReason.TaskSwitch:
      return end(EndReason.TaskSwitch, taskSelector());
    case ExitReason.EntryFailed:
      return end(EndReason.EntryFailed, rawReason());
    default:
      return end(EndReason.UnknownExit, rawReason());
  }
}

/** RIP past the instruction; what the CPU does at the end of one: the shadow of STI and MOV SS goes, TF traps. */
// @ts-ignore: decorator
@inline
function advance(reason: u32): Outcome {
  const before = rip();
  let length = exitLength();
  if (!length) {
    length = instructionLength(reason);
    if (!length) {
      if (!wasLocked()) return end(EndReason.Undecodable, before);
      inject(Vector.UD, false, 0);
      return Outcome.Injected;
    }
  }
  const after = before + length;
  setRip(after);
  return isUnusual(before, after) ? unusual(after) : Outcome.Next;
}

/** One branch for what is rare: a carry out of 32 bits, the interrupt shadow, single-stepping. */
// @ts-ignore: decorator
@inline
function isUnusual(before: u64, after: u64): bool {
  return ((exitFlags() & Flag.TF) | exitShadow() | <u32>((before ^ after) >> 32)) != 0;
}

function unusual(after: u64): Outcome {
  if (after >> 32 && codeBytes() != 8) setRip(after & 0xffffffff);
  return boundary();
}

/** An instruction boundary (or one between two iterations of string I/O) is passed: the shadow ends, TF traps. */
function boundary(): Outcome {
  if (exitShadow()) guest.write(Register.InterruptShadow, 0);
  if (!(exitFlags() & Flag.TF)) return Outcome.Next;
  if (stepping()) return stop(DebugStop.Step);
  singleStep();
  return Outcome.Injected;
}

/** What is not simply "on to the next instruction". */
function settle(outcome: Outcome): Verdict {
  if (outcome == Outcome.Partial) outcome = boundary();
  if (outcome == Outcome.Stop) return Verdict.Stop;
  const steps = stepping();
  if (outcome == Outcome.Injected && steps) outcome = stop(DebugStop.Event);
  if (outcome == Outcome.Break) return Verdict.Break;
  const shadow = outcome == Outcome.Window && exitShadow() != 0;
  const halt = outcome == Outcome.Halt;
  const set = eventPending() && !steps && deliver(exitFlags(), shadow, outcome != Outcome.Injected);
  if (!halt || set) return Verdict.Resume;
  if (!(exitFlags() & Flag.IF)) {
    guest.end(EndReason.HaltedForever, rip());
    return Verdict.Stop;
  }
  machine.halted = 1;
  return Verdict.Halt;
}

/** HLT is done when RIP is past it. The trap of a set TF wakes the CPU at once. */
function hlt(): Outcome {
  const outcome = advance(ExitReason.Hlt);
  return outcome == Outcome.Next ? Outcome.Halt : outcome;
}

function portIo(): Outcome {
  const size = Io.size;
  const mask: u64 = ((<u64>1) << (size << 3)) - 1;
  const rax = gpr(Register.Rax);
  // A doubleword clears the upper half, as all 32-bit results do.
  if (Io.input) setGpr(Register.Rax, (size == 4 ? 0 : rax & ~mask) | (<u64>ioIn(Io.port, size) & mask));
  else ioOut(Io.port, size, <u32>(rax & mask));
  return power.ended ? Outcome.Stop : Outcome.Next;
}

/** An exception of the guest's own, unless it is what another vendor's CPU would have executed. */
function exceptional(): Outcome {
  exception();
  if (Fault.vector == Vector.UD) {
    const outcome = foreignInstruction();
    if (outcome != Outcome.Window) return outcome;
  }
  if (isDebuggers()) return Outcome.Break;
  // INT1 is a trap: its handler goes on behind it.
  if (Fault.software) setRip(rip() + exitLength());
  return reflect() ? Outcome.Injected : end(EndReason.TripleFault, rip());
}

/** An instruction that CPUID does not offer. */
function absent(): Outcome {
  const vector = undefinedVector(rawReason());
  inject(vector, vector == Vector.GP, 0);
  return Outcome.Injected;
}

function end(reason: EndReason, value: u64): Outcome {
  guest.end(reason, value);
  return Outcome.Stop;
}

/** Devices' timers, console bytes, NMIs; and a new look at what can be injected. */
export function event(bits: u32): u32 {
  deviceEvent(bits);
  if (bits & EventBit.Nmi) machine.nmi = 1;
  if (power.ended) return Verdict.Stop;
  // During a step only a guest that waits in HLT gets one, which ends the step.
  const steps = stepping();
  if (eventPending() && (!steps || machine.halted)) {
    const set = deliver(<u32>guest.read(Register.Rflags), guest.read(Register.InterruptShadow) != 0, !injecting());
    if (set) machine.halted = 0;
    if (set && steps) {
      stop(DebugStop.Event);
      return Verdict.Break;
    }
  }
  return machine.halted ? Verdict.Halt : Verdict.Resume;
}
