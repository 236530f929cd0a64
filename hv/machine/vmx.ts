// Intel VMX: raw exits to the neutral record. Mirrors svm.ts: the same functions in the same order.
// Citations: Intel SDM, 325462-083 (March 2024).

import { ExitField, ExitReason, Register } from "../../protocol/state";
import { Cr, CrKind, Fault, Io, Vector } from "./exit";
import * as guest from "./guest";
import { ReasonTable } from "./layout";

/** Basic exit reasons (vol. 3, appendix C). */
enum Reason {
  Exception = 0,
  ExternalInterrupt = 1,
  TripleFault = 2,
  Init = 3,
  InterruptWindow = 7,
  NmiWindow = 8,
  TaskSwitch = 9,
  Cpuid = 10,
  Getsec = 11,
  Hlt = 12,
  Invd = 13,
  Rdpmc = 15,
  Rdtsc = 16,
  Rsm = 17,
  Vmcall = 18,
  Vmclear = 19,
  Vmxon = 27,
  CrAccess = 28,
  DrAccess = 29,
  Io = 30,
  Rdmsr = 31,
  Wrmsr = 32,
  Mwait = 36,
  Monitor = 39,
  Pause = 40,
  EptViolation = 48,
  EptMisconfiguration = 49,
  Invept = 50,
  Rdtscp = 51,
  Invvpid = 53,
  Wbinvd = 54,
  Xsetbv = 55,
  Invpcid = 58,
  Vmfunc = 59,
}

export const CPUID: u32 = Reason.Cpuid;
export const HYPERCALL: u32 = Reason.Vmcall;
const ENTRY_FAILED: u32 = 0x80000000;
/** exit qualification for I/O (table 28-5) */
const IO_INPUT: u32 = 8;
const IO_STRING: u32 = 16;
const IO_REP: u32 = 32;
/** pending debug exceptions: BS, and "enabled breakpoint" left alone (25.4.2) */
const PENDING_BS: u64 = 0x4000;
/** interruption type: of INT1 */
const TYPE: u32 = 0x700;
const PRIVILEGED_SOFTWARE: u32 = 0x500;

function map(raw: u32, reason: u32): void {
  store<u8>(ReasonTable.At + raw, <u8>reason);
}

export function reasons(): void {
  map(Reason.Exception, ExitReason.Exception);
  map(Reason.ExternalInterrupt, ExitReason.HostInterrupt);
  map(Reason.TripleFault, ExitReason.TripleFault);
  map(Reason.Init, ExitReason.Init);
  map(Reason.InterruptWindow, ExitReason.InterruptWindow);
  map(Reason.NmiWindow, ExitReason.NmiWindow);
  map(Reason.TaskSwitch, ExitReason.TaskSwitch);
  map(Reason.Cpuid, ExitReason.Cpuid);
  map(Reason.Hlt, ExitReason.Hlt);
  map(Reason.Invd, ExitReason.CacheControl);
  map(Reason.Vmcall, ExitReason.Hypercall);
  map(Reason.CrAccess, ExitReason.CrAccess);
  map(Reason.DrAccess, ExitReason.DrAccess);
  map(Reason.Rdmsr, ExitReason.Rdmsr);
  map(Reason.Wrmsr, ExitReason.Wrmsr);
  map(Reason.Pause, ExitReason.Pause);
  map(Reason.EptViolation, ExitReason.NestedFault);
  map(Reason.EptMisconfiguration, ExitReason.NestedFault);
  map(Reason.Wbinvd, ExitReason.CacheControl);
  map(Reason.Xsetbv, ExitReason.Xsetbv);
  // Instructions that the guest's CPUID does not offer.
  for (let raw: u32 = Reason.Vmclear; raw <= <u32>Reason.Vmxon; raw++) map(raw, ExitReason.Undefined);
  map(Reason.Getsec, ExitReason.Undefined);
  map(Reason.Rdpmc, ExitReason.Undefined);
  map(Reason.Rdtsc, ExitReason.Rdtsc);
  map(Reason.Rsm, ExitReason.Undefined);
  map(Reason.Mwait, ExitReason.Undefined);
  map(Reason.Monitor, ExitReason.Undefined);
  map(Reason.Invept, ExitReason.Undefined);
  map(Reason.Rdtscp, ExitReason.Undefined);
  map(Reason.Invvpid, ExitReason.Undefined);
  map(Reason.Invpcid, ExitReason.Undefined);
  map(Reason.Vmfunc, ExitReason.Undefined);
}

