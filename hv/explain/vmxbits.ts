// Intel VMX: the bits that the checks of an entry know, with the manual's names (SDM vol. 3, chapter 25; 325462-083). Used by all vmx*.ts.

/** Pin-based controls. */
export enum Pin {
  External = 1,
  Nmi = 8,
  VirtualNmis = 0x20,
  Timer = 0x40,
  Posted = 0x80,
}

/** Primary processor-based controls. */
export enum Primary {
  TprShadow = 0x200000,
  NmiWindow = 0x400000,
  IoBitmaps = 0x2000000,
  TrapFlag = 0x8000000,
  MsrBitmaps = 0x10000000,
  Secondary = 0x80000000,
}

/** Secondary processor-based controls. */
export enum Secondary {
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

export enum Exit {
  HostLong = 0x200,
  AcknowledgeInterrupt = 0x8000,
  LoadPat = 0x80000,
  LoadEfer = 0x200000,
  SaveTimer = 0x400000,
}

export enum Entry {
  LoadDebug = 4,
  Long = 0x200,
  /** entry to SMM, deactivate dual-monitor treatment */
  Smm = 0xc00,
  LoadPat = 0x4000,
  LoadEfer = 0x8000,
}

export const CR0_PE: u64 = 1;
export const CR0_PG: u64 = 0x80000000;
export const CR4_PAE: u64 = 0x20;
export const CR4_PCIDE: u64 = 0x20000;
/** SCE LME LMA NXE */
export const EFER_BITS: u64 = 0xd01;
export const EFER_LME: u64 = 0x100;
export const EFER_LMA: u64 = 0x400;
export const RFLAGS_TF: u64 = 0x100;
export const RFLAGS_IF: u64 = 0x200;
export const RFLAGS_VM: u64 = 0x20000;
/** LBR BTF, TR BTS BTINT BTS_OFF_OS BTS_OFF_USR FREEZE_LBRS FREEZE_PERFMON, FREEZE_WHILE_SMM RTM (vol. 4, IA32_DEBUGCTL) */
export const DEBUGCTL_BITS: u64 = 0xdfc3;
export const DEBUGCTL_BTF: u64 = 2;

/** Of a segment's four fields. */
export enum Part {
  Base = 1,
  Limit = 2,
  Access = 3,
  Fields = 4,
}

export enum Access {
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
export enum Type {
  External = 0,
  Nmi = 2,
  Exception = 3,
  Other = 7,
}

/** #DF #TS #NP #SS #GP #PF #AC */
export const WITH_ERROR: u32 = 0x27d00;
export const DB: u32 = 1;
export const MC: u32 = 18;

export enum Blocking {
  Sti = 1,
  MovSs = 2,
  Smi = 4,
  Nmi = 8,
  Enclave = 16,
}

export enum ActivityState {
  Active = 0,
  Halted = 1,
  Shutdown = 2,
  WaitForSipi = 3,
}
