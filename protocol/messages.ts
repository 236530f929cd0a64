// Every operation, event, status and argument that crosses between the control plane and the hypervisor.
// Enums only: AssemblyScript, TypeScript and (through the generated protocol.inc) NASM all read this one file.
//
// A message's arguments are u64 words, little endian, then bytes. An enum named OpArgs or OpReply gives the index of each
// word; its last member, Words, is their count, so bytes start at 8 + 8 * Words. Texts for people live in the control plane.

/** Requests. The same name goes all the way: `guest.create` in JSON-RPC, Op.GuestCreate here, guestCreate in hv/core. */
export enum Op {
  /** no arguments; HelloReply, then the hypervisor's build identity as bytes */
  Hello = 1,
  /** any bytes; they are echoed */
  Ping = 2,
  /** ends the hypervisor: every guest ends, then the machine is powered off (isa-debug-exit, 8900h 'Shutdown', 604h) */
  Shutdown = 3,
  /** HostStatReply */
  HostStat = 4,
  /** CpuStatReply */
  CpuStat = 5,

  /** GuestCreateArgs; GuestCreateReply. A guest with RAM, all zeros, and a machine; not started */
  GuestCreate = 16,
  /** GuestWriteArgs, then bytes: into guest RAM, at most MaxPayload - 8 - 8 * Words of them */
  GuestWrite = 17,
  /** GuestReadArgs; bytes of guest RAM (at most GuestLimit.ReadBytes) */
  GuestRead = 18,
  /** GuestStoreArgs; the store disk's sectors into guest RAM */
  GuestLoad = 19,
  /** GuestStoreArgs; guest RAM out to the store disk's sectors */
  GuestSave = 20,
  /** GuestDigestArgs; DigestReply over guest RAM */
  GuestDigest = 21,
  /** GuestStartArgs; boots the machine from the boot block that lies in its RAM (protocol/boot.ts) and lets it run */
  GuestStart = 22,
  /** GuestArgs; stops entering the guest until GuestResume */
  GuestPause = 23,
  /** GuestResumeArgs */
  GuestResume = 24,
  /** GuestArgs; ends the guest (EndReason.Killed) and keeps it for inspection */
  GuestKill = 25,
  /** GuestArgs; frees the guest; its frames are scrubbed. It must have ended or never been started. */
  GuestDestroy = 26,
  /** GuestArgs; GuestStateReply */
  GuestState = 27,
  /** GuestArgs; a word for each Register (protocol/state.ts), in its order, up to Register.Count */
  GuestRegisters = 28,
  /** GuestStatArgs; GuestStatReply */
  GuestStat = 29,
  /** GuestArgs; an NMI into the guest */
  GuestNmi = 30,

  // A guest's state besides its RAM, out of one and into another that is Created: parts and registers first, then GuestRestore. (A debugger
  // changes registers and the FPU of one that is Paused.)
  /** GuestArgs; GuestEntryReply */
  GuestEntry = 31,
  /** GuestPartReadArgs; bytes of a part (at most GuestLimit.ReadBytes) */
  GuestPartRead = 32,
  /** GuestPartArgs, then bytes */
  GuestPartWrite = 33,
  /** GuestArgs, then pairs of words: a Register, or ExitField.Inject and InjectLength, and its value; taken in their order. The guest is
   *  Created, or Paused */
  GuestRegistersWrite = 34,
  /** GuestRestoreArgs; the machine makes of the state what is not state; the guest is Paused */
  GuestRestore = 35,
  /** GuestCloneArgs, then bytes: GuestLimit.EntropyBytes of fresh entropy for it; GuestCloneReply. A copy of a guest that was started and has not
   *  ended, in a slot of its own: it shares the RAM and the machine's memory until one of the two writes (docs/clones.md) */
  GuestClone = 36,

