// A debugger's hold on a guest, in neutral numbers: what it asks for (Op.GuestDebug) and why the guest stopped (Event.GuestStopped).
// Enums only: AssemblyScript, TypeScript and (through the generated protocol.inc) NASM all read this one file.

/** Op.GuestDebug, of a guest that is paused. It holds until the next one; the reply has no words. */
export enum GuestDebugArgs {
  Guest = 0,
  /** DebugFlag bits below Given; 0: nobody debugs it any more */
  Flags = 1,
  /** linear addresses of breakpoints and watchpoints, as the CPU's own DR0 to DR3 */
  Dr0 = 2,
  Dr1 = 3,
  Dr2 = 4,
  Dr3 = 5,
  /** L and G, LEN and R/W bits as the CPU's own DR7 (SDM vol. 3, 18.2.4); 0: none */
  Dr7 = 6,
  Words = 7,
}

export enum DebugFlag {
  Attached = 1,
  /** stop after one instruction; events of the guest's devices wait meanwhile */
  Step = 2,
  /** with Step: the instruction loads RFLAGS from memory, and TF with them */
  Pops = 4,
  /** the bits that GuestDebug takes */
  Given = 7,

  // The hypervisor's own.
  /** DR0 to DR3 and DR7 are the debugger's; the guest's own wait in its block */
  Hardware = 8,
  /** TF is set for a step, and not by the guest */
  Trap = 16,
}

/** Bits of why the guest stopped; never 0. */
export enum DebugStop {
  /** breakpoints 0 to 3 were hit: DR6's bits */
  Breakpoints = 15,
  /** the step is done: DR6.BS */
  Step = 0x4000,
  /** INT1 (F1h) was executed: RIP is at it */
  Software = 0x10000,
  /** the step's instruction raised an exception, or an event ended the guest's HLT: the next entry injects it, RIP is where it was */
  Event = 0x20000,
}

/** Event.GuestStopped: the guest is paused. */
export enum GuestStoppedWords {
  Stop = 0,
  Rip = 1,
  Words = 2,
}
