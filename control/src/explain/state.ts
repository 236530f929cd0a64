// A control block as it was read, from a hypervisor or from a file: some fields may be absent.
import type { VendorName } from "./rules.js";

export interface EntryState {
  vendor: VendorName;
  /** by VmxField or SvmField */
  fields: ReadonlyMap<number, bigint>;
}

export const U64 = 0xffff_ffff_ffff_ffffn;