export function detail(raw: u32): u32 {
  if (raw == Reason.Io) return io();
  return raw & ENTRY_FAILED ? ExitReason.EntryFailed : ExitReason.Unknown;
}

function io(): u32 {
  const qualification = <u32>guest.read(ExitField.Qualification);
  Io.port = qualification >>> 16;
  Io.size = (qualification & 7) + 1;
  const input = (qualification & IO_INPUT) != 0;
  Io.input = input;
  Io.repeat = (qualification & IO_REP) != 0;
  if (qualification & IO_STRING) return ExitReason.IoString;
  return input ? ExitReason.IoIn : ExitReason.IoOut;
}

/** VM-exit instruction information for INS and OUTS (table 28-8): address size 9:7, segment 17:15 (OUTS only). */
export function ioString(): bool {
  const info = <u32>guest.read(ExitField.InstructionInfo);
  Io.addressBytes = 2 << ((info >>> 7) & 3);
  Io.segment = Io.input ? 0 : (info >>> 15) & 7;
  return true;
}

/** Exit qualification for control-register accesses (table 28-3). */
export function crAccess(): bool {
  const qualification = <u32>guest.read(ExitField.Qualification);
  Cr.number = qualification & 15;
  Cr.register = (qualification >>> 8) & 15;
  Cr.word = qualification >>> 16;
  switch ((qualification >>> 4) & 3) {
    case 0:
      Cr.kind = CrKind.Write;
      break;
    case 1:
      Cr.kind = CrKind.Read;
      break;
    case 2:
      Cr.kind = CrKind.Clts;
      break;
    default:
      Cr.kind = CrKind.Lmsw;
  }
  return true;
}

/** Exit qualification for MOV DR (table 28-4). */
export function drAccess(): bool {
  const qualification = <u32>guest.read(ExitField.Qualification);
  Cr.number = qualification & 7;
  Cr.register = (qualification >>> 8) & 15;
  Cr.kind = qualification & 16 ? CrKind.Read : CrKind.Write;
  return true;
}

/** VM-exit interruption information (25.9.2). A #DB exit leaves DR6 as it was: the qualification has its new bits (28.2.1). */
export function exception(): void {
  const info = <u32>guest.read(ExitField.Interruption);
  const vector = info & 255;
  Fault.vector = vector;
  Fault.hasError = (info & 0x800) != 0;
  Fault.error = Fault.hasError ? <u32>guest.read(ExitField.InterruptionError) : 0;
  Fault.address = vector == Vector.PF || vector == Vector.DB ? guest.read(ExitField.Qualification) : 0;
  Fault.software = (info & TYPE) == PRIVILEGED_SOFTWARE;
}

/** Those bits of `mask` that a #DB exit has for DR6. */
export function debugBits(mask: u32): u32 {
  return <u32>Fault.address & mask;
}

export function undefinedVector(raw: u32): u32 {
  // No performance counter that ECX could name.
  return raw == Reason.Rdpmc ? Vector.GP : Vector.UD;
}

/** Exit qualification for task switches (table 28-2). */
export function taskSelector(): u64 {
  return guest.read(ExitField.Qualification) & 0xffff;
}

export function faultAddress(): u64 {
  return guest.read(ExitField.Info2);
}

/** The CPU delivers it after the entry, and sets DR6.BS itself (27.7.3). */
export function singleStep(): void {
  guest.write(Register.PendingDebug, guest.read(Register.PendingDebug) | PENDING_BS);
}
