// AMD SVM: raw exits to the neutral record. Mirrors vmx.ts: the same functions in the same order.
// Citations: AMD APM vol. 2, 24593 rev. 3.41.

import { ExitReason, Register } from "../../protocol/state";
import { decodeCr, decodeString } from "./decode";
import { Fault, Io, rawReason, rip, setExitLength, Vector } from "./exit";
import * as guest from "./guest";
import { inject } from "./inject";
import { ExitRecord, Layout, ReasonTable } from "./layout";

/** Exit codes (appendix C). */
enum Code {
  CrRead = 0x00,
  CrWrite = 0x10,
  DrRead = 0x20,
  DrWrite = 0x30,
  Exception = 0x40,
  Interrupt = 0x60,
  Nmi = 0x61,
  Smi = 0x62,
  Init = 0x63,
  Vintr = 0x64,
  Cr0SelectiveWrite = 0x65,
  Rdtsc = 0x6e,
  Rdpmc = 0x6f,
  Cpuid = 0x72,
  Rsm = 0x73,
  Iret = 0x74,
  Invd = 0x76,
  Pause = 0x77,
  Hlt = 0x78,
  Invlpga = 0x7a,
  Io = 0x7b,
  Msr = 0x7c,
  TaskSwitch = 0x7d,
  Shutdown = 0x7f,
  Vmrun = 0x80,
  Vmmcall = 0x81,
  Vmload = 0x82,
  Rdtscp = 0x87,
  Icebp = 0x88,
  Wbinvd = 0x89,
  Monitor = 0x8a,
  MwaitConditional = 0x8c,
  Xsetbv = 0x8d,
  Rdpru = 0x8e,
  NestedPageFault = 0x400,
  Invalid = 0xffffffff,
}

export const CPUID: u32 = Code.Cpuid;
export const HYPERCALL: u32 = Code.Vmmcall;
/** EXITINFO1 for I/O (15.10.2) */
const IO_INPUT: u32 = 1;
const IO_STRING: u32 = 4;
const IO_REP: u32 = 8;
const DR6_BS: u64 = 0x4000;

function map(raw: u32, reason: u32): void {
  store<u8>(ReasonTable.At + raw, <u8>reason);
}

export function reasons(): void {
  for (let raw: u32 = Code.Exception; raw < <u32>Code.Interrupt; raw++) map(raw, ExitReason.Exception);
  map(Code.Interrupt, ExitReason.HostInterrupt);
  map(Code.Nmi, ExitReason.HostInterrupt);
  map(Code.Smi, ExitReason.HostInterrupt);
  map(Code.Shutdown, ExitReason.TripleFault);
  map(Code.Init, ExitReason.Init);
  map(Code.Vintr, ExitReason.InterruptWindow);
  map(Code.Iret, ExitReason.NmiWindow);
  map(Code.TaskSwitch, ExitReason.TaskSwitch);
  map(Code.Cpuid, ExitReason.Cpuid);
  map(Code.Hlt, ExitReason.Hlt);
  map(Code.Invd, ExitReason.CacheControl);
  map(Code.Vmmcall, ExitReason.Hypercall);
  for (let raw: u32 = Code.CrRead; raw < <u32>Code.CrWrite + 16; raw++) map(raw, ExitReason.CrAccess);
  for (let raw: u32 = Code.DrRead; raw < <u32>Code.DrWrite + 16; raw++) map(raw, ExitReason.DrAccess);
  map(Code.Icebp, ExitReason.Exception);
  map(Code.Cr0SelectiveWrite, ExitReason.CrAccess);
  map(Code.Pause, ExitReason.Pause);
  map(Code.Wbinvd, ExitReason.CacheControl);
  map(Code.Xsetbv, ExitReason.Xsetbv);
  // Instructions that the guest's CPUID does not offer: VMRUN, VMLOAD, VMSAVE, STGI, CLGI, SKINIT among them.
  for (let raw: u32 = Code.Vmload; raw <= <u32>Code.Rdtscp; raw++) map(raw, ExitReason.Undefined);
  map(Code.Vmrun, ExitReason.Undefined);
  map(Code.Rdpmc, ExitReason.Undefined);
  map(Code.Rdtsc, ExitReason.Rdtsc);
  map(Code.Rsm, ExitReason.Undefined);
  map(Code.Invlpga, ExitReason.Undefined);
  for (let raw: u32 = Code.Monitor; raw <= <u32>Code.MwaitConditional; raw++) map(raw, ExitReason.Undefined);
  map(Code.Rdpru, ExitReason.Undefined);
}

