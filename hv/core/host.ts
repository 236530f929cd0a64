// All that core can do: its imports. hv/asm/host.asm implements and checks them, for core too: frames have an owner and a
// reference count there, and what does not fit is refused. test/unit/core has them in TypeScript.
// `slot` is a guest's slot, 0..GuestLimit.Slots-1; `to` and `from` are offsets in core's linear memory. False means refused.

/** Facts about the host: HostFact. */
// @ts-ignore: decorator
@external("host", "fact")
export declare function fact(index: u32): u64;

export enum HostFact {
  Vendor = 0,
  /** a bit for each that runs guests */
  Cpus = 1,
  TscKhz = 2,
  ReadyTsc = 3,
  StoreSectors = 4,
  Features = 5,
  /** 4 KiB frames that the frame table knows (the highest usable address, in frames) */
  Frames = 6,
  /** differs at each start */
  Epoch = 7,
  Tsc = 8,
  /** of all CPUs together that run guests */
  IdleNs = 9,
  SerialOverruns = 10,
  /** frames of the pool that a guest needs for `memoryBlocks` = 0, and a further one for each started 512 blocks (a GiB) */
  PoolFrames = 11,
  /** not 0: what comes in is a script that lay in the boot image; nobody reads what goes out but a file */
  Scripted = 12,
  /** frames of the pool that a copy of a guest needs for 0 bytes of RAM, and two for each started GiB */
  CloneFrames = 13,
  /** frames in the reserve */
  Reserve = 14,
}

/** A CpuStatWord of one CPU; 0 for one that does not work. */
// @ts-ignore: decorator
@external("host", "cpuStat")
export declare function cpuStat(cpu: u32, word: u32): u64;

/** Nanoseconds since the start. */
// @ts-ignore: decorator
@external("host", "clock")
export declare function clock(): u64;
/** poll() is called at `deadline` (nanoseconds of clock()) at the latest; u64.MAX_VALUE: none. */
// @ts-ignore: decorator
@external("host", "timer")
export declare function timer(deadline: u64): void;
/** CRC-32C of core's memory, RFC 3720. */
// @ts-ignore: decorator
@external("host", "crc32c")
export declare function crc32c(from: u32, bytes: u32): u32;
/** The build identity (ASCII) into core's memory: its length. */
// @ts-ignore: decorator
@external("host", "identity")
export declare function identity(to: u32, max: u32): u32;
/** Powers the machine off. Does not return. */
// @ts-ignore: decorator
@external("host", "shutdown")
export declare function shutdown(): void;

/** Bytes taken from the serial receive ring, 0..max. */
// @ts-ignore: decorator
@external("host", "serialRead")
export declare function serialRead(to: u32, max: u32): u32;
/** Bytes accepted by the serial transmit ring, 0..bytes. */
// @ts-ignore: decorator
@external("host", "serialWrite")
export declare function serialWrite(from: u32, bytes: u32): u32;
/** Free bytes in the serial transmit ring. */
// @ts-ignore: decorator
@external("host", "serialRoom")
export declare function serialRoom(): u32;

/** FrameState of 4 KiB frame `frame` | owner slot << 8 | reference count << 32. */
// @ts-ignore: decorator
@external("host", "frame")
export declare function frame(frame: u32): u64;

export enum FrameState {
  /** not RAM, or not usable */
  Absent = 0,
  /** the hypervisor's own */
  Host = 1,
  /** free, content unknown: needs a scrub before it can be given */
  Dirty = 2,
  /** free, all zeros */
  Clean = 3,
  /** a guest's, or several guests' */
  Owned = 4,
  /** free, all zeros, in the reserve */
  Reserved = 5,
}

/** Clean frames that are set aside, so that a write to shared memory need not wait for core. */
export enum Reserve {
  /** as many as there can be */
  Most = 256,
  /** core is called when there are no more than these */
  Low = 128,
  /** a guest's own write must wait for core when there are no more than these: the rest is for what writes for it, and cannot wait */
  Floor = 32,
}

