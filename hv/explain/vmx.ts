// Intel VMX: the checks of a VM entry on controls, host state and guest state, in the manual's order (SDM vol. 3, 27.2 and 27.3; edition
// 325462-083). Mirrors svm.ts. Not checked: what lies in memory (MSR areas, the VTPR, the VMCS behind the link pointer, PDPTEs without
// EPT), and the state of features whose controls this kit never sets (CET, MPX, PT, LBR, PKRS, tertiary controls); docs/explain.md.

import { Failure, VmxRule } from "../../protocol/rules";
import { VmxField } from "../../protocol/vcb";
import { check, get, only, pat, zero } from "./state";

/** Pin-based controls. */
enum Pin {
  External = 1,
  Nmi = 8,
  VirtualNmis = 0x20,
  Timer = 0x40,
  Posted = 0x80,
}

/** Primary processor-based controls. */
enum Primary {
  TprShadow = 0x200000,
  NmiWindow = 0x400000,
  IoBitmaps = 0x2000000,
  TrapFlag = 0x8000000,
  MsrBitmaps = 0x10000000,
  Secondary = 0x80000000,
}

/** Secondary processor-based controls. */
enum Secondary {
  ApicAccesses = 1,
  Ept = 2,
  X2Apic = 0x10,
  Vpid = 0x20,
  Unrestricted = 0x80,
  InterruptDelivery = 0x200,
  /** x2APIC mode, APIC-register virtualization, virtual-interrupt delivery */
  OfTprShadow = 0x310,
  Functions = 0x2000,
  Shadowing = 0x4000,
  Pml = 0x20000,
  Virtualization = 0x40000,
  /** unrestricted guest, PML, mode-based execution, sub-page permissions */
  OfEpt = 0xc20080,
  TscScaling = 0x2000000,
}

enum Exit {
  HostLong = 0x200,
  AcknowledgeInterrupt = 0x8000,
  LoadPat = 0x80000,
  LoadEfer = 0x200000,
  SaveTimer = 0x400000,
}

enum Entry {
  LoadDebug = 4,
  Long = 0x200,
  /** entry to SMM, deactivate dual-monitor treatment */
  Smm = 0xc00,
  LoadPat = 0x4000,
  LoadEfer = 0x8000,
}

const CR0_PE: u64 = 1;
const CR0_PG: u64 = 0x80000000;
const CR4_PAE: u64 = 0x20;
const CR4_PCIDE: u64 = 0x20000;
/** SCE LME LMA NXE */
const EFER_BITS: u64 = 0xd01;
const EFER_LME: u64 = 0x100;
const EFER_LMA: u64 = 0x400;
const RFLAGS_TF: u64 = 0x100;
const RFLAGS_IF: u64 = 0x200;
const RFLAGS_VM: u64 = 0x20000;
/** LBR BTF, TR BTS BTINT BTS_OFF_OS BTS_OFF_USR FREEZE_LBRS FREEZE_PERFMON, FREEZE_WHILE_SMM RTM (vol. 4, IA32_DEBUGCTL) */
const DEBUGCTL_BITS: u64 = 0xdfc3;
const DEBUGCTL_BTF: u64 = 2;

/** Of a segment's four fields. */
enum Part {
  Base = 1,
  Limit = 2,
  Access = 3,
  Fields = 4,
}

enum Access {
  Type = 15,
  Kind = 0x10,
  Present = 0x80,
  Long = 0x2000,
  Default = 0x4000,
  Granularity = 0x8000,
  Unusable = 0x10000,
  Reserved = 0xfffe0f00,
}

/** Interruption types (table 25-17). */
enum Type {
  External = 0,
  Nmi = 2,
  Exception = 3,
  Other = 7,
}

/** #DF #TS #NP #SS #GP #PF #AC */
const WITH_ERROR: u32 = 0x27d00;
const DB: u32 = 1;
const MC: u32 = 18;

enum Blocking {
  Sti = 1,
  MovSs = 2,
  Smi = 4,
  Nmi = 8,
  Enclave = 16,
}

enum ActivityState {
  Active = 0,
  Halted = 1,
  Shutdown = 2,
  WaitForSipi = 3,
}

/** Physical-address bits that no address may have. */
let beyond: u64 = 0;
/** 64 - linear-address bits */
let unused: u64 = 0;
let primary: u32 = 0;
let secondary: u32 = 0;
let long: bool = false;
let unrestricted: bool = false;

export function vmx(): void {
  const width = get(VmxField.AddressBits);
  beyond = -1 << (width & 255);
  unused = 64 - ((width >> 8) & 255);
  primary = <u32>get(VmxField.PrimaryControls);
  secondary = primary & Primary.Secondary ? <u32>get(VmxField.SecondaryControls) : 0;
  long = (get(VmxField.EntryControls) & Entry.Long) != 0;
  unrestricted = (secondary & Secondary.Unrestricted) != 0;
  executionControls();
  exitControls();
  entryControls();
  event();
  host();
  registers();
  segments();
  tables();
  nonRegisters();
  pdptes();
}

