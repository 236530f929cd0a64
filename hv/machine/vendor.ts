// The one place that knows which of vmx.ts and svm.ts serves this CPU; the handlers ask here. Both have the same functions.

import { Vendor } from "../../protocol/messages";
import * as guest from "./guest";
import { ReasonTable } from "./layout";
import * as svm from "./svm";
import * as vmx from "./vmx";

let isVmx: bool = false;
// What exit() compares before all else.
let cpuidReason: u32 = 0;
let hypercallReason: u32 = 0;

export function vendorInit(): void {
  isVmx = guest.vendor() == Vendor.Vmx;
  memory.fill(ReasonTable.At, 0, ReasonTable.Bytes);
  if (isVmx) vmx.reasons();
  else svm.reasons();
  cpuidReason = isVmx ? vmx.CPUID : svm.CPUID;
  hypercallReason = isVmx ? vmx.HYPERCALL : svm.HYPERCALL;
}

// @ts-ignore: decorator
@inline
export function rawCpuid(): u32 {
  return cpuidReason;
}
// @ts-ignore: decorator
@inline
export function rawHypercall(): u32 {
  return hypercallReason;
}

export function intel(): bool {
  return isVmx;
}

/** The neutral reason of an exit that the raw number alone tells; else 0. */
// @ts-ignore: decorator
@inline
export function plainReason(raw: u32): u32 {
  return raw < <u32>ReasonTable.Bytes ? load<u8>(raw, ReasonTable.At) : 0;
}

/** The neutral reason of the others; I/O fills Io. */
export function detailedReason(raw: u32): u32 {
  return isVmx ? vmx.detail(raw) : svm.detail(raw);
}

/** Fills Io for string I/O in full; false: the instruction could not be decoded. */
export function ioString(): bool {
  return isVmx ? vmx.ioString() : svm.ioString();
}

/** Fills Cr; false: the instruction could not be decoded. */
export function crAccess(): bool {
  return isVmx ? vmx.crAccess() : svm.crAccess();
}

/** Fills Cr for a MOV DR; false: the instruction could not be decoded. */
export function drAccess(): bool {
  return isVmx ? vmx.drAccess() : svm.drAccess();
}

/** After exception(): which bits of `mask` a #DB has for DR6. The guest's DR6 has them not. */
export function debugBits(mask: u32): u32 {
  return isVmx ? vmx.debugBits(mask) : svm.debugBits(mask);
}

/** Fills Fault. */
export function exception(): void {
  if (isVmx) vmx.exception();
  else svm.exception();
}

/** #UD, or what else an instruction raises that the guest's CPU does not have. */
export function undefinedVector(raw: u32): u32 {
  return isVmx ? vmx.undefinedVector(raw) : svm.undefinedVector(raw);
}

export function taskSelector(): u64 {
  return isVmx ? vmx.taskSelector() : svm.taskSelector();
}

/** The address that a nested fault was for. */
export function faultAddress(): u64 {
  return isVmx ? vmx.faultAddress() : svm.faultAddress();
}

/** The single-step trap after an instruction that the machine executed. It comes before any interrupt. */
export function singleStep(): void {
  if (isVmx) vmx.singleStep();
  else svm.singleStep();
}