  /** GuestNestedArgs; GuestNestedReply: the way of a guest-physical address through the nested tables. It changes nothing. */
  GuestNested = 40,
  /** GuestArgs; what the last exit left: a word for each ExitField (protocol/state.ts) from the first one on that is read only */
  GuestExit = 41,
  /** GuestExplainArgs; GuestExplainReply */
  GuestExplain = 42,
  /** GuestDebugArgs (protocol/debug.ts) */
  GuestDebug = 43,
  /** GuestFramesArgs; GuestFramesReply: where its RAM lies now. Of a guest that shares some, that changes while it runs. */
  GuestFrames = 44,

  // A guest's exits, watched (protocol/trace.ts).
  /** GuestTraceArgs */
  GuestTrace = 48,
  /** GuestTracedArgs; GuestTracedReply, then records */
  GuestTraced = 49,

  // Machine modules that come while guests run (protocol/module.ts).
  /** no arguments; ModulesReply, then ModuleWord's for each place */
  Modules = 56,
  /** ModuleLoadArgs; a module out of the carrier's RAM into a place that nobody uses */
  ModuleLoad = 57,
  /** ModuleUseArgs; new guests start on it */
  ModuleUse = 58,
  /** GuestSwapArgs; the guest gets an instance of another module, which goes on from its state; on any failure it keeps the one that it has */
  GuestSwap = 59,
}

/** What a guest consists of besides registers and RAM. */
export enum GuestPart {
  /** the machine's state region, from Layout.Region (hv/machine/layout.ts) on */
  Region = 0,
  /** XSAVE area, standard form; without XSAVE its first 512 bytes count */
  Fpu = 1,
  /** rows of CpuidTable (hv/machine/layout.ts) that GuestRestore shall take */
  CpuidNew = 2,
  /** the rows that the guest has. Read only */
  Cpuid = 3,
  /** the two rings of console input, GuestLimit.InputBytes each. Read only */
  Input = 4,
  /** the machine's ReasonTable (hv/machine/layout.ts). Read only */
  Reasons = 5,
  Count = 6,
}

/** A reply's second u32. 0 is success; the words that follow a failure are its evidence (usually one value). */
export enum Status {
  Ok = 0,
  BadRequest = 1,
  UnknownOp = 2,
  NoSuchGuest = 3,
  /** not enough free frames: words are bytes wanted, bytes free */
  NoMemory = 4,
  /** all guest slots taken */
  NoSlot = 5,
  /** the guest's RunState does not allow it: word is the RunState */
  BadState = 6,
  /** outside the guest's RAM: words are address, length */
  BadAddress = 7,
  /** memory size not a multiple of 2 MiB or outside GuestLimit: word is the size */
  BadMemorySize = 8,
  NoStore = 9,
  /** the store disk failed: word is the ATA status and error register */
  StoreFailed = 10,
  /** the privileged layer refused core: word is the HostImport. A bug in core, contained. */
  Refused = 11,
  /** the machine ended while booting: words are EndReason, value */
  Ended = 12,
  /** the register cannot have the value: words are Register or ExitField, value */
  RegisterRefused = 13,
  /** the part cannot be read or written so: word is the GuestPart. Of Fpu: what it holds would fault */
  PartRefused = 14,
  /** the machine cannot go on from the state region: word is the address of the record that cannot be (state.ts) */
  RecordRefused = 15,
  /** the CPU lacks what the guest's CPUID offers: word is the bits | register (0 EAX, 1 EBX, 2 ECX, 3 EDX) << 32 | row of CpuidTable << 40 */
  CpuLacks = 16,
  /** an affinity with CPUs that do not work: words are the affinity, the CPUs that do, a bit each */
  NoSuchCpu = 17,
  /** the guest's exits are not recorded */
  NotTraced = 18,
  /** the module cannot be loaded, or is none: word is the ModuleFault */
  ModuleRefused = 19,
  /** the new module does not know a part of the guest's state that is not 0: word is its offset from Layout.Region */
  StateNotZero = 20,
  /** the guest's RAM was given to others when no memory was left, and it had ended or ended for that: word is how much it was */
  MemoryGone = 21,