/** Bits that the capability MSR demands, and no others than it allows. */
function control(field: u32, allowed: u32): void {
  const value = <u32>get(field);
  const must = get(allowed);
  check(VmxRule.ControlMustBeOne, field, (~value & <u32>must) == 0);
  check(VmxRule.ControlMustBeZero, field, (value & ~(<u32>(must >> 32))) == 0);
}

/** A physical address whose `low` bits are 0. */
// @ts-ignore: decorator
@inline
function address(rule: u32, field: u32, low: u64): void {
  zero(rule | (field << Failure.FieldShift), beyond | low);
}

/** `used`: the control bits that make the CPU use the page. */
function page(field: u32, used: u32): void {
  if (used) address(VmxRule.Address4K, field, 0xfff);
}

function executionControls(): void {
  const pin = <u32>get(VmxField.PinControls);
  control(VmxField.PinControls, VmxField.PinAllowed);
  control(VmxField.PrimaryControls, VmxField.PrimaryAllowed);
  if (primary & Primary.Secondary) control(VmxField.SecondaryControls, VmxField.SecondaryAllowed);
  check(VmxRule.Cr3TargetCount, VmxField.Cr3TargetCount, get(VmxField.Cr3TargetCount) <= ((get(VmxField.Misc) >> 16) & 0x1ff));
  page(VmxField.IoBitmapA, primary & Primary.IoBitmaps);
  page(VmxField.IoBitmapB, primary & Primary.IoBitmaps);
  page(VmxField.MsrBitmap, primary & Primary.MsrBitmaps);
  const delivery = (secondary & Secondary.InterruptDelivery) != 0;
  page(VmxField.VirtualApic, primary & Primary.TprShadow);
  if (primary & Primary.TprShadow) {
    if (!delivery) only(VmxRule.TprThreshold, VmxField.TprThreshold, 15);
  } else check(VmxRule.NeedsTprShadow, VmxField.SecondaryControls, !(secondary & Secondary.OfTprShadow));
  check(VmxRule.VirtualNmis, VmxField.PinControls, (pin & (Pin.Nmi | Pin.VirtualNmis)) != Pin.VirtualNmis);
  check(VmxRule.NmiWindow, VmxField.PrimaryControls, !(primary & Primary.NmiWindow) || (pin & Pin.VirtualNmis) != 0);
  page(VmxField.ApicAccess, secondary & Secondary.ApicAccesses);
  check(VmxRule.X2ApicMode, VmxField.SecondaryControls, (~secondary & (Secondary.ApicAccesses | Secondary.X2Apic)) != 0);
  check(VmxRule.InterruptDelivery, VmxField.PinControls, !delivery || (pin & Pin.External) != 0);
  if (pin & Pin.Posted) {
    const acknowledged = (get(VmxField.ExitControls) & Exit.AcknowledgeInterrupt) != 0;
    check(VmxRule.PostedInterrupts, VmxField.PinControls, delivery && acknowledged);
    only(VmxRule.PostedVector, VmxField.PostedVector, 255);
    address(VmxRule.PostedDescriptor, VmxField.PostedDescriptor, 63);
  }
  check(VmxRule.Vpid, VmxField.Vpid, !(secondary & Secondary.Vpid) || get(VmxField.Vpid) != 0);
  const ept = (secondary & Secondary.Ept) != 0;
  if (ept) eptPointer();
  page(VmxField.PmlAddress, secondary & Secondary.Pml);
  check(VmxRule.NeedsEpt, VmxField.SecondaryControls, ept || !(secondary & Secondary.OfEpt));
  if (secondary & Secondary.Functions) {
    const functions = get(VmxField.VmFunctions);
    only(VmxRule.VmFunctions, VmxField.VmFunctions, get(VmxField.FunctionsAllowed));
    check(VmxRule.EptpSwitching, VmxField.VmFunctions, ept || !(functions & 1));
    page(VmxField.EptpList, <u32>functions & 1);
  }
  page(VmxField.VmreadBitmap, secondary & Secondary.Shadowing);
  page(VmxField.VmwriteBitmap, secondary & Secondary.Shadowing);
  page(VmxField.VirtualizationException, secondary & Secondary.Virtualization);
  check(VmxRule.TscMultiplier, VmxField.TscMultiplier, !(secondary & Secondary.TscScaling) || get(VmxField.TscMultiplier) != 0);
}

/** 25.6.11: memory type 2:0, walk length less 1 5:3, accessed and dirty flags 6. IA32_VMX_EPT_VPID_CAP has what there is (A.10). */
function eptPointer(): void {
  const value = get(VmxField.EptPointer);
  const have = get(VmxField.EptVpid);
  const type = value & 7;
  const length = (value >> 3) & 7;
  // uncacheable 8, write-back 14; 4 levels 6, 5 levels 7
  check(VmxRule.EptMemoryType, VmxField.EptPointer, ((type == 0 || type == 6) && (have >> (8 + type)) & 1) != 0);
  check(VmxRule.EptWalkLength, VmxField.EptPointer, ((length == 3 || length == 4) && (have >> (3 + length)) & 1) != 0);
  check(VmxRule.EptAccessedDirty, VmxField.EptPointer, !(value & 0x40) || (have & 0x200000) != 0);
  address(VmxRule.EptReserved, VmxField.EptPointer, 0xf80);
}

