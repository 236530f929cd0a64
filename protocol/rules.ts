// The checks of an entry, by number: hv/explain makes them, in this order, and names the ones that fail; control/src/explain has their sentences.
// Enums only, as all of protocol/. A rule fails on a field of protocol/vcb.ts: several fields can share a rule.

/** SDM vol. 3, chapter 27 (325462-083): the checks of VMLAUNCH and VMRESUME. */
export enum VmxRule {
  // 27.2.1.1: execution controls
  ControlMustBeOne = 1,
  ControlMustBeZero = 2,
  Cr3TargetCount = 3,
  /** an address that a control uses */
  Address4K = 4,
  TprThreshold = 5,
  NeedsTprShadow = 6,
  VirtualNmis = 7,
  NmiWindow = 8,
  X2ApicMode = 9,
  InterruptDelivery = 10,
  PostedInterrupts = 11,
  PostedVector = 12,
  PostedDescriptor = 13,
  Vpid = 14,
  EptMemoryType = 15,
  EptWalkLength = 16,
  EptAccessedDirty = 17,
  EptReserved = 18,
  NeedsEpt = 19,
  VmFunctions = 20,
  EptpSwitching = 21,
  TscMultiplier = 22,
  // 27.2.1.2, 27.2.1.3: exit and entry controls
  SaveTimer = 23,
  MsrAreaAddress = 24,
  MsrAreaEnd = 25,
  EventType = 26,
  EventVector = 27,
  EventErrorCode = 28,
  EventReserved = 29,
  EventError = 30,
  EventLength = 31,
  Smm = 32,
  // 27.2.2 to 27.2.4: host state; and of the guest's the same
  /** host or guest */
  Cr0Fixed = 33,
  /** host or guest */
  Cr4Fixed = 34,
  /** host or guest */
  Cr3Width = 35,
  /** host or guest */
  Canonical = 36,
  /** host or guest */
  Pat = 37,
  /** host or guest */
  EferReserved = 38,
  HostEferMode = 39,
  HostSelectorBits = 40,
  HostSelectorZero = 41,
  HostLongMode = 42,
  HostPae = 43,
  // 27.3.1.1: guest control registers, debug registers, MSRs
  PagingNeedsProtection = 44,
  DebugctlReserved = 45,
  LongNeedsPaging = 46,
  LongNeedsPae = 47,
  PcideNeedsLong = 48,
  Dr7High = 49,
  EferLma = 50,
  EferLme = 51,
  // 27.3.1.2: guest segments
  SelectorTi = 52,
  SsRpl = 53,
  V86Base = 54,
  V86Limit = 55,
  V86Access = 56,
  BaseHigh = 57,
  CsType = 58,
  SsType = 59,
  DataAccessed = 60,
  DataReadable = 61,
  SegmentKind = 62,
  CsDpl = 63,
  SsDpl = 64,
  DataDpl = 65,
  SegmentPresent = 66,
  SegmentReserved = 67,
  CsLongDefault = 68,
  Granularity = 69,
  TrType = 70,
  LdtrType = 71,
  TrUsable = 72,
  // 27.3.1.3, 27.3.1.4: descriptor tables, RIP, RFLAGS
  TableLimit = 73,
  RipHigh = 74,
  RipUpper = 75,
  RflagsReserved = 76,
  RflagsVm = 77,
  RflagsIf = 78,
  // 27.3.1.5: activity, interruptibility, pending debug exceptions, link pointer
  ActivityKind = 79,
  ActivityHlt = 80,
  ActivityBlocked = 81,
  ActivityEvent = 82,
  BlockingReserved = 83,
  BlockingBoth = 84,
  BlockingSti = 85,
  BlockingEvent = 86,
  BlockingSmi = 87,
  BlockingNmi = 88,
  BlockingEnclave = 89,
  PendingReserved = 90,
  PendingStep = 91,
  PendingRtm = 92,
  LinkAddress = 93,
  LinkCurrent = 94,
  // 27.3.1.6
  Pdpte = 95,
  Count = 96,
}

/** APM vol. 2, chapter 15 (24593 rev. 3.41): the consistency checks of VMRUN. */
export enum SvmRule {
  // 15.5.1: control area
  InterceptVmrun = 1,
  Asid = 2,
  IopmAddress = 3,
  MsrpmAddress = 4,
  EventType = 5,
  EventVector = 6,
  // 15.5.1: state save area
  EferSvme = 7,
  EferReserved = 8,
  EferLongMode = 9,
  Cr0Cache = 10,
  Cr0High = 11,
  Cr3Reserved = 12,
  Cr4Reserved = 13,
  Dr6High = 14,
  Dr7High = 15,
  LongNeedsPae = 16,
  LongNeedsProtection = 17,
  LongCs = 18,
  CetNeedsWriteProtect = 19,
  // 15.25.3, 15.25.4: nested paging
  NestedCr3 = 20,
  Pat = 21,
  Count = 22,
}

/** A failed check as one number: the rule, and the field that it failed on shifted left by this. */
export enum Failure {
  FieldShift = 16,
  /** as many as a checker keeps */
  Most = 256,
}
