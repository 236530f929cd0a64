// A hypervisor in memory, for tests of the daemon: guests with RAM, state and registers, and whatever event the test wants.
import { EventEmitter } from "node:events";
import type { Boot } from "../../../control/src/daemon/boot.js";
import type { RunningEngine } from "../../../control/src/engines/engine.js";
import { HvkitError } from "../../../control/src/errors.js";
import type { DebuggerCalls, DebugWish } from "../../../control/src/hypervisor/debugger.js";
import type {
  ClonedGuest,
  CpuStatInfo,
  GuestCloneOptions,
  GuestCreateOptions,
  GuestStatInfo,
  HelloInfo,
  HostStatInfo,
  HypervisorClient,
  HypervisorEvents,
  NestedWalk,
  RamRun,
} from "../../../control/src/hypervisor/hypervisor.js";
import type { ModuleCalls, ModulesInfo } from "../../../control/src/hypervisor/modules.js";
import type { CpuidRow, GuestMachineInfo, SavedState } from "../../../control/src/hypervisor/saved.js";
import { statusError } from "../../../control/src/hypervisor/texts.js";
import type { TracedExits } from "../../../control/src/hypervisor/traced.js";
import { EndReason, GuestLimit, ResumeClock, RunState, Status, Vendor } from "../../../protocol/messages.js";
import { ModuleLimit } from "../../../protocol/module.js";
import { Register } from "../../../protocol/state.js";
import { SvmField } from "../../../protocol/vcb.js";
import { sampleLayout, sampleState } from "../snapshot/sample.js";

interface FakeGuest {
  state: RunState;
  ram: Buffer;
  typed: Buffer[];
  /** as guestCreate was asked for */
  affinity: number;
  /** what was loaded into it */
  saved?: SavedState;
  /** by the last guestResume */
  resumed?: { clock: ResumeClock; behindNs: bigint };
}

/** Places as modules.asm has them; a guest's move can be made to fail. */
export class FakeModules implements ModuleCalls {
  base = "fedcba9876543210";
  readonly identities: (string | undefined)[] = ["0123456789abcdef", undefined, undefined, undefined];
  current = 0;
  /** what guests run on, as far as they were swapped */
  readonly guests = new Map<number, number>();
  /** the next guestSwap of a guest fails with it */
  readonly errors = new Map<number, HvkitError>();
  /** of the last guestSwap */
  moves = 0;

  async modules(): Promise<ModulesInfo> {
    const places = this.identities.map((identity, slot) => ({
      slot,
      identity,
      address: 0x10_0000 + slot * ModuleLimit.Bytes,
      guests: [...this.guests.values()].filter((used) => used === slot).length,
      current: this.current === slot,
    }));
    return { base: this.base, places };
  }
  async moduleLoad(_carrier: number, _address: number, _bytes: number, slot: number): Promise<void> {
    this.identities[slot] = `module ${slot}`;
  }
  async moduleUse(slot: number): Promise<void> {
    this.current = slot;
  }
  async guestSwap(guest: number, slot: number, _carrier: number, _address: number, moves: number): Promise<void> {
    const error = this.errors.get(guest);
    if (error) throw error;
    this.guests.set(guest, slot);
    this.moves = moves;
  }
}

export class FakeHypervisor extends EventEmitter<HypervisorEvents> implements HypervisorClient {
  readonly hello: HelloInfo = {
    version: 1,
    vendor: Vendor.Svm,
    cpus: 1,
    memoryBytes: 256 * 2 ** 20,
    tscKhz: 1000000,
    readyTsc: 7n,
    storeSectors: 0,
    features: 3,
    identity: "fake 1",
  };
  readonly guests = new Map<number, FakeGuest>();
  readonly modules = new FakeModules();
  readonly calls: string[] = [];
  /** its machine is elsewhere, and goes on by itself */
  external = false;
  freeBytes = 256 * 2 ** 20;
  /** the next guestStart fails with it */
  startError: HvkitError | undefined;
  /** the next guestStateLoad fails with it */
  loadError: HvkitError | undefined;
  /** what guests find with CPUID */
  cpuid: CpuidRow[] = sampleState().cpuid;
  closed = false;
  uptimeNs = 0n;
  creations = 0;
  #next = 1;