  // What hv/machine/boot found wrong with an image; the word is the value found.
  BootBlockBad = 32,
  KindUnknown = 33,
  LinuxTruncated = 34,
  LinuxNoMagic = 35,
  LinuxTooOld = 36,
  LinuxNot64Bit = 37,
  LinuxNoRoom = 38,
  CommandLineTooLong = 39,
  InitrdNoRoom = 40,
  MultibootNoHeader = 41,
  MultibootFlags = 42,
  ElfTruncated = 43,
  ElfBad = 44,
  ElfOverlap = 45,
  ElfOverflow = 46,
  ElfNoRoom = 47,
  ElfEntryOutside = 48,
  BootSectorSize = 49,
  BootSectorNoSignature = 50,
  ModuleNoRoom = 51,
}

/** Unasked messages. */
export enum Event {
  /** word 0 is a RunState (Halted and Runnable are not announced) */
  GuestState = 1,
  /** the guest ended: GuestEndedWords */
  GuestEnded = 2,
  /** console bytes that the guest wrote and nobody had room for, or that were on their way when a session ended: words port, count */
  ConsoleLost = 3,
  /** console input that the guest had no room for: words port, count */
  ConsoleInputLost = 4,
  /** the guest is paused for its debugger: GuestStoppedWords (protocol/debug.ts) */
  GuestStopped = 5,
}

export enum GuestEndedWords {
  Reason = 0,
  Value = 1,
  Rip = 2,
  /** of EntryFailed: the first failed check (protocol/rules.ts), 0: none fails; and the value of the field that it names */
  Failure = 3,
  FieldValue = 4,
  Words = 5,
}

export enum GuestKind {
  Linux = 1,
  Multiboot = 2,
  BootSector = 3,
}

export enum RunState {
  /** the slot is free */
  Empty = 0,
  /** has RAM and a machine; not started */
  Created = 1,
  Runnable = 2,
  /** HLT: waits for an interrupt */
  Halted = 3,
  Paused = 4,
  Ended = 5,
}

/** Why a guest ended. */
export enum EndReason {
  None = 0,
  // asked for by the guest
  PowerOff = 1,
  Reset = 2,
  /** wrote to isa-debug-exit: value is (written << 1) | 1, as QEMU's exit status */
  DebugExit = 3,
  /** HLT with interrupts off and no NMI to come */
  HaltedForever = 4,
  TripleFault = 5,
  // asked for by the user
  Killed = 8,
  // what the machine does not do
  /** value is the guest-physical address that is not backed */
  UnbackedMemory = 16,
  /** value is the raw exit reason */
  UnknownExit = 17,
  /** a hardware task switch: value is the TSS selector */
  TaskSwitch = 18,
  /** the instruction at RIP could not be decoded: value is RIP */
  Undecodable = 19,
  /** VM entry failed: value is the VM-instruction error, or the exit reason; GuestEndedWords.Failure is the check that says why */
  EntryFailed = 20,
  /** no frame was free for what guests write to memory that they share, and it had taken most: value is 0; or its machine wrote to such, and could
   *  not wait: value is the guest-physical address */
  OutOfMemory = 21,
  // the guest's machine module failed: a bug in hvkit, contained
  TrapOutOfBounds = 32,
  TrapUnreachable = 33,
  TrapIntegerOverflow = 34,
  TrapDivideByZero = 35,
  TrapInvalidConversion = 36,
  TrapCallIndirect = 37,
  TrapStackExhausted = 38,
  /** the machine did not come back within 50 ms */
  TrapRunaway = 39,
  /** a host exception in the machine's code: value is the vector */
  TrapException = 40,
}

export enum Vendor {
  None = 0,
  Vmx = 1,
  Svm = 2,
}

