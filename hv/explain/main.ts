// The checker as a module of its own, for Node (control/src/explain/checker.ts): the same files that core has in the hypervisor. It imports
// nothing: the state is written into its memory, the failures are read out of it.

import { Vendor } from "../../protocol/messages";
import { begin, FAILURES, failures, STATE } from "./state";
import { svm } from "./svm";
import { vmx } from "./vmx";

/** Where a u64 for each VmxField or SvmField goes. */
export function state(): usize {
  return STATE;
}

/** Where the failures are, u32 each. */
export function list(): usize {
  return FAILURES;
}

/** Their number. */
export function explain(vendor: u32): u32 {
  begin();
  if (vendor == Vendor.Vmx) vmx();
  else svm();
  return failures;
}