/** How many of the 512 frames of 2 MiB block `block` are in `state`: a quick look for allocators. */
// @ts-ignore: decorator
@external("host", "blockCount")
export declare function blockCount(block: u32, state: u32): u32;
/** Zeroes `count` Dirty frames from `frame` on and makes them Clean. Refused: a frame that is not Dirty. At most 512. */
// @ts-ignore: decorator
@external("host", "frameScrub")
export declare function frameScrub(frame: u32, count: u32): bool;

/** Sets a Clean frame aside. */
// @ts-ignore: decorator
@external("host", "reserveGive")
export declare function reserveGive(frame: u32): bool;
/** Makes a frame of the reserve Clean again: which, or u32.MAX_VALUE when none is left. */
// @ts-ignore: decorator
@external("host", "reserveBack")
export declare function reserveBack(): u32;

/** Makes the slot's guest block in a Clean frame; the guest's pool is empty. `affinity`: the CPUs that may run it, a bit each; 0: all.
 *  Refused: slot in use, frame not Clean, a CPU that does not work. */
// @ts-ignore: decorator
@external("host", "guestNew")
export declare function guestNew(slot: u32, frame: u32, affinity: u32): bool;
/** Gives a Clean frame to the guest's pool: from it come its instance, linear memory, control block, tables and rings. */
// @ts-ignore: decorator
@external("host", "guestPool")
export declare function guestPool(slot: u32, frame: u32): bool;
/** Gives a Clean, aligned 2 MiB block of frames as RAM at guest-physical `address`: it must be the next one (address = RAM so far). */
// @ts-ignore: decorator
@external("host", "guestRam")
export declare function guestRam(slot: u32, block: u32, address: u64): bool;
/** Instantiates the machine and its vCPU from the pool, with a CpuModel and its TSC's kilohertz (0: the host's); false: the pool is too small, or the module trapped (guestReason). */
// @ts-ignore: decorator
@external("host", "guestInit")
export declare function guestInit(slot: u32, wallSeconds: u64, cpuModel: u32, tscKhz: u32): bool;
/** Makes the slot, which has a pool (HostFact.CloneFrames) and nothing else, a copy of a guest that was started and has not ended. `from`:
 *  GuestLimit.EntropyBytes of entropy in core's memory. TSC ticks that went into the nested tables; 0: refused, and nothing is changed. */
// @ts-ignore: decorator
@external("host", "guestClone")
export declare function guestClone(slot: u32, source: u32, paused: bool, from: u32): u64;
/** The machine's boot(kind, block, bytes): a Status, and its value by guestValue. Status.Ended when it trapped. */
// @ts-ignore: decorator
@external("host", "guestBoot")
export declare function guestBoot(slot: u32, kind: u32, block: u64, bytes: u32): u32;
/** RunState changes: Created -> Runnable, Runnable|Halted -> Paused, Paused -> back. */
// @ts-ignore: decorator
@external("host", "guestRun")
export declare function guestRun(slot: u32): bool;
/** `passed`: guest time has gone on while it was paused; else it stood still. For a guest that was never entered, whose time begins then,
 *  it has gone on by `behindNs`; false: by more than the clocks hold. */
// @ts-ignore: decorator
@external("host", "guestResume")
export declare function guestResume(slot: u32, passed: bool, behindNs: u64): bool;
// @ts-ignore: decorator
@external("host", "guestPause")
export declare function guestPause(slot: u32): bool;
/** Ends the guest with EndReason.Killed. */
// @ts-ignore: decorator
@external("host", "guestKill")
export declare function guestKill(slot: u32): bool;
/** Takes apart a guest that is Created or Ended: all its frames become Dirty, the slot Empty. */
// @ts-ignore: decorator
@external("host", "guestFree")
export declare function guestFree(slot: u32): bool;
/** Ends a guest that was started with EndReason.OutOfMemory, if it has not ended, and takes its RAM from it: frames that nobody else has become
 *  Dirty. */