export enum GuestLimit {
  MinMiB = 2,
  MaxMiB = 3072,
  /** guests at once */
  Slots = 512,
  ReadBytes = 512,
  /** of a guest's XSAVE area: legacy region, header, AVX */
  FpuBytes = 832,
  /** of each of its rings of console input */
  InputBytes = 1024,
  /** that a copy is given, and reads by hypercall */
  EntropyBytes = 32,
  SectorBytes = 512,
  /** sectors of one GuestLoad or GuestSave at most (64 MiB) */
  MaxSectors = 131072,
}

export enum HostLimit {
  /** CPUs that run guests */
  Cpus = 8,
  /** and with the one that runs none (hv/boot/cpus.asm) */
  CpuPlaces = 9,
}

export enum HelloReply {
  Version = 0,
  Vendor = 1,
  Cpus = 2,
  /** bytes of RAM that guests may have */
  MemoryBytes = 3,
  TscKhz = 4,
  /** TSC at the moment the hypervisor was ready, since reset */
  ReadyTsc = 5,
  /** sectors of the store disk, 0 without one */
  StoreSectors = 6,
  /** bits: Feature */
  Features = 7,
  Words = 8,
}

export enum Feature {
  NextRip = 1,
  DecodeAssist = 2,
  TscScaling = 4,
  Xsave = 8,
  Avx = 16,
  PreemptionTimer = 32,
  UnderHypervisor = 64,
}

export enum HostStatReply {
  UptimeNs = 0,
  /** of all CPUs together */
  IdleNs = 1,
  FreeBytes = 2,
  /** freed frames that are not scrubbed yet */
  DirtyBytes = 3,
  TotalBytes = 4,
  Guests = 5,
  FramesIn = 6,
  FramesOut = 7,
  /** frames dropped for a wrong CRC or form */
  FramesBad = 8,
  FramesResent = 9,
  /** bytes that the UART or its ring lost */
  SerialOverruns = 10,
  Tsc = 11,
  Words = 12,
}

/** Then, as further words, CpuStatWord's for each CPU that a bit of Cpus stands for, from the lowest on. */
export enum CpuStatReply {
  UptimeNs = 0,
  /** the CPUs that run guests, a bit each */
  Cpus = 1,
  Words = 2,
}

export enum CpuStatWord {
  /** nanoseconds halted */
  IdleNs = 0,
  /** the guest that is resident on it, and 1; 0: none */
  Guest = 1,
  /** nanoseconds in turns of guests, the handling of their exits with them; the turn that goes on is not in it */
  RunNs = 2,
  /** of guests, handled on it */
  Exits = 3,
  /** interrupts and exceptions that guests were given on it */
  Injected = 4,
  Words = 5,
}

export enum GuestArgs {
  Guest = 0,
  Words = 1,
}

export enum GuestCreateArgs {
  MemoryBytes = 0,
  /** seconds since 1970 that the guest's RTC shows at its start */
  WallSeconds = 1,
  /** CpuModel */
  CpuModel = 2,
  /** kilohertz of its TSC; 0: the host's */
  TscKhz = 3,
  /** CPUs that may run it, a bit each; 0: all */
  Affinity = 4,
  Words = 5,
}

/** Then, as further words, the runs of RAM: guest-physical, host-physical, bytes; three words a run. */
export enum GuestCreateReply {
  Guest = 0,
  Runs = 1,
  /** TSC when the request was taken up */
  RequestTsc = 2,
  Words = 3,
}

/** A message of Channel.Bulk, after the guest and a zero. */
export enum BulkWords {
  /** guest-physical */
  Address = 0,
  Words = 1,
}

export enum GuestWriteArgs {
  Guest = 0,
  Address = 1,
  Words = 2,
}

export enum GuestReadArgs {
  Guest = 0,
  Address = 1,
  Bytes = 2,
  Words = 3,
}

/** GuestLoad and GuestSave. Bytes need not be whole sectors: of a last part, Load takes no more, and Save fills up with zeros. */
export enum GuestStoreArgs {
  Guest = 0,
  Address = 1,
  Sector = 2,
  Bytes = 3,
  Words = 4,
}

