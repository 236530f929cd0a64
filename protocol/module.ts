// Machine modules that replace the one of the boot image in a hypervisor that runs: native code, linked for one of a few places in its memory.
// hv/module makes one, hv/asm/modules.asm takes it, hv/asm/swap.asm gives a guest to it. Enums only, as messages.ts.

export enum ModuleLimit {
  /** places; number 0 is the boot image's own, which nothing replaces */
  Slots = 4,
  /** of a place: a module's code and constants */
  Bytes = 0x10000,
  /** "hvmo" */
  Magic = 0x6f6d7668,
  /** in the carrier's RAM, before the moves: where a guest's old instance is kept until the new one has taken over */
  SwapRoom = 0x12000,
  /** characters of an identity */
  IdentityBytes = 16,
}

/** Offsets from a module's start. Addresses are of the place for which it was linked. */
export enum ModuleHeader {
  /** u64 */
  Magic = 0,
  /** u64: that place */
  Start = 8,
  /** u64: behind the header and the code, a multiple of a page; the rest is never executed */
  TextEnd = 16,
  /** u64: where a u32 says how large an instance is */
  InstanceBytes = 24,
  /** u64 each: what it exports, first what its C code needs before all else */
  InitModule = 32,
  Instantiate = 40,
  Init = 48,
  Boot = 56,
  BootValue = 64,
  Exit = 72,
  Event = 80,
  Restore = 88,
  /** ASCII: the digest of all sources but the machine's: the hypervisor that it fits */
  Base = 96,
  /** ASCII: the digest of the machine's sources */
  Identity = 112,
  /** u64 each: where a u32 says where its memory's description lies in an instance, and how many bytes follow that: of a table */
  InstanceMemory = 128,
  InstanceMore = 136,
  End = 144,
}

/** The reply to Op.Modules: the base's identity, then ModuleWord.Words for each place. */
export enum ModulesReply {
  BaseLow = 0,
  BaseHigh = 1,
  Words = 2,
}

/** What is known of a place. */
export enum ModuleWord {
  Address = 0,
  /** guests that run on it */
  Guests = 1,
  /** 1: new guests start on it */
  Current = 2,
  /** as in its header; 0: there is none */
  IdentityLow = 3,
  IdentityHigh = 4,
  Words = 5,
  // For core alone: why the last swap failed, and the base as it is in the image's header.
  SwapReason = 5,
  SwapValue = 6,
  BaseLow = 7,
  BaseHigh = 8,
  Count = 9,
}

export enum ModuleLoadArgs {
  /** the carrier: a guest that is Created, in whose RAM the module lies */
  Guest = 0,
  Address = 1,
  Bytes = 2,
  /** the place, from 1 on */
  Slot = 3,
  Words = 4,
}

export enum ModuleUseArgs {
  Slot = 0,
  Words = 1,
}

export enum GuestSwapArgs {
  Guest = 0,
  Slot = 1,
  /** as in ModuleLoadArgs */
  Carrier = 2,
  /** in the carrier's RAM: ModuleLimit.SwapRoom bytes, then the moves, a u64 each */
  Address = 3,
  Moves = 4,
  Words = 5,
}

/** A move of the state from the old region to the new one: bits of a u64. Offsets are from Layout.Region (hv/machine/layout.ts). */
export enum SwapMove {
  /** bits 15:0 */
  From = 0,
  /** bits 31:16; SwapMove.Nowhere: the bytes must be 0, or the guest keeps its machine */
  To = 16,
  /** bits 47:32 */
  Bytes = 32,
  Nowhere = 0xffff,
}

/** The word of Status.ModuleRefused. */
export enum ModuleFault {
  None = 0,
  /** no such place, or the boot image's */
  Slot = 1,
  /** guests run on what is there, or new ones would */
  InUse = 2,
  /** not whole pages, more than a place holds, or outside the carrier's RAM; or the carrier was started */
  Range = 3,
  /** not a module, linked for another place, or exports outside of its code */
  Header = 4,
  /** its instance is larger than a guest has room for */
  Instance = 5,
  /** made for a hypervisor of other sources */
  Base = 6,
}
