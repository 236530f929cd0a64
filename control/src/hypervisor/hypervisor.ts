// The hypervisor as the daemon sees it: every operation of protocol/messages.ts as a typed call, and its events.
// The daemon is built on this file alone; client.ts implements it.
import type { EndReason, GuestKind, ResumeClock, RunState, Vendor } from "../../../protocol/messages.js";
import type { LinkStatistics } from "../link/link.js";
import type { DebuggerCalls } from "./debugger.js";
import type { ModuleCalls } from "./modules.js";
import type { CpuidRow, CpuModel, GuestMachineInfo, SavedState } from "./saved.js";
import type { TracedExits } from "./traced.js";

export interface HelloInfo {
  version: number;
  vendor: Vendor;
  cpus: number;
  memoryBytes: number;
  tscKhz: number;
  readyTsc: bigint;
  storeSectors: number;
  features: number;
  identity: string;
}

export interface RamRun {
  guestPhysical: number;
  hostPhysical: number;
  bytes: number;
}

export interface GuestCreateOptions {
  memoryBytes: number;
  /** seconds since 1970 that its RTC shows at its start */
  wallSeconds: number;
  /** by default portable */
  cpuModel?: CpuModel;
  /** the rate of its TSC; by default the host's */
  tscKhz?: number;
  /** CPUs that may run it, a bit each; 0 or left out: all */
  affinity?: number;
}

export interface GuestStartOptions {
  guest: number;
  kind: GuestKind;
  block: number;
  blockBytes: number;
  paused?: boolean;
}

export interface GuestCloneOptions {
  /** whose copy it shall be: a guest that was started and has not ended */
  guest: number;
  /** fresh, for the copy's own random numbers: GuestLimit.EntropyBytes bytes */
  entropy: Uint8Array;
  /** CPUs that may run it, a bit each; 0 or left out: the source's */
  affinity?: number;
  /** by default it goes on at once, even when the source is paused */
  paused?: boolean;
}

export interface ClonedGuest {
  guest: number;
  /** which copy it is: no other guest of this hypervisor has the number */
  generation: bigint;
  requestTsc: bigint;
  /** TSC ticks in which the source's nested tables lost the right to write */
  protectTicks: bigint;
  /** TSC ticks that the source stood */
  heldTicks: bigint;
}

export interface GuestStateInfo {
  state: RunState;
  reason: EndReason;
  value: bigint;
  memoryBytes: number;
  rip: bigint;
  /** the CPU that it ran on last */
  cpu: number | undefined;
  /** CPUs that may run it, a bit each */
  affinity: number;
}

export interface GuestStatInfo {
  exits: bigint;
  runNs: bigint;
  haltNs: bigint;
  vmcsAccesses: bigint;
  injected: bigint;
  firstEntryTsc: bigint;
  overheadBytes: number;
  nestedTableBytes: number;
  nestedFaults: bigint;
  haltTsc: bigint;
  nestedFlushes: bigint;
  waitNs: bigint;
  pausedNs: bigint;
  lifeNs: bigint;
  handlingNs: bigint;
  /** TraceMode bits: what its exits are watched for */
  traceModes: number;
  /** which copy it is; 0: none */
  generation: bigint;
  /** writes to RAM that it shared with a copy, and the bytes that were copied for it so */
  copyFaults: bigint;
  copiedBytes: number;
  /** by ExitReason number */
  byReason: Map<number, bigint>;
}

export interface NestedWalk {
  /** host-physical address of the PML4 */
  root: number;
  /** in NestedBit's form (protocol/state.ts), from the PML4's on */
  entries: bigint[];
}

export interface HostStatInfo {
  uptimeNs: bigint;
  idleNs: bigint;
  freeBytes: number;
  dirtyBytes: number;
  totalBytes: number;
  guests: number;
  framesIn: bigint;
  framesOut: bigint;
  framesBad: bigint;
  framesResent: bigint;
  serialOverruns: bigint;
  tsc: bigint;
}

export interface CpuStatInfo {
  uptimeNs: bigint;
  cpus: {
    index: number;
    /** halted since the start */
    idleNs: bigint;
    /** in turns of guests, the handling of their exits with them */
    runNs: bigint;
    /** of guests, handled on it */
    exits: bigint;
    /** interrupts and exceptions that guests were given on it */
    injected: bigint;
    /** the guest that is resident on it */
    guest: number | undefined;
  }[];
}

export interface EntryFailure {
  /** a rule of protocol/rules.ts, and a field of protocol/vcb.ts */
  rule: number;
  field: number;
  value: bigint;
}

export interface HypervisorEvents {
  guestState: [guest: number, state: RunState];
  /** for its debugger, paused: DebugStop bits */
  guestStopped: [guest: number, stop: number, rip: bigint];
  /** `failure`: of a failed entry, the check of it that fails first, and the value of the field that it names */
  guestEnded: [guest: number, reason: EndReason, value: bigint, rip: bigint, failure?: EntryFailure];
  console: [guest: number, port: number, bytes: Uint8Array];
  consoleLost: [guest: number, port: number, count: number];
  /** input that the guest had no room for, and that was not sent again */
  consoleInputLost: [guest: number, port: number, count: number];
  /** a raw text line of the hypervisor (boot, CPU controls, panic) */
  text: [line: string];
  /** a panic report is complete: its lines */
  panic: [lines: string[]];
  /** the line is away; the hypervisor goes on with its guests, and requests wait, each for its time */
  broken: [reason: string];
  /** and is there again: what was waited for goes on */
  back: [];
  /** the link or the engine is gone */
  lost: [reason: string];
}