export enum GuestDigestArgs {
  Guest = 0,
  Address = 1,
  Bytes = 2,
  Words = 3,
}

/** XXH64, seed 0 */
export enum DigestReply {
  Digest = 0,
  Words = 1,
}

export enum GuestStartArgs {
  Guest = 0,
  Kind = 1,
  /** guest-physical address and length of the boot block (protocol/boot.ts) */
  Block = 2,
  BlockBytes = 3,
  /** 1: it is Paused before its first instruction */
  Paused = 4,
  Words = 5,
}

export enum GuestResumeArgs {
  Guest = 0,
  /** a ResumeClock */
  Clock = 1,
  /** with CatchUp, of a guest that was restored and never entered: nanoseconds that its clocks are behind; else not looked at */
  BehindNs = 2,
  Words = 3,
}

/** What a guest's clocks (TSC, PIT, RTC, KVM's) make of the time that it was paused. */
export enum ResumeClock {
  /** nothing: they stood still */
  Frozen = 0,
  /** it has passed: they are right by the wall clock again. Ticks of the PIT that fell due meanwhile come one after the other, up to a limit
   *  (MOST_OWED of hv/machine/devices/pit.ts); other interrupts once */
  CatchUp = 1,
}

export enum GuestStateReply {
  State = 0,
  Reason = 1,
  Value = 2,
  MemoryBytes = 3,
  Rip = 4,
  /** where it ran last, and 1; 0: nowhere yet */
  Cpu = 5,
  /** CPUs that may run it, a bit each */
  Affinity = 6,
  Words = 7,
}

export enum GuestStatArgs {
  Guest = 0,
  /** where in the table of exits by reason to go on; the reply has as many as fit */
  FirstReason = 1,
  Words = 2,
}

/** The checks of an entry, on a guest's control block. */
export enum GuestExplainArgs {
  Guest = 0,
  /** the field to go on with; at 0 the control block is read, and checked */
  First = 1,
  Words = 2,
}

/** Then a word for each field (protocol/vcb.ts) from First on, as many as fit. */
export enum GuestExplainReply {
  /** how often a control block was read: what belongs together has the same */
  Reading = 0,
  /** failed checks, and the first of them as in GuestEndedWords */
  Failures = 1,
  Failure = 2,
  /** fields that there are */
  Fields = 3,
  Words = 4,
}

/** Then pairs of words, (ExitReason of protocol/state.ts, count), for the counts that are not 0. */
export enum GuestStatReply {
  Exits = 0,
  /** time run, the handling of its exits included */
  RunNs = 1,
  /** time halted */
  HaltNs = 2,
  /** VMREAD and VMWRITE executed for this guest; 0 on SVM */
  VmcsAccesses = 3,
  Injected = 4,
  /** TSC of the guest's first entry */
  FirstEntryTsc = 5,
  /** bytes that the guest owns besides its RAM and nested tables; what it shares is not counted */
  OverheadBytes = 6,
  NestedTableBytes = 7,
  /** nested faults since the start */
  NestedFaults = 8,
  HaltTsc = 9,
  /** how often nested translations were dropped before an entry: the first one, and each on another CPU than the one before */
  NestedFlushes = 10,
  /** time runnable, and not run: another guest had the CPU, or the hypervisor was at work */
  WaitNs = 11,
  /** time paused */
  PausedNs = 12,
  /** time from the start to now, or to the end; RunNs, HaltNs, WaitNs and PausedNs are its parts */
  LifeNs = 13,
  /** the part of RunNs in which its exits were handled, as far as they were timed (TraceMode.Time) */
  HandlingNs = 14,
  /** TraceMode bits (protocol/trace.ts): what its exits are watched for */
  TraceModes = 15,
  /** which copy it is: 0 for a guest that was created, and a number that no other has for each that was cloned or restored */
  Generation = 16,
  /** writes to RAM that it shared: made its own again, or copied */
  CopyFaults = 17,
  /** bytes of RAM that were copied for it so */
  CopiedBytes = 18,
  /** where to go on; 0 when this was the last part */
  NextReason = 19,
  Words = 20,
}

