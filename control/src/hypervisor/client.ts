// The hypervisor, remote: implements HypervisorClient on a running engine's serial line. Below it: session (the link, requests, loss),
// codec (words), transfer (bulk bytes). One method for each Op of protocol/messages.ts, under the same name.
import { GuestStoppedWords } from "../../../protocol/debug.js";
import {
  CpuModel,
  CpuStatReply,
  CpuStatWord,
  DigestReply,
  type EndReason,
  Event,
  Feature,
  GuestCloneReply,
  GuestCreateReply,
  GuestEndedWords,
  GuestFramesReply,
  GuestLimit,
  GuestNestedReply,
  GuestStateReply,
  GuestStatReply,
  HelloReply,
  HostLimit,
  HostStatReply,
  Op,
  ResumeClock,
  type RunState,
} from "../../../protocol/messages.js";
import { Register } from "../../../protocol/state.js";
import type { RunningEngine } from "../engines/engine.js";
import { HvkitError } from "../errors.js";
import { encodeMessage, type Message } from "./codec.js";
import { ConsoleInput } from "./consoleinput.js";
import { failedOf, readControlBlock } from "./controlblock.js";
import { RemoteDebugger } from "./debugger.js";
import type {
  ClonedGuest,
  CpuStatInfo,
  GuestCloneOptions,
  GuestCreateOptions,
  GuestStartOptions,
  GuestStateInfo,
  GuestStatInfo,
  HelloInfo,
  HostStatInfo,
  HypervisorClient,
  HypervisorEvents,
  NestedWalk,
  RamRun,
} from "./hypervisor.js";
import { RemoteModules } from "./modules.js";
import type { RequestOptions } from "./requests.js";
import type { CpuidRow, GuestMachineInfo, SavedState } from "./saved.js";
import { type ConnectOptions, checkVersion, Session } from "./session.js";
import { loadState, readCpuid, readMachine, readReasons, saveState } from "./state.js";
import { decodeTraced, type TracedExits } from "./traced.js";
import { Transfer } from "./transfer.js";

export type { ConnectOptions } from "./session.js";

/** The store disk and the digest are paced by the emulator: this much a second is the least that counts as progress. */
const SLOWEST_BYTES_PER_MS = 500;
/** whatever a size says: an hour (a timer takes 2^31 ms at most) */
const MOST_MS = 3_600_000;
const FRAME_BYTES = 4096;
const ALL_ONES = 0xffff_ffff_ffff_ffffn;

export class RemoteHypervisor implements HypervisorClient {
  readonly hello: HelloInfo;
  readonly debugger = new RemoteDebugger(this);
  readonly modules = new RemoteModules(this);
  readonly #session: Session;
  readonly #transfer: Transfer;
  readonly #consoleInput: ConsoleInput;

  /** Waits for the hypervisor's Sync and Hello. The engine stays the caller's when this fails, and is the client's after it. */
  static async connect(engine: RunningEngine, options: ConnectOptions = {}): Promise<RemoteHypervisor> {
    const session = new Session(engine, options);
    try {
      await session.open();
      const reply = await session.call(Op.Hello, [], undefined, { timeoutMs: session.remainingMs() });
      const hello = decodeHello(reply);
      checkVersion(hello.version);
      return new RemoteHypervisor(session, hello);
    } catch (error) {
      throw await session.giveUp(error);
    }
  }

