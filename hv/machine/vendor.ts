// The one place that knows which of vmx.ts and svm.ts serves this CPU; the handlers ask here. Both have the same functions.

import { Vendor } from "../../protocol/messages";
import { Table, rawReason } from "./exit";
import * as guest from "./guest";
import * as svm from "./svm";
import * as vmx from "./vmx";

let isVmx: bool = false;

export function vendorInit(): void {
  isVmx = guest.vendor() == Vendor.Vmx;
  memory.fill(Table.Reasons, 0, 256);
  if (isVmx) vmx.reasons();
  else svm.reasons();
}

export function intel(): bool {
  return isVmx;
}

/** The neutral reason of this exit. */
// @ts-ignore: decorator
@inline
export function exitReason(): u32 {
  const raw = rawReason();
  const reason: u32 = raw < 256 ? load<u8>(Table.Reasons + raw) : 0;
  return reason ? reason : detail(raw);
}

function detail(raw: u32): u32 {
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