/** The guest's time-stamp counter and clock are of one moment. */
export enum GuestEntryReply {
  Inject = 0,
  InjectLength = 1,
  /** 1: it waits in HLT */
  Halted = 2,
  /** EventBit bits that the machine was not told yet */
  Events = 3,
  ClockNs = 4,
  Tsc = 5,
  TscKhz = 6,
  CpuModel = 7,
  /** from Layout.Region to the end of its last record */
  RegionBytes = 8,
  /** bytes ever put into, and taken out of, the ring of input to COM1: modulo 2^32 */
  InHead0 = 9,
  InTail0 = 10,
  /** COM2 */
  InHead1 = 11,
  InTail1 = 12,
  Words = 13,
}

export enum GuestPartArgs {
  Guest = 0,
  /** GuestPart */
  Part = 1,
  Offset = 2,
  Words = 3,
}

export enum GuestPartReadArgs {
  Guest = 0,
  Part = 1,
  Offset = 2,
  Bytes = 3,
  Words = 4,
}

export enum GuestRestoreArgs {
  Guest = 0,
  Halted = 1,
  Events = 2,
  ClockNs = 3,
  Tsc = 4,
  Words = 5,
}

/** Then GuestLimit.EntropyBytes bytes. */
export enum GuestCloneArgs {
  /** whose copy it shall be */
  Guest = 0,
  /** CPUs that may run the copy, a bit each; 0: the source's */
  Affinity = 1,
  /** 1: the copy is Paused. Else it goes on where the source was, even if that is paused */
  Paused = 2,
  Words = 3,
}

export enum GuestCloneReply {
  /** the copy */
  Guest = 0,
  /** as in GuestStatReply */
  Generation = 1,
  /** TSC when the request was taken up */
  RequestTsc = 2,
  /** TSC ticks that it took to take the right to write from the source's nested tables, and to fill the copy's */
  ProtectTicks = 3,
  /** TSC ticks that the source stood, these among them */
  HeldTicks = 4,
  Words = 5,
}

export enum GuestFramesArgs {
  Guest = 0,
  /** guest-physical, a multiple of 4 KiB */
  Address = 1,
  Words = 2,
}

/** Then, as further words, runs of RAM from Address on, as many as fit: host-physical, bytes; two words a run. */
export enum GuestFramesReply {
  /** guest-physical address where to go on; the RAM's size when this was the last part */
  Next = 0,
  Words = 1,
}

export enum GuestNestedArgs {
  Guest = 0,
  /** guest-physical, below 2^48 */
  Address = 1,
  Words = 2,
}

/** Then, as further words, the entries on the way, from the PML4's on, in the form of NestedBit (protocol/state.ts). The last one maps a page,
 *  or nothing. */
export enum GuestNestedReply {
  /** host-physical address of the PML4 */
  Root = 0,
  Words = 1,
}

/** What a guest's CPUID tells it to be. */
export enum CpuModel {
  /** what the engines of both vendors can give, the same on each (protocol/cpu.ts) */
  Portable = 0,
  /** what this CPU has, as far as the machine backs it */
  Host = 1,
  Count = 2,
}

/** The word of Status.Refused: which of core's imports (hv/core/host.ts) said no. */
export enum HostImport {
  GuestNew = 1,
  GuestPool = 2,
  GuestRam = 3,
  GuestInit = 4,
  GuestRun = 5,
  GuestPause = 6,
  GuestKill = 7,
  GuestFree = 8,
  GuestNmi = 9,
  GuestRead = 10,
  GuestWrite = 11,
  StoreRead = 12,
  StoreWrite = 13,
  GuestResume = 14,
  GuestTrace = 15,
  GuestDebug = 16,
  GuestClone = 17,
  ReserveGive = 18,
}
