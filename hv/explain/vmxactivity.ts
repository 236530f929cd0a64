// Intel VMX: the checks of the guest's state that is in no register (27.3.1.5), and of its PDPTEs (27.3.1.6). Called by vmx.ts.

import { VmxRule } from "../../protocol/rules";
import { VmxField } from "../../protocol/vcb";
import { check, get, only } from "./state";
import { ActivityState, Blocking, CR0_PG, CR4_PAE, DB, DEBUGCTL_BTF, MC, Pin, RFLAGS_IF, RFLAGS_TF, Secondary, Type } from "./vmxbits";
import { address, dpl, long, secondary } from "./vmxcommon";
import { eventType, eventVector } from "./vmxcontrols";

export function nonRegisters(): void {
  const activity = <u32>get(VmxField.Activity);
  const blocking = <u32>get(VmxField.Interruptibility);
  const flags = get(VmxField.GuestRflags);
  const blocked = blocking & (Blocking.Sti | Blocking.MovSs);
  // IA32_VMX_MISC[8:6]: HLT, shutdown, wait-for-SIPI
  const have = (get(VmxField.Misc) >> 5) | 1;
  check(VmxRule.ActivityKind, VmxField.Activity, activity < 4 && ((have >> activity) & 1) != 0);
  check(VmxRule.ActivityHlt, VmxField.Activity, activity != ActivityState.Halted || dpl(VmxField.GuestSsSelector) == 0);
  check(VmxRule.ActivityBlocked, VmxField.Activity, activity == ActivityState.Active || blocked == 0);
  check(VmxRule.ActivityEvent, VmxField.Activity, eventType == <u32>-1 || deliverable(activity));
  only(VmxRule.BlockingReserved, VmxField.Interruptibility, 31);
  check(VmxRule.BlockingBoth, VmxField.Interruptibility, blocked != (Blocking.Sti | Blocking.MovSs));
  check(VmxRule.BlockingSti, VmxField.Interruptibility, !(blocking & Blocking.Sti) || (flags & RFLAGS_IF) != 0);
  const closed: u32 = eventType == Type.External ? Blocking.Sti | Blocking.MovSs : eventType == Type.Nmi ? Blocking.MovSs : 0;
  check(VmxRule.BlockingEvent, VmxField.Interruptibility, !(blocking & closed));
  check(VmxRule.BlockingSmi, VmxField.Interruptibility, !(blocking & Blocking.Smi));
  const virtualNmis = (get(VmxField.PinControls) & Pin.VirtualNmis) != 0;
  check(VmxRule.BlockingNmi, VmxField.Interruptibility, !(blocking & Blocking.Nmi) || !virtualNmis || eventType != Type.Nmi);
  check(VmxRule.BlockingEnclave, VmxField.Interruptibility, !(blocking & Blocking.Enclave) || !(blocking & Blocking.MovSs));
  const pending = get(VmxField.PendingDebug);
  // B3 to B0, enabled breakpoint 12, BS 14, RTM 16
  only(VmxRule.PendingReserved, VmxField.PendingDebug, 0x1500f);
  if (blocked || activity == ActivityState.Halted) {
    const step = (flags & RFLAGS_TF) != 0 && !(get(VmxField.GuestDebugctl) & DEBUGCTL_BTF);
    check(VmxRule.PendingStep, VmxField.PendingDebug, step == ((pending & 0x4000) != 0));
  }
  check(
    VmxRule.PendingRtm,
    VmxField.PendingDebug,
    !(pending & 0x10000) || ((pending & 0x1ffff) == 0x11000 && !(blocking & Blocking.MovSs)),
  );
  const link = get(VmxField.LinkPointer);
  if (link == <u64>-1) return;
  address(VmxRule.LinkAddress, VmxField.LinkPointer, 0xfff);
  check(VmxRule.LinkCurrent, VmxField.LinkPointer, link != get(VmxField.VmcsAddress));
}

/** The event can be taken in this activity state. */
function deliverable(activity: u32): bool {
  const urgent = eventType == Type.Nmi || (eventType == Type.Exception && eventVector == MC);
  if (activity == ActivityState.Active) return true;
  if (activity == ActivityState.Shutdown) return urgent;
  if (activity == ActivityState.WaitForSipi) return false;
  return urgent || eventType == Type.External || (eventType == Type.Exception && eventVector == DB) || eventType == Type.Other;
}

/** With EPT a guest that uses PAE paging has its four PDPTEs in the VMCS: reserved bits of those that are present. */
export function pdptes(): void {
  const pae = !long && (get(VmxField.GuestCr0) & CR0_PG) != 0 && (get(VmxField.GuestCr4) & CR4_PAE) != 0;
  if (!pae || !(secondary & Secondary.Ept)) return;
  for (let field: u32 = VmxField.Pdpte0; field <= <u32>VmxField.Pdpte3; field++) {
    if (get(field) & 1) address(VmxRule.Pdpte, field, 0x1e6);
  }
}