  async ping(bytes = new Uint8Array(0)): Promise<Uint8Array> {
    return bytes;
  }
  async hostStat(): Promise<HostStatInfo> {
    const { freeBytes } = this;
    return {
      uptimeNs: 5n,
      idleNs: 4n,
      freeBytes,
      dirtyBytes: 0,
      totalBytes: this.hello.memoryBytes,
      guests: this.guests.size,
      framesIn: 1n,
      framesOut: 2n,
      framesBad: 0n,
      framesResent: 0n,
      serialOverruns: 0n,
      tsc: 2n ** 60n,
    };
  }
  async cpuStat(): Promise<CpuStatInfo> {
    const guest = [...this.guests.keys()][0];
    this.uptimeNs += 1_000n;
    return {
      uptimeNs: this.uptimeNs,
      cpus: [{ index: 0, idleNs: this.uptimeNs / 4n, runNs: this.uptimeNs / 2n, exits: 7n, injected: 3n, guest }],
    };
  }
  async shutdown(): Promise<void> {
    this.calls.push("shutdown");
  }
  async guestCreate({ memoryBytes, affinity = 0 }: GuestCreateOptions): Promise<{ guest: number; runs: RamRun[]; requestTsc: bigint }> {
    if (memoryBytes > this.freeBytes) throw new HvkitError("E_HV_NO_MEMORY", "Not enough free memory in the hypervisor");
    if (this.guests.size >= GuestLimit.Slots) throw new HvkitError("E_HV_NO_SLOT", "All slots are taken");
    this.freeBytes -= memoryBytes;
    this.creations++;
    const guest = this.#next++;
    this.guests.set(guest, { state: RunState.Created, ram: Buffer.alloc(memoryBytes), typed: [], affinity });
    return { guest, runs: [], requestTsc: 1n };
  }
  /** As the hypervisor: the copy has all that its source has, and neither sees what the other writes. */
  async guestClone({ guest, affinity, paused = false }: GuestCloneOptions): Promise<ClonedGuest> {
    const source = this.get(guest);
    if (source.state === RunState.Created || source.state === RunState.Ended) {
      throw statusError("GuestClone", Status.BadState, [BigInt(source.state)]);
    }
    if (this.guests.size >= GuestLimit.Slots) throw statusError("GuestClone", Status.NoSlot, [BigInt(GuestLimit.Slots)]);
    const clone = this.#next++;
    const state = paused ? RunState.Paused : RunState.Runnable;
    this.guests.set(clone, { ...source, state, ram: Buffer.from(source.ram), typed: [], affinity: affinity || source.affinity });
    this.calls.push(`clone ${guest} ${clone}`);
    return { guest: clone, generation: BigInt(clone), requestTsc: 1n, protectTicks: 2n, heldTicks: 3n };
  }
  async guestFrames(): Promise<RamRun[]> {
    return [];
  }
  async guestPut(guest: number, address: number, bytes: Uint8Array, onProgress?: (done: number) => void): Promise<void> {
    this.get(guest).ram.set(bytes, address);
    onProgress?.(bytes.length);
  }
  async guestFill(guest: number, address: number, bytes: Uint8Array): Promise<void> {
    this.get(guest).ram.set(bytes, address);
  }
  async guestGet(guest: number, address: number, length: number, into: Uint8Array = new Uint8Array(length)): Promise<Uint8Array> {
    into.set(this.get(guest).ram.subarray(address, address + length));
    return into;
  }
  async guestStateSave(guest: number): Promise<SavedState> {
    const { state, saved } = this.get(guest);
    if (state !== RunState.Paused) throw new HvkitError("E_HV_BAD_STATE", "The guest runs");
    this.calls.push(`save ${guest}`);
    return saved ?? sampleState();
  }
  async guestStateLoad(guest: number, state: SavedState): Promise<void> {
    if (this.loadError) throw this.loadError;
    const found = this.get(guest);
    found.saved = state;
    found.state = RunState.Paused;
    this.calls.push(`load ${guest}`);
    setImmediate(() => this.emit("guestState", guest, RunState.Paused)); // after the reply, as the hypervisor does
  }
  /** As the hypervisor does it: of a guest that is paused. */
  readonly debugger: DebuggerCalls = {
    guestDebug: async (guest, wish) => {
      this.standing(guest);
      this.wishes.push({ guest, wish });
    },
    guestRegistersWrite: async (guest, values) => {
      this.standing(guest);
      for (const [register, value] of values) {
        if (register === Register.Cr0 && value === 0n)
          throw statusError("GuestRegistersWrite", Status.RegisterRefused, [BigInt(register), value]);
        if (register < Register.Count) this.registers[register] = value;
      }
    },
    guestPending: async () => ({ inject: 0n, halted: false }),
    guestFpu: async () => new Uint8Array(GuestLimit.FpuBytes),
    guestFpuWrite: async (guest) => this.standing(guest),
    guestStore: async (guest, address, bytes) => void this.get(guest).ram.set(bytes, address),
  };
  readonly wishes: { guest: number; wish: DebugWish }[] = [];
  /** of all guests */
  registers = Array.from({ length: Register.Count }, (_, index) => BigInt(index) * 0x1111n);
  /** A guest stops for its debugger. */
  stopAt(guest: number, stop: number, rip: bigint): void {
    this.get(guest).state = RunState.Paused;
    this.emit("guestStopped", guest, stop, rip);
  }
  private standing(guest: number): void {
    if (this.get(guest).state !== RunState.Paused) throw new HvkitError("E_HV_BAD_STATE", "The guest runs");
  }
  async guestCpuid(): Promise<CpuidRow[]> {
    return this.cpuid;
  }
  async guestDigest(): Promise<bigint> {
    return 0xabcn;
  }
  async guestStart({ guest, paused }: { guest: number; paused?: boolean }): Promise<void> {
    if (this.startError) throw this.startError;
    this.get(guest).state = paused ? RunState.Paused : RunState.Runnable;
    this.calls.push(`start ${guest}`);
  }
  async guestPause(guest: number): Promise<void> {
    this.get(guest).state = RunState.Paused;
  }
  async guestResume(guest: number, clock = ResumeClock.Frozen, behindNs = 0n): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.get(guest).resumed = { clock, behindNs };
    this.get(guest).state = RunState.Runnable;
  }
  async guestKill(guest: number): Promise<void> {
    this.end(guest, EndReason.Killed);
  }
  async guestDestroy(guest: number): Promise<void> {
    const { ram, state } = this.get(guest);
    if (state !== RunState.Ended && state !== RunState.Created) throw new HvkitError("E_HV_BAD_STATE", "The guest runs");
    this.freeBytes += ram.length;
    this.guests.delete(guest);
    this.calls.push(`destroy ${guest}`);
  }
  async guestState(guest: number) {
    const { state, ram } = this.get(guest);
    return { state, reason: EndReason.None, value: 0n, memoryBytes: ram.length, rip: 0x1234n, cpu: 0, affinity: 1 };
  }
  async guestRegisters(): Promise<bigint[]> {
    return [...this.registers];
  }
  async guestNested(_guest: number, address: number): Promise<NestedWalk> {
    return { root: 0x1000, entries: [0x2007n, 0x3007n, BigInt(address - (address % 2 ** 21)) | 0x87n] };
  }
  async guestExit(): Promise<bigint[]> {
    return [1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n];
  }
  async guestMachine(guest: number): Promise<GuestMachineInfo> {
    const { inject, halted, events, clockNs, tscKhz, region } = this.get(guest).saved ?? sampleState();
    return { inject, halted, events, clockNs, tsc: 9n, tscKhz, inputBytes: [0, 2], region };
  }
  async guestStat(): Promise<GuestStatInfo> {
    const byReason = new Map([
      [1, 5n],
      [5, 95n],
    ]);
    const zero = { vmcsAccesses: 0n, injected: 3n, firstEntryTsc: 1n, nestedFaults: 0n, haltTsc: 0n, nestedFlushes: 1n };
    const times = { waitNs: 3n, pausedNs: 0n, lifeNs: 15n, handlingNs: 0n, traceModes: 0 };
    const copies = { generation: 0n, copyFaults: 0n, copiedBytes: 0 };
    return { exits: 100n, runNs: 10n, haltNs: 2n, overheadBytes: 200000, nestedTableBytes: 16384, byReason, ...zero, ...times, ...copies };
  }
  linkStatistics() {
    const none = { framesIn: 0, framesOut: 0, framesBad: 0, framesOutOfTurn: 0, framesResent: 0, queued: 0, inFlight: 0 };
    return { ...none, bytesIn: 700, bytesOut: 300 };
  }
  async guestReasons(): Promise<Uint8Array> {
    return new Uint8Array(256);
  }
  async guestTrace(): Promise<void> {}
  async guestTraced(): Promise<TracedExits> {
    return { count: 0, exits: [] };
  }
  async guestNmi(): Promise<void> {}
  /** As the vendor of hello; a control block of zeros. */
  async guestExplain(): Promise<bigint[]> {
    return Array.from({ length: SvmField.Count }, () => 0n);
  }
  async consoleWrite(guest: number, _port: number, bytes: Uint8Array): Promise<void> {
    this.get(guest).typed.push(Buffer.from(bytes));
  }
  async close(): Promise<void> {
    this.closed = true;
  }

  /** The guest writes to its console. */
  write(guest: number, text: string, port = 0): void {
    this.emit("console", guest, port, Buffer.from(text));
  }
  end(guest: number, reason: EndReason, value = 0n): void {
    this.get(guest).state = RunState.Ended;
    this.emit("guestEnded", guest, reason, value, 0x7c00n);
  }
  get(guest: number): FakeGuest {
    const found = this.guests.get(guest);
    if (!found) throw new HvkitError("E_HV_NO_SUCH_GUEST", "There is no such guest in the hypervisor.");
    return found;
  }
}

/** Boots fakes; `made` has them all, in order. */
export function fakeBoot(prepare: (hypervisor: FakeHypervisor, index: number) => void | Promise<void> = () => {}) {
  const made: FakeHypervisor[] = [];
  let stopped = 0;
  const boot: Boot = async (_request, { onLine, onEngine }) => {
    const hypervisor = new FakeHypervisor();
    await prepare(hypervisor, made.length);
    made.push(hypervisor);
    const engine = {
      name: "qemu",
      accel: "tcg",
      pid: process.pid,
      command: ["fake"],
      external: hypervisor.external,
      lastWords: () => "the engine's last words",
      stop: async () => {
        stopped++;
      },
    } as unknown as RunningEngine;
    onLine("engine: fake");
    onEngine(engine);
    return { engine, hypervisor, choice: { engine: "qemu", accel: "tcg", vendor: "AMD SVM", why: "a fake" }, layout: sampleLayout() };
  };
  return { boot, made, stopped: () => stopped };
}