/** An area of MSRs to store or load: 16 bytes each. */
function msrArea(count: u32, field: u32): void {
  const entries = get(count);
  if (entries == 0) return;
  address(VmxRule.MsrAreaAddress, field, 15);
  check(VmxRule.MsrAreaEnd, field, ((get(field) + entries * 16 - 1) & beyond) == 0);
}

function exitControls(): void {
  control(VmxField.ExitControls, VmxField.ExitAllowed);
  const timer = (get(VmxField.PinControls) & Pin.Timer) != 0;
  check(VmxRule.SaveTimer, VmxField.ExitControls, timer || !(get(VmxField.ExitControls) & Exit.SaveTimer));
  msrArea(VmxField.ExitStoreCount, VmxField.ExitStoreAddress);
  msrArea(VmxField.ExitLoadCount, VmxField.ExitLoadAddress);
}

function entryControls(): void {
  control(VmxField.EntryControls, VmxField.EntryAllowed);
  check(VmxRule.Smm, VmxField.EntryControls, !(get(VmxField.EntryControls) & Entry.Smm));
  msrArea(VmxField.EntryLoadCount, VmxField.EntryLoadAddress);
}

/** The event that the entry injects, if it does: its type, else -1. */
let eventType: u32 = -1;
let eventVector: u32 = 0;

function event(): void {
  const info = <u32>get(VmxField.EntryInterruption);
  eventType = -1;
  if (!(info >> 31)) return;
  const type = (info >> 8) & 7;
  const vector = info & 255;
  eventType = type;
  eventVector = vector;
  const trapFlag = (get(VmxField.PrimaryAllowed) >> 32) & Primary.TrapFlag;
  check(VmxRule.EventType, VmxField.EntryInterruption, type != 1 && (type != Type.Other || trapFlag != 0));
  const right = type == Type.Nmi ? vector == 2 : type == Type.Exception ? vector < 32 : type != Type.Other || vector == 0;
  check(VmxRule.EventVector, VmxField.EntryInterruption, right);
  const deliver = (info & 0x800) != 0;
  const may = type == Type.Exception && (!unrestricted || (get(VmxField.GuestCr0) & CR0_PE) != 0);
  const usual = vector < 32 && ((WITH_ERROR >> vector) & 1) != 0;
  // IA32_VMX_BASIC[56]: an exception may have an error code or not, whatever its vector
  const free = (get(VmxField.Basic) >> 56) & 1;
  check(VmxRule.EventErrorCode, VmxField.EntryInterruption, may ? free != 0 || deliver == usual : !deliver);
  only(VmxRule.EventReserved, VmxField.EntryInterruption, 0x80000fff);
  if (deliver) only(VmxRule.EventError, VmxField.EntryError, 0xffff);
  if (type < 4 || type == Type.Other) return;
  const length = get(VmxField.EntryLength);
  // IA32_VMX_MISC[30]: a length of 0 is allowed
  check(VmxRule.EventLength, VmxField.EntryLength, length < 16 && (length != 0 || (get(VmxField.Misc) & 0x40000000) != 0));
}

function canonical(field: u32): void {
  const value = get(field);
  check(VmxRule.Canonical, field, <u64>(<i64>(value << unused) >> unused) == value);
}

function canonicals(field: u32, count: u32): void {
  for (let i: u32 = 0; i < count; i++) canonical(field + i);
}

/** CR0 or CR4: the bits that VMX operation fixes (A.7, A.8), but for `free` ones. */
function fixed(rule: u32, field: u32, fixed0: u32, free: u64): void {
  const value = get(field);
  check(rule, field, (((~value & get(fixed0)) | (value & ~get(fixed0 + 1))) & ~free) == 0);
}

function host(): void {
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

function registers(): void {
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

function access(segment: u32): u32 {
  return <u32>get(segment + Part.Access);
}

function dpl(segment: u32): u32 {
  return (access(segment) >> 5) & 3;
}

function usable(segment: u32): bool {
  return !(access(segment) & Access.Unusable);
}

function v86(): bool {
  return (get(VmxField.GuestRflags) & RFLAGS_VM) != 0;
}

function segments(): void {
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

function tables(): void {
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

function nonRegisters(): void {
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
function pdptes(): void {
  const pae = !long && (get(VmxField.GuestCr0) & CR0_PG) != 0 && (get(VmxField.GuestCr4) & CR4_PAE) != 0;
  if (!pae || !(secondary & Secondary.Ept)) return;
  for (let field: u32 = VmxField.Pdpte0; field <= <u32>VmxField.Pdpte3; field++) {
    if (get(field) & 1) address(VmxRule.Pdpte, field, 0x1e6);
  }
}