  private constructor(session: Session, hello: HelloInfo) {
    this.#session = session;
    this.hello = hello;
    this.#transfer = new Transfer(
      {
        guestWrite: async (guest, address, bytes) => void (await this.request(Op.GuestWrite, [guest, address], bytes)),
        guestBulk: (guest, address, bytes) => session.sendBulk(encodeMessage(guest, 0, [address], bytes)),
        guestRead: async (guest, address, length) => this.#guestRead(guest, address, length),
        guestLoad: async (...args) => void (await this.request(Op.GuestLoad, args, undefined, this.#patience(args[3]))),
        guestSave: async (...args) => void (await this.request(Op.GuestSave, args, undefined, this.#patience(args[3]))),
        guestDigest: (guest, address, length) => this.guestDigest(guest, address, length),
        guestFrames: (guest, address, length) => this.guestFrames(guest, address, length),
      },
      session.engine.memory,
      hello.storeSectors > 0 ? session.engine.store : undefined,
    );
    this.#consoleInput = new ConsoleInput({
      send: async (guest, port, bytes, settle) => {
        const sent = session.sendConsole(encodeMessage(guest, port, [], bytes));
        // A reply comes after all that was said before it: by then what did not fit has been told.
        await (settle ? Promise.all([sent, this.ping()]) : sent);
      },
    });
    session.onEvent = (message) => this.#event(message);
    session.onConsole = (message) => void session.emit("console", message.first, message.second, message.bytes(0));
  }

  on<K extends keyof HypervisorEvents>(event: K, listener: (...args: HypervisorEvents[K]) => void): this {
    this.#session.on(event, listener as never);
    return this;
  }

  off<K extends keyof HypervisorEvents>(event: K, listener: (...args: HypervisorEvents[K]) => void): this {
    this.#session.off(event, listener as never);
    return this;
  }

  /** Any operation, with words and bytes as they go on the line: for tests and tools; the methods below are the typed way. */
  request(op: Op, words: readonly (bigint | number)[] = [], bytes?: Uint8Array, options?: RequestOptions): Promise<Message> {
    return this.#session.call(op, words, bytes, options);
  }

  /** Counters of this side of the line. */
  linkStatistics(): ReturnType<Session["statistics"]> {
    return this.#session.statistics();
  }

  async ping(bytes: Uint8Array = new Uint8Array()): Promise<Uint8Array> {
    return (await this.request(Op.Ping, [], bytes)).bytes(0);
  }

  async hostStat(): Promise<HostStatInfo> {
    const reply = await this.request(Op.HostStat);
    return {
      uptimeNs: reply.word(HostStatReply.UptimeNs),
      idleNs: reply.word(HostStatReply.IdleNs),
      freeBytes: reply.number(HostStatReply.FreeBytes),
      dirtyBytes: reply.number(HostStatReply.DirtyBytes),
      totalBytes: reply.number(HostStatReply.TotalBytes),
      guests: reply.number(HostStatReply.Guests),
      framesIn: reply.word(HostStatReply.FramesIn),
      framesOut: reply.word(HostStatReply.FramesOut),
      framesBad: reply.word(HostStatReply.FramesBad),
      framesResent: reply.word(HostStatReply.FramesResent),
      serialOverruns: reply.word(HostStatReply.SerialOverruns),
      tsc: reply.word(HostStatReply.Tsc),
    };
  }

  async cpuStat(): Promise<CpuStatInfo> {
    const reply = await this.request(Op.CpuStat);
    const indexes = [...Array(HostLimit.Cpus).keys()].filter((index) => (reply.number(CpuStatReply.Cpus) >> index) & 1);
    const cpus = indexes.map((index, place) => {
      const first = CpuStatReply.Words + CpuStatWord.Words * place;
      const guest = reply.number(first + CpuStatWord.Guest);
      return {
        index,
        idleNs: reply.word(first + CpuStatWord.IdleNs),
        runNs: reply.word(first + CpuStatWord.RunNs),
        exits: reply.word(first + CpuStatWord.Exits),
        injected: reply.word(first + CpuStatWord.Injected),
        guest: guest === 0 ? undefined : guest - 1,
      };
    });
    return { uptimeNs: reply.word(CpuStatReply.UptimeNs), cpus };
  }

  /** Resolves when the machine has powered itself off; the reply may never come. */
  async shutdown(): Promise<void> {
    await this.#session.shutdown();
  }

  async guestCreate(args: GuestCreateOptions): Promise<{ guest: number; runs: RamRun[]; requestTsc: bigint }> {
    const model = args.cpuModel === "host" ? CpuModel.Host : CpuModel.Portable;
    const words = [args.memoryBytes, args.wallSeconds, model, args.tscKhz ?? 0, args.affinity ?? 0];
    const reply = await this.request(Op.GuestCreate, words, undefined, this.#patience(args.memoryBytes));
    const guest = reply.number(GuestCreateReply.Guest);
    const count = reply.number(GuestCreateReply.Runs);
    const runs = Array.from({ length: Math.min(count, GuestLimit.MaxMiB) }, (_, index) => ({
      guestPhysical: reply.number(GuestCreateReply.Words + 3 * index),
      hostPhysical: reply.number(GuestCreateReply.Words + 3 * index + 1),
      bytes: reply.number(GuestCreateReply.Words + 3 * index + 2),
    }));
    this.#transfer.created(guest, runs);
    return { guest, runs, requestTsc: reply.word(GuestCreateReply.RequestTsc) };
  }

  async guestClone({ guest, entropy, affinity = 0, paused = false }: GuestCloneOptions): Promise<ClonedGuest> {
    // Before the hypervisor has done it: from that moment on no write may go by the window.
    const unshare = this.#transfer.shared(guest);
    const reply = await this.request(Op.GuestClone, [guest, affinity, paused ? 1 : 0], entropy).catch((error: unknown) => {
      // Without an answer it may have been done.
      if (error instanceof HvkitError && typeof error.data?.status === "number") unshare();
      throw error;
    });
    const clone = reply.number(GuestCloneReply.Guest);
    this.#transfer.shared(clone);
    return {
      guest: clone,
      generation: reply.word(GuestCloneReply.Generation),
      requestTsc: reply.word(GuestCloneReply.RequestTsc),
      protectTicks: reply.word(GuestCloneReply.ProtectTicks),
      heldTicks: reply.word(GuestCloneReply.HeldTicks),
    };
  }

  async guestFrames(guest: number, address: number, length: number): Promise<RamRun[]> {
    const runs: RamRun[] = [];
    for (let at = address - (address % FRAME_BYTES); at < address + length; ) {
      const reply = await this.request(Op.GuestFrames, [guest, at]);
      const next = reply.number(GuestFramesReply.Next);
      let guestPhysical = at;
      for (let word: number = GuestFramesReply.Words; word + 1 < reply.wordCount; word += 2) {
        const run = { guestPhysical, hostPhysical: reply.number(word), bytes: reply.number(word + 1) };
        runs.push(run);
        guestPhysical += run.bytes;
      }
      if (next <= at) break; // beyond its RAM
      at = next;
    }
    return runs;
  }

  guestPut(guest: number, address: number, bytes: Uint8Array, onProgress?: (done: number) => void): Promise<void> {
    return this.#transfer.put(guest, address, bytes, onProgress);
  }

  guestFill(guest: number, address: number, bytes: Uint8Array): Promise<void> {
    return this.#transfer.fill(guest, address, bytes);
  }

  guestGet(guest: number, address: number, length: number, into?: Uint8Array): Promise<Uint8Array> {
    return this.#transfer.get(guest, address, length, into);
  }

  async guestDigest(guest: number, address: number, length: number): Promise<bigint> {
    const reply = await this.request(Op.GuestDigest, [guest, address, length], undefined, this.#patience(length));
    return reply.word(DigestReply.Digest);
  }

  async guestStart({ guest, kind, block, blockBytes, paused = false }: GuestStartOptions): Promise<void> {
    await this.request(Op.GuestStart, [guest, kind, block, blockBytes, paused ? 1 : 0]);
  }

  async guestPause(guest: number): Promise<void> {
    await this.request(Op.GuestPause, [guest]);
  }

  async guestResume(guest: number, clock = ResumeClock.Frozen, behindNs = 0n): Promise<void> {
    await this.request(Op.GuestResume, [guest, clock, behindNs]);
  }

  async guestKill(guest: number): Promise<void> {
    await this.request(Op.GuestKill, [guest]);
  }

  async guestDestroy(guest: number): Promise<void> {
    this.#transfer.destroyed(guest);
    await this.request(Op.GuestDestroy, [guest]);
  }

  async guestState(guest: number): Promise<GuestStateInfo> {
    const reply = await this.request(Op.GuestState, [guest]);
    const cpu = reply.number(GuestStateReply.Cpu);
    return {
      state: reply.number(GuestStateReply.State) as RunState,
      reason: reply.number(GuestStateReply.Reason) as EndReason,
      value: reply.word(GuestStateReply.Value),
      memoryBytes: reply.number(GuestStateReply.MemoryBytes),
      rip: reply.word(GuestStateReply.Rip),
      cpu: cpu === 0 ? undefined : cpu - 1,
      affinity: reply.number(GuestStateReply.Affinity),
    };
  }

  async guestRegisters(guest: number): Promise<bigint[]> {
    const reply = await this.request(Op.GuestRegisters, [guest]);
    return Array.from({ length: Register.Count }, (_, index) => reply.word(index));
  }

  guestStateSave(guest: number): Promise<SavedState> {
    return saveState(this, guest, this.#xsave);
  }

  guestStateLoad(guest: number, state: SavedState): Promise<void> {
    return loadState(this, guest, state, this.#xsave, this.hello.vendor);
  }

  guestExplain(guest: number): Promise<bigint[]> {
    return readControlBlock(this, guest);
  }

  guestCpuid(guest: number): Promise<CpuidRow[]> {
    return readCpuid(this, guest);
  }

  async guestNested(guest: number, address: number): Promise<NestedWalk> {
    const reply = await this.request(Op.GuestNested, [guest, address]);
    const entries = Array.from({ length: reply.wordCount - GuestNestedReply.Words }, (_, level) =>
      reply.word(GuestNestedReply.Words + level),
    );
    return { root: reply.number(GuestNestedReply.Root), entries };
  }

  async guestExit(guest: number): Promise<bigint[]> {
    const reply = await this.request(Op.GuestExit, [guest]);
    return Array.from({ length: reply.wordCount }, (_, index) => reply.word(index));
  }

  guestMachine(guest: number): Promise<GuestMachineInfo> {
    return readMachine(this, guest);
  }

  /** The table of exits comes in as many parts as it needs. */
  async guestStat(guest: number): Promise<GuestStatInfo> {
    const byReason = new Map<number, bigint>();
    let reply = await this.request(Op.GuestStat, [guest, 0]);
    for (let from = 0; ; ) {
      for (let at: number = GuestStatReply.Words; at + 1 < reply.wordCount; at += 2) byReason.set(reply.number(at), reply.word(at + 1));
      const next = reply.number(GuestStatReply.NextReason);
      if (next <= from) break;
      from = next;
      reply = await this.request(Op.GuestStat, [guest, from]);
    }
    return {
      exits: reply.word(GuestStatReply.Exits),
      runNs: reply.word(GuestStatReply.RunNs),
      haltNs: reply.word(GuestStatReply.HaltNs),
      vmcsAccesses: reply.word(GuestStatReply.VmcsAccesses),
      injected: reply.word(GuestStatReply.Injected),
      firstEntryTsc: reply.word(GuestStatReply.FirstEntryTsc),
      overheadBytes: reply.number(GuestStatReply.OverheadBytes),
      nestedTableBytes: reply.number(GuestStatReply.NestedTableBytes),
      nestedFaults: reply.word(GuestStatReply.NestedFaults),
      haltTsc: reply.word(GuestStatReply.HaltTsc),
      nestedFlushes: reply.word(GuestStatReply.NestedFlushes),
      waitNs: reply.word(GuestStatReply.WaitNs),
      pausedNs: reply.word(GuestStatReply.PausedNs),
      lifeNs: reply.word(GuestStatReply.LifeNs),
      handlingNs: reply.word(GuestStatReply.HandlingNs),
      traceModes: reply.number(GuestStatReply.TraceModes),
      generation: reply.word(GuestStatReply.Generation),
      copyFaults: reply.word(GuestStatReply.CopyFaults),
      copiedBytes: reply.number(GuestStatReply.CopiedBytes),
      byReason,
    };
  }

  async guestTrace(guest: number, modes: number): Promise<void> {
    await this.request(Op.GuestTrace, [guest, modes]);
  }

  async guestTraced(guest: number, from?: number): Promise<TracedExits> {
    return decodeTraced(await this.request(Op.GuestTraced, [guest, from ?? ALL_ONES]));
  }

  guestReasons(guest: number): Promise<Uint8Array> {
    return readReasons(this, guest);
  }

  async guestNmi(guest: number): Promise<void> {
    await this.request(Op.GuestNmi, [guest]);
  }

  consoleWrite(guest: number, port: number, bytes: Uint8Array): Promise<void> {
    return this.#consoleInput.write(guest, port, bytes);
  }

  close(): Promise<void> {
    return this.#session.close();
  }

  async #guestRead(guest: number, address: number, length: number): Promise<Uint8Array> {
    const bytes = (await this.request(Op.GuestRead, [guest, address, length])).bytes(0);
    if (bytes.length !== length) {
      throw new HvkitError("E_LINK_MESSAGE", `The hypervisor sent ${bytes.length} bytes of guest memory where ${length} were asked for.`);
    }
    return bytes;
  }

  get #xsave(): boolean {
    return (this.hello.features & Feature.Xsave) !== 0;
  }

  /** Time for a request whose work grows with its bytes. */
  #patience(bytes: number): RequestOptions {
    return { timeoutMs: this.#session.timeoutMs + Math.min(bytes / SLOWEST_BYTES_PER_MS, MOST_MS) };
  }

  #event(message: Message): void {
    const guest = message.second;
    if (message.first === Event.GuestState) this.#session.emit("guestState", guest, message.number(0));
    else if (message.first === Event.GuestStopped) {
      this.#session.emit("guestStopped", guest, message.number(GuestStoppedWords.Stop), message.word(GuestStoppedWords.Rip));
    } else if (message.first === Event.GuestEnded) {
      const reason = message.number(GuestEndedWords.Reason) as EndReason;
      const [value, rip] = [message.word(GuestEndedWords.Value), message.word(GuestEndedWords.Rip)];
      const failed = failedOf(message.number(GuestEndedWords.Failure));
      const failure = failed && { ...failed, value: message.word(GuestEndedWords.FieldValue) };
      this.#session.emit("guestEnded", guest, reason, value, rip, failure);
    } else if (message.first === Event.ConsoleLost) {
      this.#session.emit("consoleLost", guest, message.number(0), message.number(1));
    } else if (message.first === Event.ConsoleInputLost && !this.#consoleInput.dropped(guest, message.number(0), message.number(1))) {
      this.#session.emit("consoleInputLost", guest, message.number(0), message.number(1));
    }
  }
}

function decodeHello(reply: Message): HelloInfo {
  return {
    version: reply.number(HelloReply.Version),
    vendor: reply.number(HelloReply.Vendor),
    cpus: reply.number(HelloReply.Cpus),
    memoryBytes: reply.number(HelloReply.MemoryBytes),
    tscKhz: reply.number(HelloReply.TscKhz),
    readyTsc: reply.word(HelloReply.ReadyTsc),
    storeSectors: reply.number(HelloReply.StoreSectors),
    features: reply.number(HelloReply.Features),
    identity: Buffer.from(reply.bytes(HelloReply.Words)).toString("latin1"),
  };
}
