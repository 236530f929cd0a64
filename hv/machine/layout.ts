// Where NASM and the machine meet in the machine's linear memory. Enums only: NASM reads them through protocol.inc.
//
//   0000  nothing (a null pointer)
//   003C  u32: bytes of the state region in use, for whoever reads it from outside
//   0040  the exit record: NASM writes it at each exit that the machine handles; not state
//   0080  a debugger's wishes and what came of them: NASM writes and reads them (DebuggerRecord); not state
//   0090  which copy the guest is: NASM writes it (CopyRecord); not state
//   0100  the state region: vCPU general registers, then the devices' records (state.ts); all that a snapshot needs
//   4000  end of the region; tables and caches that can be rebuilt
//   8000  static data of the module (asc --memoryBase)
//  10000  end: one Wasm page

export enum Layout {
  StateBytes = 0x3c,
  Exit = 0x40,
  Debug = 0x80,
  Copy = 0x90,
  Region = 0x100,
  RegionEnd = 0x4000,
  Data = 0x8000,
  End = 0x10000,
}

/** The page directly below the linear memory, out of the module's reach (addresses are unsigned): the guest block, and at an offset the
 *  module's instance struct. Generated code so finds the memory at a constant distance from its instance, without a load. */
export enum InstancePage {
  Bytes = 0x1000,
  Instance = 0xa00,
}

/** A byte for each raw exit reason below 256: its ExitReason; 0: vmx.detail or svm.detail must look closer. The trace reads it too. */
export enum ReasonTable {
  At = 0x4000,
  Bytes = 256,
}

/** The CPUID table (cpuid.ts has the rows' meaning): 16 bytes a row, EAX, EBX, ECX, EDX. Rows 0..127 are leaves: 31:30 of the leaf in
 *  bits 1:0 of the row, 4:0 in bits 6:2. */
export enum CpuidTable {
  At = 0x4100,
  /** the rows that a restored guest shall have, until they are checked */
  New = 0x5000,
  /** zeros: what is out of range */
  Empty = 128,
  /** leaf 4, subleaves 0..3 */
  Caches = 129,
  /** leaf 0Dh, subleaf 1 */
  XsaveExtensions = 133,
  /** leaf 0Dh, subleaf 2 */
  XsaveAvx = 134,
  /** leaves 40000100h and 40000101h */
  Kvm = 135,
  Rows = 137,
}

/** Offsets from Layout.Exit. */
export enum ExitRecord {
  /** u32: VMX exit reason (bits 15:0, 31 entry failure); SVM EXITCODE */
  Reason = 0,
  /** u32: bit 0, interrupts are blocked by STI or MOV SS */
  Shadow = 4,
  /** u64 */
  Rflags = 8,
  /** u32: bytes of the instruction, where the CPU said so; else 0 */
  Length = 16,
  /** u64: SVM EXITINFO1; VMX: 0, read ExitField.Qualification instead (each VMREAD counts) */
  Info1 = 24,
  /** u64: SVM EXITINFO2 */
  Info2 = 32,
  /** SVM only, where it is cheaper here than by guest.read: what fetching an instruction needs. u64: the guest's CR3 */
  Cr3 = 40,
  /** u32: EFER as the VMCB has it */
  Efer = 48,
  /** u32: CS attributes as the VMCB has them (12 bits: L is bit 9); written after Efer, whose upper half is zeros */
  CsAttributes = 52,
}

/** Offsets from Layout.Debug. */
export enum DebuggerRecord {
  /** u32: DebugFlag bits of protocol/debug.ts; 0: nobody debugs the guest */
  Flags = 0,
  /** u32: DebugStop bits, with Verdict.Break */
  Stop = 4,
}

/** Offsets from Layout.Copy. */
export enum CopyRecord {
  /** u64: 0 for a guest that was created, and a number that no other has for each that was cloned or restored */
  Generation = 0,
  /** 32 bytes that nobody else has, zeros after they were read; zeros too unless it was cloned */
  Entropy = 8,
}

/** Offsets from Layout.Region: what NASM saves and loads at each world switch, one u64 each, in Register's order. */
export enum VcpuRecord {
  Gpr = 0,
  /** NASM saves it at an exit and loads it at an entry: the machine advances it here. RSP (index 4) is read through guest.read. */
  Rip = 128,
  /** CR8 under VMX, which has no place of its own for it */
  Cr8 = 136,
  End = 144,
}

/** What the machine says after an exit or an event. */
export enum Verdict {
  Resume = 0,
  /** HLT: enter again when there is an event */
  Halt = 1,
  /** the guest has ended: guest.end was called */
  Stop = 2,
  /** the debugger is to have the guest: DebuggerRecord.Stop says why */
  Break = 3,
}

/** Bits given to the machine's event(). */
export enum EventBit {
  Timer = 1,
  ConsoleInput = 2,
  /** the console ring has room again */
  ConsoleRoom = 4,
  Nmi = 8,
}
