// Intel VMX: the checks of the host's state (27.2.2 to 27.2.4), of the guest's control registers, debug registers and MSRs (27.3.1.1), of its
// descriptor tables, RIP and RFLAGS (27.3.1.3, 27.3.1.4). Called by vmx.ts.

import { VmxRule } from "../../protocol/rules";
import { VmxField } from "../../protocol/vcb";
import { check, get, only, pat } from "./state";
import {
  Access,
  CR0_PE,
  CR0_PG,
  CR4_PAE,
  CR4_PCIDE,
  DEBUGCTL_BITS,
  EFER_BITS,
  EFER_LMA,
  EFER_LME,
  Entry,
  Exit,
  RFLAGS_IF,
  RFLAGS_VM,
  Type,
} from "./vmxbits";
import { access, address, canonical, canonicals, fixed, long, unrestricted, unused } from "./vmxcommon";
import { eventType } from "./vmxcontrols";

export function host(): void {
  const exits = get(VmxField.ExitControls);
  fixed(VmxRule.Cr0Fixed, VmxField.HostCr0, VmxField.Cr0Fixed0, 0);
  fixed(VmxRule.Cr4Fixed, VmxField.HostCr4, VmxField.Cr4Fixed0, 0);
  address(VmxRule.Cr3Width, VmxField.HostCr3, 0);
  canonicals(VmxField.HostSysenterEsp, 2);
  if (exits & Exit.LoadPat) pat(VmxRule.Pat, VmxField.HostPat);
  if (exits & Exit.LoadEfer) {
    const efer = get(VmxField.HostEfer);
    only(VmxRule.EferReserved, VmxField.HostEfer, EFER_BITS);
    const mode: u64 = exits & Exit.HostLong ? EFER_LMA | EFER_LME : 0;
    check(VmxRule.HostEferMode, VmxField.HostEfer, (efer & (EFER_LMA | EFER_LME)) == mode);
  }
  for (let field: u32 = VmxField.HostEs; field <= <u32>VmxField.HostTr; field++) {
    check(VmxRule.HostSelectorBits, field, (get(field) & 7) == 0);
    if (field == <u32>VmxField.HostCs || field == <u32>VmxField.HostTr) check(VmxRule.HostSelectorZero, field, get(field) != 0);
  }
  canonicals(VmxField.HostFsBase, 5);
  // The kit, and every 64-bit one: VMLAUNCH in IA-32e mode
  check(VmxRule.HostLongMode, VmxField.ExitControls, (exits & Exit.HostLong) != 0);
  check(VmxRule.HostPae, VmxField.HostCr4, (get(VmxField.HostCr4) & CR4_PAE) != 0);
  canonical(VmxField.HostRip);
}

export function registers(): void {
  const entries = get(VmxField.EntryControls);
  const cr0 = get(VmxField.GuestCr0);
  const cr4 = get(VmxField.GuestCr4);
  fixed(VmxRule.Cr0Fixed, VmxField.GuestCr0, VmxField.Cr0Fixed0, unrestricted ? CR0_PE | CR0_PG : 0);
  check(VmxRule.PagingNeedsProtection, VmxField.GuestCr0, !(cr0 & CR0_PG) || (cr0 & CR0_PE) != 0);
  fixed(VmxRule.Cr4Fixed, VmxField.GuestCr4, VmxField.Cr4Fixed0, 0);
  if (entries & Entry.LoadDebug) {
    only(VmxRule.DebugctlReserved, VmxField.GuestDebugctl, DEBUGCTL_BITS);
    only(VmxRule.Dr7High, VmxField.GuestDr7, 0xffffffff);
  }
  check(VmxRule.LongNeedsPaging, VmxField.GuestCr0, !long || (cr0 & CR0_PG) != 0);
  check(VmxRule.LongNeedsPae, VmxField.GuestCr4, !long || (cr4 & CR4_PAE) != 0);
  check(VmxRule.PcideNeedsLong, VmxField.GuestCr4, long || !(cr4 & CR4_PCIDE));
  address(VmxRule.Cr3Width, VmxField.GuestCr3, 0);
  canonicals(VmxField.GuestSysenterEsp, 2);
  if (entries & Entry.LoadPat) pat(VmxRule.Pat, VmxField.GuestPat);
  if (entries & Entry.LoadEfer) {
    const efer = get(VmxField.GuestEfer);
    only(VmxRule.EferReserved, VmxField.GuestEfer, EFER_BITS);
    check(VmxRule.EferLma, VmxField.GuestEfer, long == ((efer & EFER_LMA) != 0));
    check(VmxRule.EferLme, VmxField.GuestEfer, !(cr0 & CR0_PG) || long == ((efer & EFER_LME) != 0));
  }
}

export function tables(): void {
  canonicals(VmxField.GuestGdtrBase, 2);
  only(VmxRule.TableLimit, VmxField.GuestGdtrLimit, 0xffff);
  only(VmxRule.TableLimit, VmxField.GuestIdtrLimit, 0xffff);
  const rip = get(VmxField.GuestRip);
  if (long && access(VmxField.GuestCsSelector) & Access.Long) {
    // bits beyond the linear address are alike: less than canonical
    const upper = <i64>rip >> (64 - unused);
    check(VmxRule.RipUpper, VmxField.GuestRip, upper == 0 || upper == -1);
  } else only(VmxRule.RipHigh, VmxField.GuestRip, 0xffffffff);
  const flags = get(VmxField.GuestRflags);
  check(VmxRule.RflagsReserved, VmxField.GuestRflags, (flags & 0xffffffffffc0802a) == 2);
  const protect = (get(VmxField.GuestCr0) & CR0_PE) != 0;
  check(VmxRule.RflagsVm, VmxField.GuestRflags, !(flags & RFLAGS_VM) || (!long && protect));
  check(VmxRule.RflagsIf, VmxField.GuestRflags, eventType != Type.External || (flags & RFLAGS_IF) != 0);
}