export function detail(raw: u32): u32 {
  if (raw == Code.Io) return io();
  if (raw == Code.Msr) return info1() & 1 ? ExitReason.Wrmsr : ExitReason.Rdmsr;
  if (raw == Code.NestedPageFault) return ExitReason.NestedFault;
  return raw == Code.Invalid ? ExitReason.EntryFailed : ExitReason.Unknown;
}

function io(): u32 {
  const info = <u32>info1();
  Io.port = info >>> 16;
  Io.size = (info >>> 4) & 7;
  const input = (info & IO_INPUT) != 0;
  Io.input = input;
  Io.repeat = (info & IO_REP) != 0;
  // EXITINFO2 is the RIP of the next instruction, on CPUs without next RIP too (15.10.2).
  setExitLength(<u32>(info2() - rip()));
  if (info & IO_STRING) return ExitReason.IoString;
  return input ? ExitReason.IoIn : ExitReason.IoOut;
}

/** EXITINFO1 has address size and segment only on CPUs with decode assists, and not under QEMU: the instruction has them. */
export function ioString(): bool {
  return decodeString();
}

/** EXITINFO1 names the register only with decode assists (15.8.1): the instruction has it. */
export function crAccess(): bool {
  return decodeCr();
}

/** EXITINFO1 names the register only with decode assists (15.8.2). */
export function drAccess(): bool {
  return decodeCr();
}

/** Exit code and EXITINFO1, 2 (15.12). A #DB exit has set DR6 already. */
export function exception(): void {
  Fault.software = rawReason() == Code.Icebp;
  const vector: u32 = Fault.software ? Vector.DB : rawReason() - Code.Exception;
  Fault.vector = vector;
  // #DF, #TS, #NP, #SS, #GP, #PF, #AC, #CP, #VC, #SX push an error code.
  Fault.hasError = ((0x60227d00 >>> vector) & 1) != 0;
  Fault.error = Fault.hasError ? <u32>info1() : 0;
  Fault.address = vector == Vector.PF ? info2() : 0;
}

/** Those bits of `mask` that a #DB exit has set in DR6; the guest does not see them. Of a debug exception of the guest's own just before, they
 *  go with it. */
export function debugBits(mask: u32): u32 {
  const dr6 = guest.read(Register.Dr6);
  const bits = <u32>dr6 & mask;
  if (bits) guest.write(Register.Dr6, dr6 & ~(<u64>mask));
  return bits;
}

export function undefinedVector(raw: u32): u32 {
  // No performance counter that ECX could name.
  return raw == Code.Rdpmc ? Vector.GP : Vector.UD;
}

/** EXITINFO1 for task switches (15.14.1). */
export function taskSelector(): u64 {
  return info1() & 0xffff;
}

export function faultAddress(): u64 {
  return info2();
}

/** SVM has no pending debug exceptions: the trap is injected, and DR6.BS with it. */
export function singleStep(): void {
  guest.write(Register.Dr6, guest.read(Register.Dr6) | DR6_BS);
  inject(Vector.DB, false, 0);
}

function info1(): u64 {
  return load<u64>(Layout.Exit + ExitRecord.Info1);
}

function info2(): u64 {
  return load<u64>(Layout.Exit + ExitRecord.Info2);
}
