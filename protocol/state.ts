// The vCPU as people and tools see it, in neutral numbers: no vendor's encoding appears here.
// Enums only: AssemblyScript, TypeScript and (through the generated protocol.inc) NASM all read this one file.

/** Architectural state that the machine may read and write through guest.read and guest.write. Segment attributes have the
 *  form of a descriptor's second dword, shifted right by 8 (type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13, D/B 14, G 15), and bit 16 is
 *  "unusable" (SDM vol. 3, 25.4.1). Order: general registers as instructions encode them. */
export enum Register {
  Rax = 0,
  Rcx = 1,
  Rdx = 2,
  Rbx = 3,
  Rsp = 4,
  Rbp = 5,
  Rsi = 6,
  Rdi = 7,
  R8 = 8,
  R9 = 9,
  R10 = 10,
  R11 = 11,
  R12 = 12,
  R13 = 13,
  R14 = 14,
  R15 = 15,
  Rip = 16,
  Rflags = 17,
  Cr0 = 18,
  Cr2 = 19,
  Cr3 = 20,
  Cr4 = 21,
  Cr8 = 22,
  Efer = 23,
  Xcr0 = 24,

  EsSelector = 25,
  EsBase = 26,
  EsLimit = 27,
  EsAttributes = 28,
  CsSelector = 29,
  CsBase = 30,
  CsLimit = 31,
  CsAttributes = 32,
  SsSelector = 33,
  SsBase = 34,
  SsLimit = 35,
  SsAttributes = 36,
  DsSelector = 37,
  DsBase = 38,
  DsLimit = 39,
  DsAttributes = 40,
  FsSelector = 41,
  FsBase = 42,
  FsLimit = 43,
  FsAttributes = 44,
  GsSelector = 45,
  GsBase = 46,
  GsLimit = 47,
  GsAttributes = 48,
  LdtrSelector = 49,
  LdtrBase = 50,
  LdtrLimit = 51,
  LdtrAttributes = 52,
  TrSelector = 53,
  TrBase = 54,
  TrLimit = 55,
  TrAttributes = 56,
  GdtrBase = 57,
  GdtrLimit = 58,
  IdtrBase = 59,
  IdtrLimit = 60,

  Dr0 = 61,
  Dr1 = 62,
  Dr2 = 63,
  Dr3 = 64,
  Dr6 = 65,
  Dr7 = 66,

  Star = 67,
  Lstar = 68,
  Cstar = 69,
  Sfmask = 70,
  KernelGsBase = 71,
  SysenterCs = 72,
  SysenterEsp = 73,
  SysenterEip = 74,
  Pat = 75,
  /** the guest's time-stamp counter: the host's plus its offset. Writing it moves the offset. */
  Tsc = 76,
  /** 1: an STI, MOV SS or POP SS blocks interrupts for one instruction */
  InterruptShadow = 77,
  /** 1: NMIs are blocked until IRET */
  NmiBlocked = 78,
  /** VMX: the guest's pending debug exceptions; SVM has none: reads 0, writes of 0 only */
  PendingDebug = 79,
  Count = 80,
}

/** What the last exit left, and what the next entry shall do: not architectural state. Read and written as Registers are. */
export enum ExitField {
  /** VMX exit qualification; SVM EXITINFO1. Read only. */
  Qualification = 96,
  /** VMX guest-physical address (EPT violations); SVM EXITINFO2. Read only. */
  Info2 = 97,
  /** VMX VM-exit interruption information; SVM 0. Read only. */
  Interruption = 98,
  InterruptionError = 99,
  /** VMX IDT-vectoring information; SVM EXITINTINFO low dword (same form: vector, type, error valid 11, valid 31). Read only. */
  Vectoring = 100,
  VectoringError = 101,
  /** VMX VM-exit instruction information. SVM 0. Read only. */
  InstructionInfo = 102,
  /** VMX guest linear address. SVM 0. Read only. */
  LinearAddress = 103,
  /** the event that the next entry injects, in the form that both vendors share: vector 7:0, type 10:8 (0 external
   *  interrupt, 2 NMI, 3 exception; 4 software interrupt), error code valid 11, valid 31, error code 63:32. */
  Inject = 104,
  /** instruction length of a software event (VMX only needs it) */
  InjectLength = 105,
  /** 1: exit as soon as the guest can take an interrupt (interrupt-window exiting; V_IRQ with VINTR) */
  InterruptWindow = 106,
  /** 1: exit as soon as NMIs are not blocked */
  NmiWindow = 107,
}

/** The neutral reason of an exit: what handlers switch on, what `stats` counts. */
export enum ExitReason {
  Cpuid = 1,
  Hypercall = 2,
  Hlt = 3,
  IoIn = 4,
  IoOut = 5,
  IoString = 6,
  Rdmsr = 7,
  Wrmsr = 8,
  CrAccess = 9,
  Xsetbv = 10,
  InterruptWindow = 11,
  NmiWindow = 12,
  NestedFault = 13,
  Exception = 14,
  TripleFault = 15,
  TaskSwitch = 16,
  /** INVD, WBINVD: nothing to do */
  CacheControl = 17,
  /** an instruction that the guest's CPU does not have (VMX, SVM, MONITOR, ...): #UD */
  Undefined = 18,
  Pause = 19,
  /** a physical interrupt or NMI: the host's, never the machine's */
  HostInterrupt = 20,
  EntryFailed = 21,
  Init = 22,
  Unknown = 23,
  /** the guest's TSC has another rate than the CPU's, and the CPU cannot scale it */
  Rdtsc = 24,
  /** MOV to or from a debug register while they are the debugger's */
  DrAccess = 25,
  Count = 26,
}

/** An entry of a nested table, in a form that both vendors share: an address in bits 51:12, and these. With none of the first three nothing is
 *  mapped. (SDM vol. 3, 28.3.2; APM vol. 2, 15.25.5.) */
export enum NestedBit {
  Read = 0x01,
  Write = 0x02,
  Execute = 0x04,
  Accessed = 0x20,
  Dirty = 0x40,
  /** maps a page, above the last level */
  Large = 0x80,
}

/** When two rates of a TSC count as one. */
export enum TscRate {
  /** they differ by at most the host's rate shifted right by this: no measurement of it is better on an emulator */
  AlikeShift = 8,
}
