// Why an entry fails: a guest's control block, read once and checked by hv/explain. For GuestExplain, and for the news of a guest whose entry
// failed (events.ts): its control block is as the CPU refused it.

import { GuestExplainArgs, Status, Vendor } from "../../protocol/messages";
import { Failure } from "../../protocol/rules";
import { Register } from "../../protocol/state";
import { SvmField, VmxField } from "../../protocol/vcb";
import { begin, FAILURES, failures, get, set } from "../explain/state";
import { svm } from "../explain/svm";
import { vmx } from "../explain/vmx";
import * as host from "./host";
import { HostFact } from "./host";
import { arg, dataRoom, word } from "./message";

let readings: u64 = 0;

function isVmx(): bool {
  return host.fact(HostFact.Vendor) == Vendor.Vmx;
}

function fields(): u32 {
  return isVmx() ? VmxField.Count : SvmField.Count;
}

/** The number of failed checks. The state stays until the next call. */
export function explain(slot: u32): u32 {
  for (let field: u32 = 0; field < fields(); field++) set(field, host.guestVcb(slot, field));
  // The next entry puts it there.
  set(isVmx() ? VmxField.GuestRip : SvmField.Rip, host.guestRegister(slot, Register.Rip));
  readings++;
  begin();
  if (isVmx()) vmx();
  else svm();
  return failures;
}

/** With failures. */
export function firstFailure(): u32 {
  return load<u32>(FAILURES);
}

/** The value of the field that it names; 0 without one. */
export function failedValue(failure: u32): u64 {
  return failure == 0 ? 0 : get(failure >> Failure.FieldShift);
}

export function guestExplain(slot: u32): u32 {
  let field = arg(GuestExplainArgs.First);
  if (field == 0) explain(slot);
  word(readings);
  word(failures);
  word(failures > 0 ? firstFailure() : 0);
  word(fields());
  for (; field < <u64>fields() && dataRoom() >= 8; field++) word(get(<u32>field));
  return Status.Ok;
}