// @ts-ignore: decorator
@external("host", "guestShed")
export declare function guestShed(slot: u32): bool;
/** Raises EventBit bits of EventBit.Nmi in the machine. */
// @ts-ignore: decorator
@external("host", "guestNmi")
export declare function guestNmi(slot: u32): bool;

/** Takes over a paused guest's debugger: DebugFlag.Given bits, and DR0 to DR3 and DR7, five u64 in core's memory. False: not paused. */
// @ts-ignore: decorator
@external("host", "guestDebug")
export declare function guestDebug(slot: u32, flags: u32, from: u32): bool;
/** Why a guest stopped for its debugger (DebugStop bits), once; 0: it did not. */
// @ts-ignore: decorator
@external("host", "guestStop")
export declare function guestStop(slot: u32): u32;

/** A word of GuestEntryReply. Tsc is of the moment of the last ClockNs. */
// @ts-ignore: decorator
@external("host", "guestEntry")
export declare function guestEntry(slot: u32, index: u32): u64;
/** Bytes of a GuestPart out of a guest, or into one that is Created (Fpu: or paused). False: not wholly inside, read only, or an FPU state that would fault
 *  (the guest then has that of reset). */
// @ts-ignore: decorator
@external("host", "guestPartRead")
export declare function guestPartRead(slot: u32, part: u32, offset: u32, to: u32, bytes: u32): bool;
// @ts-ignore: decorator
@external("host", "guestPartWrite")
export declare function guestPartWrite(slot: u32, part: u32, offset: u32, from: u32, bytes: u32): bool;
/** A Register but the TSC, or what the next entry injects, of a guest that is Created or paused. False: no such field, or not this value. */
// @ts-ignore: decorator
@external("host", "guestRegisterWrite")
export declare function guestRegisterWrite(slot: u32, field: u32, value: u64): bool;
/** Created -> Paused: the machine's restore(). A Status, and its value by guestValue. The clock and the TSC go on from these at the first
 *  entry. */
// @ts-ignore: decorator
@external("host", "guestRestore")
export declare function guestRestore(slot: u32, halted: u32, events: u32, clock: u64, tsc: u64): u32;

/** RunState. */
// @ts-ignore: decorator
@external("host", "guestState")
export declare function guestState(slot: u32): u32;
/** EndReason of an Ended guest, and its value (after guestBoot: the Status's value). */
// @ts-ignore: decorator
@external("host", "guestReason")
export declare function guestReason(slot: u32): u32;
// @ts-ignore: decorator
@external("host", "guestValue")
export declare function guestValue(slot: u32): u64;
/** A Register or ExitField of protocol/state.ts. The guest stands until core's piece of work is done, so that all are of one moment. */
// @ts-ignore: decorator
@external("host", "guestRegister")
export declare function guestRegister(slot: u32, field: u32): u64;
/** A VmxField or SvmField (protocol/vcb.ts) as it is in the guest's control block: nothing can be written so. The guest stands, as above. */
// @ts-ignore: decorator
@external("host", "guestVcb")
export declare function guestVcb(slot: u32, field: u32): u64;
/** A word of GuestStatReply. */
// @ts-ignore: decorator
@external("host", "guestStat")
export declare function guestStat(slot: u32, index: u32): u64;
/** Where it ran last, and 1; 0: nowhere yet. The CPUs that may run it are in the upper half, a bit each. */
// @ts-ignore: decorator
@external("host", "guestCpus")
export declare function guestCpus(slot: u32): u64;
/** Sets what the guest's exits are watched for (TraceMode bits). With a ring, where it has none, `frame` is the first of TraceRing.Frames Clean
 *  ones in a row, at a multiple of their number; they are Dirty when the ring goes. Refused: it has no machine, such frames are not there. */