/** Failures are HvkitError: E_LINK_..., E_HV_<STATUS NAME> for a Status, with its words in data. */
export interface HypervisorClient {
  readonly hello: HelloInfo;
  /** a debugger's operations */
  readonly debugger: DebuggerCalls;
  readonly modules: ModuleCalls;
  on<K extends keyof HypervisorEvents>(event: K, listener: (...args: HypervisorEvents[K]) => void): this;
  off<K extends keyof HypervisorEvents>(event: K, listener: (...args: HypervisorEvents[K]) => void): this;
  ping(bytes?: Uint8Array): Promise<Uint8Array>;
  hostStat(): Promise<HostStatInfo>;
  cpuStat(): Promise<CpuStatInfo>;
  /** counters of this side of the line */
  linkStatistics(): LinkStatistics;
  shutdown(): Promise<void>;
  guestCreate(args: GuestCreateOptions): Promise<{ guest: number; runs: RamRun[]; requestTsc: bigint }>;
  /** A copy of a guest in a slot of its own, that shares its memory until one of the two writes. */
  guestClone(options: GuestCloneOptions): Promise<ClonedGuest>;
  /** Where a range of its RAM lies now. Of a guest that shares some, that changes while it runs. */
  guestFrames(guest: number, address: number, length: number): Promise<RamRun[]>;
  /** Bytes into guest RAM by the best way that the engine has (window, store, else inline), then verified by digest. */
  guestPut(guest: number, address: number, bytes: Uint8Array, onProgress?: (done: number) => void): Promise<void>;
  /** Bytes into the RAM of a guest that was never started. As guestPut, but what the window copies is not verified by the hypervisor:
   * for a snapshot, whose bytes have been verified here. */
  guestFill(guest: number, address: number, bytes: Uint8Array): Promise<void>;
  /** Bytes out of guest RAM, by the best way; into `into`, when there is one of that length. */
  guestGet(guest: number, address: number, length: number, into?: Uint8Array): Promise<Uint8Array>;
  guestDigest(guest: number, address: number, length: number): Promise<bigint>;
  /** `paused`: before its first instruction */
  guestStart(args: GuestStartOptions): Promise<void>;
  guestPause(guest: number): Promise<void>;
  /** `clock`: what the guest makes of the time that it was paused; by default nothing. `behindNs`: when it catches up, and was restored and
   *  never entered, the time since it was saved */
  guestResume(guest: number, clock?: ResumeClock, behindNs?: bigint): Promise<void>;
  guestKill(guest: number): Promise<void>;
  guestDestroy(guest: number): Promise<void>;
  guestState(guest: number): Promise<GuestStateInfo>;
  /** by Register number, 0..Register.Count-1 */
  guestRegisters(guest: number): Promise<bigint[]>;
  /** All but the RAM of a guest that is paused. */
  guestStateSave(guest: number): Promise<SavedState>;
  /** The guest was created and its RAM filled: it takes the state, and is paused. */
  guestStateLoad(guest: number, state: SavedState): Promise<void>;
  /** What CPUID answers the guest, in whatever state it is. */
  guestCpuid(guest: number): Promise<CpuidRow[]>;
  /** The way of a guest-physical address (below 2^48) through the nested tables; it changes nothing. */
  guestNested(guest: number, address: number): Promise<NestedWalk>;
  /** What the last exit left, by ExitField number minus ExitField.Qualification. */
  guestExit(guest: number): Promise<bigint[]>;
  /** The machine around the vCPU, of a guest in whatever state. While it runs, the pieces that the region comes in are moments apart. */
  guestMachine(guest: number): Promise<GuestMachineInfo>;
  guestStat(guest: number): Promise<GuestStatInfo>;
  /** Sets what its exits are watched for: TraceMode bits. */
  guestTrace(guest: number, modes: number): Promise<void>;
  /** Recorded exits from number `from` on, or from the oldest that is there, as many as one reply carries; without `from` none, only their count. */
  guestTraced(guest: number, from?: number): Promise<TracedExits>;
  /** Its control block, at one moment: a value for each VmxField or SvmField. */
  guestExplain(guest: number): Promise<bigint[]>;
  /** The machine's table of neutral reasons: a byte for each raw one, 0 where the number alone does not tell. */
  guestReasons(guest: number): Promise<Uint8Array>;
  guestNmi(guest: number): Promise<void>;
  /** Resolves when the guest's ring has the bytes; E_CONSOLE_FULL when it does not read for long. */
  consoleWrite(guest: number, port: number, bytes: Uint8Array): Promise<void>;
  /** stops the engine and closes all */
  close(): Promise<void>;
}
