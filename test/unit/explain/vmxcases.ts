// For each rule of VMX: a good state, and what breaks exactly that rule on it. A table.
import { VmxRule as R } from "../../../protocol/rules.js";
import { VmxField as F } from "../../../protocol/vcb.js";
import { type Changes, stateWith } from "./states.js";

export interface Case {
  rule: number;
  /** the field that is named */
  field: number;
  broken: Changes;
  /** what must be so before; it is no failure itself */
  before?: Changes;
}

const base = stateWith("vmx");
const of = (field: F): bigint => base.get(field) ?? 0n;
const without = (field: F, bits: bigint): Changes => ({ [field]: of(field) & ~bits });
const and = (field: F, bits: bigint): Changes => ({ [field]: of(field) | bits });

const TPR_SHADOW = 0x20_0000n;
const shadow = { ...and(F.PrimaryControls, TPR_SHADOW), [F.VirtualApic]: 0x1000n };
/** EPT and VPID, no unrestricted guest */
const restricted = without(F.SecondaryControls, 0x80n);
const posting = {
  ...shadow,
  ...and(F.SecondaryControls, 0x200n),
  ...and(F.ExitControls, 0x8000n),
  [F.PinAllowed]: 0xff_0000_0016n,
  [F.PinControls]: 0xffn,
};
/** 32-bit code with PAE paging */
const pae = { ...without(F.EntryControls, 0x200n), [F.GuestEfer]: 0n, [F.GuestCsAccess]: 0xc09bn };
const segments = [F.GuestEsSelector, F.GuestCsSelector, F.GuestSsSelector, F.GuestDsSelector, F.GuestFsSelector, F.GuestGsSelector];
const allSegments = (access: bigint): Changes =>
  Object.fromEntries(
    segments.flatMap((selector) => [
      [selector, 0x100n],
      [selector + 1, 0x1000n],
      [selector + 2, 0xffffn],
      [selector + 3, access],
    ]),
  );
const v86 = { ...pae, ...allSegments(0xf3n), [F.GuestRflags]: 0x2_0202n, [F.GuestCr0]: 0x31n };
const real = { ...pae, ...allSegments(0x93n), [F.GuestCr0]: 0x30n };
const user = { [F.GuestCsAccess]: 0xa0fbn, [F.GuestSsAccess]: 0xc0f3n };
const event = (info: bigint): Changes => ({ [F.EntryInterruption]: 0x8000_0000n | info });
const NMI = event(0x202n);
const INTERRUPTS_OFF = { [F.GuestRflags]: 2n };

