// A state by its number: made, written into the guest's control block, read back (a field may be narrower), checked, entered. Above vmx.ts
// and svm.ts.

import * as host from "../../hv/core/host";
import { HostFact } from "../../hv/core/host";
import { begin, get, set } from "../../hv/explain/state";
import { svm } from "../../hv/explain/svm";
import { vmx } from "../../hv/explain/vmx";
import { Vendor } from "../../protocol/messages";
import { SvmField, VmxField } from "../../protocol/vcb";
import { below, start } from "./random";
import { rawEnter, rawWrite } from "./raw";
import { svmCage, svmChange, svmMode, svmSafe } from "./svm";
import { vmxCage, vmxChange, vmxMode, vmxSafe } from "./vmx";

/** The guest's own control block, as it was at first. */
const BASE: usize = memory.data(VmxField.Count * 8);
let known: bool = false;

function isVmx(): bool {
  return host.fact(HostFact.Vendor) == Vendor.Vmx;
}

export function fieldCount(): u32 {
  return isVmx() ? VmxField.Count : SvmField.Count;
}

/** Made, written and read back. */
export function makeState(slot: u32, number: u64): void {
  const count = fieldCount();
  if (!known) for (let field: u32 = 0; field < count; field++) store<u64>(BASE + field * 8, host.guestVcb(slot, field));
  known = true;
  for (let field: u32 = 0; field < count; field++) set(field, load<u64>(BASE + field * 8));
  start(number);
  if (isVmx()) {
    vmxSafe();
    vmxMode();
  } else {
    svmSafe();
    svmMode();
  }
  // Mostly one change, so that a verdict has one cause; sometimes none.
  const changes: u32 = below(8) == 0 ? 0 : below(4) == 0 ? 2 : 1;
  for (let change: u32 = 0; change < changes; change++) {
    if (isVmx()) vmxChange();
    else svmChange();
  }
  if (isVmx()) vmxCage();
  else svmCage();
  for (let field: u32 = 0; field < count; field++) rawWrite(slot, field, get(field));
  for (let field: u32 = 0; field < count; field++) set(field, host.guestVcb(slot, field));
}

export function checkState(): void {
  begin();
  if (isVmx()) vmx();
  else svm();
}

export function enterState(slot: u32, mark: u32): u64 {
  return rawEnter(slot, mark);
}

/** The host's part is sound again, and the guest's as it was. */
export function restoreState(slot: u32): void {
  for (let field: u32 = 0; field < fieldCount(); field++) rawWrite(slot, field, load<u64>(BASE + field * 8));
}