// @ts-ignore: decorator
@external("host", "guestTrace")
export declare function guestTrace(slot: u32, modes: u32, frame: u32): bool;
/** How many exits were recorded; number `index` of them goes to `to` (TraceRecord.End bytes), if it is there and among the last
 *  TraceRing.Records. The guest stands until core's piece of work is done. */
// @ts-ignore: decorator
@external("host", "guestTraced")
export declare function guestTraced(slot: u32, index: u64, to: u32): u64;
/** The count of exits with an ExitReason. */
// @ts-ignore: decorator
@external("host", "guestExits")
export declare function guestExits(slot: u32, reason: u32): u64;
/** The first slot >= `from` whose state or end changed since the last call, or whose console ring has bytes; or -1. Clears the mark. */
// @ts-ignore: decorator
@external("host", "guestChanged")
export declare function guestChanged(from: u32): i32;

/** Guest RAM and core's memory. False: not wholly inside. */
// @ts-ignore: decorator
@external("host", "guestRead")
export declare function guestRead(slot: u32, address: u64, to: u32, bytes: u32): bool;
// @ts-ignore: decorator
@external("host", "guestWrite")
export declare function guestWrite(slot: u32, address: u64, from: u32, bytes: u32): bool;
/** The entry of the guest's nested tables at `level` (3: PML4, 0: the last), in NestedBit's form, on the way of a guest-physical address; 0 where
 *  the way has ended above. Level 4: the host-physical address of the PML4. */
// @ts-ignore: decorator
@external("host", "guestNested")
export declare function guestNested(slot: u32, address: u64, level: u32): u64;
/** XXH64's inner loop over guest RAM: 32-byte stripes into the four u64 lanes at `lanes` in core's memory. False: not wholly inside. */
// @ts-ignore: decorator
@external("host", "guestStripes")
export declare function guestStripes(slot: u32, address: u64, stripes: u32, lanes: u32): bool;
/** Store disk sectors into (or out of) guest RAM, at most 128 sectors a call: 0, or ATA status | error << 8; FFFFFFFFh: refused. */
// @ts-ignore: decorator
@external("host", "storeRead")
export declare function storeRead(sector: u64, count: u32, slot: u32, address: u64): u32;
// @ts-ignore: decorator
@external("host", "storeWrite")
export declare function storeWrite(sector: u64, count: u32, slot: u32, address: u64): u32;

/** A ModuleWord of a place for machine modules; 0 where there is none. */
// @ts-ignore: decorator
@external("host", "module")
export declare function module(slot: u32, word: u32): u64;
/** A module out of the RAM of a guest that is Created, into a place that nobody uses: a ModuleFault. */
// @ts-ignore: decorator
@external("host", "moduleLoad")
export declare function moduleLoad(carrier: u32, address: u32, bytes: u32, slot: u32): u32;
/** New guests start on it. False: there is none. */
// @ts-ignore: decorator
@external("host", "moduleUse")
export declare function moduleUse(slot: u32): bool;
/** Gives a guest an instance of another module, as GuestSwapArgs say: a Status; what goes with it are ModuleWord.SwapReason and SwapValue. The
 *  guest stands until core's piece of work is done. */
// @ts-ignore: decorator
@external("host", "guestSwap")
export declare function guestSwap(slot: u32, module: u32, carrier: u32, address: u32, moves: u32): u32;

/** Takes bytes that the guest wrote to UART `port`: their number. */
// @ts-ignore: decorator
@external("host", "consoleTake")
export declare function consoleTake(slot: u32, port: u32, to: u32, max: u32): u32;
/** Gives input bytes for UART `port`: how many the ring had room for. Wakes the guest. */
// @ts-ignore: decorator
@external("host", "consoleGive")
export declare function consoleGive(slot: u32, port: u32, from: u32, bytes: u32): u32;
/** Bytes lost for want of room since the last call. */
// @ts-ignore: decorator
@external("host", "consoleLost")
export declare function consoleLost(slot: u32, port: u32): u32;