export const vmxCases: Case[] = [
  { rule: R.ControlMustBeOne, field: F.PinControls, broken: without(F.PinControls, 0x10n) },
  { rule: R.ControlMustBeZero, field: F.PinControls, broken: and(F.PinControls, 0x100n) },
  { rule: R.Cr3TargetCount, field: F.Cr3TargetCount, broken: { [F.Cr3TargetCount]: 5n } },
  { rule: R.Address4K, field: F.MsrBitmap, broken: and(F.MsrBitmap, 1n) },
  { rule: R.TprThreshold, field: F.TprThreshold, before: shadow, broken: { [F.TprThreshold]: 0x10n } },
  { rule: R.NeedsTprShadow, field: F.SecondaryControls, broken: and(F.SecondaryControls, 0x100n) },
  { rule: R.VirtualNmis, field: F.PinControls, broken: without(F.PinControls, 8n) },
  { rule: R.NmiWindow, field: F.PrimaryControls, before: without(F.PinControls, 0x20n), broken: and(F.PrimaryControls, 0x40_0000n) },
  { rule: R.X2ApicMode, field: F.SecondaryControls, before: shadow, broken: and(F.SecondaryControls, 0x11n) },
  {
    rule: R.InterruptDelivery,
    field: F.PinControls,
    before: { ...shadow, ...and(F.SecondaryControls, 0x200n) },
    broken: without(F.PinControls, 1n),
  },
  { rule: R.PostedInterrupts, field: F.PinControls, before: posting, broken: without(F.ExitControls, 0x8000n) },
  { rule: R.PostedVector, field: F.PostedVector, before: posting, broken: { [F.PostedVector]: 256n } },
  { rule: R.PostedDescriptor, field: F.PostedDescriptor, before: posting, broken: { [F.PostedDescriptor]: 0x1010n } },
  { rule: R.Vpid, field: F.Vpid, broken: { [F.Vpid]: 0n } },
  { rule: R.EptMemoryType, field: F.EptPointer, broken: { [F.EptPointer]: (of(F.EptPointer) & ~7n) | 1n } },
  { rule: R.EptWalkLength, field: F.EptPointer, broken: { [F.EptPointer]: (of(F.EptPointer) & ~0x38n) | 0x10n } },
  { rule: R.EptAccessedDirty, field: F.EptPointer, before: without(F.EptVpid, 0x20_0000n), broken: and(F.EptPointer, 0x40n) },
  { rule: R.EptReserved, field: F.EptPointer, broken: and(F.EptPointer, 0x80n) },
  { rule: R.NeedsEpt, field: F.SecondaryControls, broken: without(F.SecondaryControls, 2n) },
  { rule: R.VmFunctions, field: F.VmFunctions, before: and(F.SecondaryControls, 0x2000n), broken: { [F.VmFunctions]: 2n } },
  { rule: R.EptpSwitching, field: F.VmFunctions, before: { [F.SecondaryControls]: 0x2060n }, broken: { [F.VmFunctions]: 1n } },
  {
    rule: R.TscMultiplier,
    field: F.TscMultiplier,
    before: { ...and(F.SecondaryControls, 0x200_0000n), [F.TscMultiplier]: 1n << 48n },
    broken: { [F.TscMultiplier]: 0n },
  },
  { rule: R.SaveTimer, field: F.ExitControls, before: and(F.ExitControls, 0x40_0000n), broken: without(F.PinControls, 0x40n) },
  {
    rule: R.MsrAreaAddress,
    field: F.ExitLoadAddress,
    before: { [F.ExitLoadCount]: 1n, [F.ExitLoadAddress]: 0x1000n },
    broken: { [F.ExitLoadAddress]: 0x1008n },
  },
  {
    rule: R.MsrAreaEnd,
    field: F.EntryLoadAddress,
    before: { [F.EntryLoadCount]: 256n, [F.EntryLoadAddress]: 0xff_ffff_f000n },
    broken: { [F.EntryLoadCount]: 257n },
  },
  { rule: R.EventType, field: F.EntryInterruption, broken: event(0x130n) },
  { rule: R.EventVector, field: F.EntryInterruption, broken: event(0x203n) },
  { rule: R.EventVector, field: F.EntryInterruption, broken: event(0x320n) },
  { rule: R.EventErrorCode, field: F.EntryInterruption, broken: event(0x30dn) },
  { rule: R.EventErrorCode, field: F.EntryInterruption, broken: event(0xb03n) },
  { rule: R.EventErrorCode, field: F.EntryInterruption, before: real, broken: event(0xb0dn) },
  { rule: R.EventReserved, field: F.EntryInterruption, broken: event(0x1303n) },
  { rule: R.EventError, field: F.EntryError, before: event(0xb0dn), broken: { [F.EntryError]: 0x1_0000n } },
  { rule: R.EventLength, field: F.EntryLength, before: { ...event(0x430n), [F.EntryLength]: 15n }, broken: { [F.EntryLength]: 16n } },
  {
    rule: R.EventLength,
    field: F.EntryLength,
    before: { ...without(F.Misc, 1n << 30n), ...event(0x603n), [F.EntryLength]: 1n },
    broken: { [F.EntryLength]: 0n },
  },
  { rule: R.Smm, field: F.EntryControls, broken: and(F.EntryControls, 0x400n) },
  { rule: R.Cr0Fixed, field: F.GuestCr0, broken: without(F.GuestCr0, 0x20n) },
  { rule: R.Cr0Fixed, field: F.HostCr0, broken: without(F.HostCr0, 0x20n) },
  { rule: R.Cr4Fixed, field: F.GuestCr4, broken: without(F.GuestCr4, 0x2000n) },
  { rule: R.Cr3Width, field: F.GuestCr3, broken: { [F.GuestCr3]: 1n << 40n } },
  { rule: R.Canonical, field: F.GuestSysenterEsp, broken: { [F.GuestSysenterEsp]: 1n << 47n } },
  { rule: R.Canonical, field: F.HostRip, broken: { [F.HostRip]: 1n << 63n } },
  { rule: R.Pat, field: F.GuestPat, broken: { [F.GuestPat]: 2n } },
  { rule: R.EferReserved, field: F.GuestEfer, broken: and(F.GuestEfer, 0x1000n) },
  { rule: R.HostEferMode, field: F.HostEfer, broken: without(F.HostEfer, 0x400n) },
  { rule: R.HostSelectorBits, field: F.HostDs, broken: { [F.HostDs]: 0x13n } },
  { rule: R.HostSelectorZero, field: F.HostTr, broken: { [F.HostTr]: 0n } },
  { rule: R.HostLongMode, field: F.ExitControls, before: without(F.ExitControls, 0x20_0000n), broken: without(F.ExitControls, 0x20_0200n) },
  { rule: R.HostPae, field: F.HostCr4, broken: without(F.HostCr4, 0x20n) },
  { rule: R.PagingNeedsProtection, field: F.GuestCr0, broken: without(F.GuestCr0, 1n) },
  { rule: R.DebugctlReserved, field: F.GuestDebugctl, broken: { [F.GuestDebugctl]: 4n } },
  { rule: R.DebugctlReserved, field: F.GuestDebugctl, broken: { [F.GuestDebugctl]: 0x2000n } },
  { rule: R.LongNeedsPaging, field: F.GuestCr0, broken: without(F.GuestCr0, 0x8000_0000n) },
  { rule: R.LongNeedsPae, field: F.GuestCr4, broken: without(F.GuestCr4, 0x20n) },
  { rule: R.PcideNeedsLong, field: F.GuestCr4, before: pae, broken: and(F.GuestCr4, 0x2_0000n) },
  { rule: R.Dr7High, field: F.GuestDr7, broken: and(F.GuestDr7, 1n << 32n) },
  { rule: R.EferLma, field: F.GuestEfer, broken: { [F.GuestEfer]: 0x100n } },
  { rule: R.EferLme, field: F.GuestEfer, broken: { [F.GuestEfer]: 0x400n } },
  { rule: R.SelectorTi, field: F.GuestTrSelector, broken: { [F.GuestTrSelector]: 4n } },
  { rule: R.SsRpl, field: F.GuestSsSelector, before: restricted, broken: { [F.GuestCsSelector]: 9n } },
  { rule: R.V86Base, field: F.GuestFsBase, before: v86, broken: { [F.GuestFsBase]: 0x1010n } },
  { rule: R.V86Limit, field: F.GuestCsLimit, before: v86, broken: { [F.GuestCsLimit]: 0xf_ffffn } },
  { rule: R.V86Access, field: F.GuestSsAccess, before: v86, broken: { [F.GuestSsAccess]: 0x93n } },
  { rule: R.BaseHigh, field: F.GuestDsBase, broken: { [F.GuestDsBase]: 1n << 32n } },
  { rule: R.CsType, field: F.GuestCsAccess, broken: { [F.GuestCsAccess]: 0xa09an } },
  { rule: R.SsType, field: F.GuestSsAccess, broken: { [F.GuestSsAccess]: 0xc091n } },
  { rule: R.DataAccessed, field: F.GuestDsAccess, broken: { [F.GuestDsAccess]: 0xc092n } },
  { rule: R.DataReadable, field: F.GuestEsAccess, broken: { [F.GuestEsAccess]: 0xc099n } },
  { rule: R.SegmentKind, field: F.GuestGsAccess, broken: { [F.GuestGsAccess]: 0xc083n } },
  { rule: R.CsDpl, field: F.GuestCsAccess, broken: { [F.GuestCsAccess]: 0xa0bbn } },
  { rule: R.SsDpl, field: F.GuestSsAccess, before: real, broken: { [F.GuestSsAccess]: 0xf3n } },
  { rule: R.DataDpl, field: F.GuestDsAccess, before: restricted, broken: { [F.GuestDsSelector]: 0x13n } },
  { rule: R.SegmentPresent, field: F.GuestDsAccess, broken: { [F.GuestDsAccess]: 0xc013n } },
  { rule: R.SegmentReserved, field: F.GuestDsAccess, broken: { [F.GuestDsAccess]: 0xc193n } },
  { rule: R.CsLongDefault, field: F.GuestCsAccess, broken: { [F.GuestCsAccess]: 0xe09bn } },
  { rule: R.Granularity, field: F.GuestDsLimit, broken: { [F.GuestDsLimit]: 0xf_fffen } },
  { rule: R.Granularity, field: F.GuestTrLimit, broken: { [F.GuestTrLimit]: 0x10_0000n } },
  { rule: R.TrType, field: F.GuestTrAccess, broken: { [F.GuestTrAccess]: 0x89n } },
  { rule: R.LdtrType, field: F.GuestLdtrAccess, broken: { [F.GuestLdtrAccess]: 0x83n } },
  { rule: R.TrUsable, field: F.GuestTrAccess, broken: { [F.GuestTrAccess]: 0x1_008bn } },
  { rule: R.TableLimit, field: F.GuestIdtrLimit, broken: { [F.GuestIdtrLimit]: 0x1_0000n } },
  { rule: R.RipHigh, field: F.GuestRip, before: pae, broken: { [F.GuestRip]: 1n << 32n } },
  { rule: R.RipUpper, field: F.GuestRip, broken: { [F.GuestRip]: 1n << 48n } },
  { rule: R.RflagsReserved, field: F.GuestRflags, broken: { [F.GuestRflags]: 0x200n } },
  { rule: R.RflagsVm, field: F.GuestRflags, before: v86, broken: { [F.GuestCr0]: 0x30n } },
  { rule: R.RflagsIf, field: F.GuestRflags, before: INTERRUPTS_OFF, broken: event(0x30n) },
  { rule: R.ActivityKind, field: F.Activity, broken: { [F.Activity]: 4n } },
  { rule: R.ActivityKind, field: F.Activity, before: without(F.Misc, 0x40n), broken: { [F.Activity]: 1n } },
  { rule: R.ActivityKind, field: F.Activity, before: without(F.Misc, 0x100n), broken: { [F.Activity]: 3n } },
  { rule: R.ActivityHlt, field: F.Activity, before: user, broken: { [F.Activity]: 1n } },
  { rule: R.ActivityBlocked, field: F.Activity, before: { [F.Interruptibility]: 1n }, broken: { [F.Activity]: 1n } },
  { rule: R.ActivityEvent, field: F.Activity, before: event(0x303n), broken: { [F.Activity]: 1n } },
  { rule: R.BlockingReserved, field: F.Interruptibility, broken: { [F.Interruptibility]: 32n } },
  { rule: R.BlockingBoth, field: F.Interruptibility, broken: { [F.Interruptibility]: 3n } },
  { rule: R.BlockingSti, field: F.Interruptibility, before: INTERRUPTS_OFF, broken: { [F.Interruptibility]: 1n } },
  { rule: R.BlockingEvent, field: F.Interruptibility, before: NMI, broken: { [F.Interruptibility]: 2n } },
  { rule: R.BlockingSmi, field: F.Interruptibility, broken: { [F.Interruptibility]: 4n } },
  { rule: R.BlockingNmi, field: F.Interruptibility, before: NMI, broken: { [F.Interruptibility]: 8n } },
  { rule: R.BlockingEnclave, field: F.Interruptibility, broken: { [F.Interruptibility]: 0x12n } },
  { rule: R.PendingReserved, field: F.PendingDebug, broken: { [F.PendingDebug]: 0x10n } },
  {
    rule: R.PendingStep,
    field: F.PendingDebug,
    before: { [F.GuestRflags]: 0x302n, [F.Interruptibility]: 1n, [F.PendingDebug]: 0x4000n },
    broken: { [F.PendingDebug]: 0n },
  },
  { rule: R.PendingReserved, field: F.PendingDebug, broken: { [F.PendingDebug]: 1n << 63n } },
  { rule: R.PendingRtm, field: F.PendingDebug, broken: { [F.PendingDebug]: 0x1_0000n } },
  { rule: R.LinkAddress, field: F.LinkPointer, broken: { [F.LinkPointer]: 0x1010n } },
  { rule: R.LinkCurrent, field: F.LinkPointer, broken: { [F.LinkPointer]: of(F.VmcsAddress) } },
  { rule: R.Pdpte, field: F.Pdpte2, before: pae, broken: { [F.Pdpte2]: 3n } },
];
