// Intel VMX: the checks of the guest's segment registers (27.3.1.2), in virtual-8086 mode and in all others. Called by vmx.ts.

import { VmxRule } from "../../protocol/rules";
import { VmxField } from "../../protocol/vcb";
import { check, get, only } from "./state";
import { Access, CR0_PE, Part, RFLAGS_VM } from "./vmxbits";
import { access, canonical, dpl, long, unrestricted, usable } from "./vmxcommon";

function v86(): bool {
  return (get(VmxField.GuestRflags) & RFLAGS_VM) != 0;
}

export function segments(): void {
  const ss = get(VmxField.GuestSsSelector);
  const cs = get(VmxField.GuestCsSelector);
  check(VmxRule.SelectorTi, VmxField.GuestTrSelector, !(get(VmxField.GuestTrSelector) & 4));
  if (usable(VmxField.GuestLdtrSelector)) check(VmxRule.SelectorTi, VmxField.GuestLdtrSelector, !(get(VmxField.GuestLdtrSelector) & 4));
  check(VmxRule.SsRpl, VmxField.GuestSsSelector, v86() || unrestricted || ((ss ^ cs) & 3) == 0);
  for (let segment: u32 = VmxField.GuestEsSelector; segment <= <u32>VmxField.GuestGsSelector; segment += Part.Fields) {
    if (v86()) v86Segment(segment);
    else protectedSegment(segment);
  }
  canonical(VmxField.GuestFsBase);
  canonical(VmxField.GuestGsBase);
  systemSegment(VmxField.GuestLdtrSelector);
  systemSegment(VmxField.GuestTrSelector);
}

function v86Segment(segment: u32): void {
  check(VmxRule.V86Base, segment + Part.Base, get(segment + Part.Base) == get(segment) << 4);
  check(VmxRule.V86Limit, segment + Part.Limit, get(segment + Part.Limit) == 0xffff);
  check(VmxRule.V86Access, segment + Part.Access, access(segment) == 0xf3);
}

function protectedSegment(segment: u32): void {
  const code = segment == VmxField.GuestCsSelector;
  const stack = segment == VmxField.GuestSsSelector;
  if (!code && !usable(segment)) {
    // Its DPL is the CPL, used or not.
    if (stack) stackDpl();
    return;
  }
  const rights = access(segment);
  const type = rights & Access.Type;
  const field = segment + Part.Access;
  if (segment < <u32>VmxField.GuestFsSelector) only(VmxRule.BaseHigh, segment + Part.Base, 0xffffffff);
  if (code) {
    check(VmxRule.CsType, field, (type & 9) == 9 || (type == 3 && unrestricted));
    const own = dpl(segment);
    const level = dpl(VmxField.GuestSsSelector);
    check(VmxRule.CsDpl, field, type == 3 ? own == 0 : type & 4 ? own <= level : own == level);
    check(VmxRule.CsLongDefault, field, !long || (~rights & (Access.Long | Access.Default)) != 0);
  } else if (stack) {
    check(VmxRule.SsType, field, (type & 11) == 3);
    stackDpl();
  } else {
    check(VmxRule.DataAccessed, field, (type & 1) != 0);
    check(VmxRule.DataReadable, field, (type & 10) != 8);
    check(VmxRule.DataDpl, field, unrestricted || type > 11 || dpl(segment) >= (<u32>get(segment) & 3));
  }
  check(VmxRule.SegmentKind, field, (rights & Access.Kind) != 0);
  common(segment);
}

function stackDpl(): void {
  const level = dpl(VmxField.GuestSsSelector);
  const real = !(get(VmxField.GuestCr0) & CR0_PE) || (access(VmxField.GuestCsSelector) & Access.Type) == 3;
  const rpl = unrestricted || level == (<u32>get(VmxField.GuestSsSelector) & 3);
  check(VmxRule.SsDpl, VmxField.GuestSsAccess, rpl && (level == 0 || !real));
}

/** Present, reserved bits, and a limit that its granularity can say: of a segment that is usable. */
function common(segment: u32): void {
  const field = segment + Part.Access;
  const rights = access(segment);
  const limit = <u32>get(segment + Part.Limit);
  check(VmxRule.SegmentPresent, field, (rights & Access.Present) != 0);
  check(VmxRule.SegmentReserved, field, !(rights & Access.Reserved));
  const pages = (rights & Access.Granularity) != 0;
  check(VmxRule.Granularity, segment + Part.Limit, pages ? (~limit & 0xfff) == 0 : !(limit >> 20));
}

function systemSegment(segment: u32): void {
  const field = segment + Part.Access;
  const type = access(segment) & Access.Type;
  if (segment == VmxField.GuestTrSelector) {
    check(VmxRule.TrType, field, type == 11 || (type == 3 && !long));
    check(VmxRule.TrUsable, field, usable(segment));
  } else {
    if (!usable(segment)) return;
    check(VmxRule.LdtrType, field, type == 2);
  }
  canonical(segment + Part.Base);
  check(VmxRule.SegmentKind, field, !(access(segment) & Access.Kind));
  common(segment);
}
