// hv/asm as core sees it (hv/core/host.ts), in TypeScript: serial rings, clock, frames, guests, store disk. It checks as the real one does,
// can be told to refuse, and throws at what core must never do.

import { EndReason, GuestLimit, GuestPart, GuestStatReply, RunState, Status } from "../../../protocol/messages.js";
import { ModuleFault, ModuleLimit, ModuleWord } from "../../../protocol/module.js";
import { ExitReason } from "../../../protocol/state.js";
import { crc32c } from "./codec.js";
import { FrameState, HostFact, Reserve } from "./facts.js";
import { BLOCK, BLOCK_FRAMES, FRAME, Physical } from "./physical.js";
import { Tracing } from "./tracing.js";

export const NEVER = 0xffff_ffff_ffff_ffffn;
export const POOL_FRAMES = 31;
export const CLONE_FRAMES = 9;
const NO_FRAME = 0xffff_ffff;
const INPUT_RING = 1024;

export interface Guest {
  slot: number;
  frame: number;
  affinity: number;
  pool: number[];
  /** physical block of each 2 MiB of RAM */
  ram: number[];
  made: boolean;
  state: RunState;
  before: RunState;
  reason: EndReason;
  value: bigint;
  changed: boolean;
  wallSeconds: bigint;
  cpuModel: number;
  tscKhz: number;
  /** by GuestPart: what can be read and written */
  parts: Uint8Array[];
  registers: Map<number, bigint>;
  /** by SvmField */
  vcb: bigint[];
  debug: { flags: number; registers: bigint[] } | undefined;
  /** DebugStop bits that core has not seen */
  stop: number;
  restored: { halted: number; events: number; clock: bigint; tsc: bigint } | undefined;
  output: number[][];
  input: number[][];
  lost: number[];
  nmis: number;
  boots: { kind: number; block: bigint; bytes: number }[];
  /** of each guestResume: whether guest time had passed, and how far behind the clocks were */
  resumes: [passed: number, behindNs: bigint][];
  exits: bigint[];
  generation: bigint;
  entropy: Uint8Array;
  /** frames that were copied for it */
  copied: number[];
}

export interface HostOptions {
  memoryMiB?: number;
  hostFrames?: number;
  holes?: [from: number, to: number][];
  storeSectors?: number;
  /** the line is output only */
  scripted?: boolean;
  ringBytes?: number;
  epoch?: number;
}

export class ShutDown extends Error {}

export class Host {
  readonly physical: Physical;
  readonly guests = new Map<number, Guest>();
  readonly tracing: Tracing;
  readonly store: Uint8Array;
  /** frames that are set aside */
  readonly reserve: number[] = [];
  generations = 0n;
  readonly facts = new Map<number, bigint>();
  /** imports that refuse, by name; after how many more calls */
  readonly refuse = new Map<string, number>();
  /** Machine modules: each place's words, what was asked for, and what the next answers are. */
  readonly modules = {
    words: Array.from({ length: ModuleLimit.Slots }, (_, slot) =>
      Array.from({ length: ModuleWord.Count }, (_, word) => BigInt(100 * slot + word)),
    ),
    loads: [] as number[][],
    swaps: [] as number[][],
    used: 0,
    fault: ModuleFault.None as ModuleFault,
    status: Status.Ok as Status,
  };
  readonly calls = new Map<string, number>();
  memory = new WebAssembly.Memory({ initial: 0 });
  clock = 1_000_000n;
  timer = NEVER;
  toCore: number[] = [];
  fromCore: number[] = [];
  ringBytes: number;
  /** the ring is not drained */
  stalled = false;
  bootStatus: number = Status.Ok;
  bootValue = 0n;
  /** the machine traps in init or boot */
  trap: EndReason = EndReason.None;
  storeStatus = 0;
  /** nanoseconds that each store call takes, and each scrub */
  cost = 0n;
  scrubCost = 0n;
  stopped = false;
  /** what guests do on other CPUs while core is at work: called once, after the next bytes of a console are taken */
  meanwhile: (() => void) | undefined;

  constructor({
    memoryMiB = 64,
    hostFrames,
    holes,
    storeSectors = 0,
    ringBytes = 16384,
    scripted = false,
    epoch = 0xfeed,
  }: HostOptions = {}) {
    this.physical = new Physical(memoryMiB * 256, { hostFrames, holes });
    this.tracing = new Tracing(this.physical);
    this.store = new Uint8Array(storeSectors * GuestLimit.SectorBytes);
    this.ringBytes = ringBytes;
    const facts: [number, number][] = [
      [HostFact.Vendor, 2],
      [HostFact.Cpus, 0b101],
      [HostFact.TscKhz, 1_000_000],
      [HostFact.ReadyTsc, 123_456],
      [HostFact.StoreSectors, storeSectors],
      [HostFact.Scripted, scripted ? 1 : 0],
      [HostFact.Features, 5],
      [HostFact.Frames, this.physical.state.length],
      [HostFact.Epoch, epoch],
      [HostFact.IdleNs, 77],
      [HostFact.SerialOverruns, 3],
      [HostFact.PoolFrames, POOL_FRAMES],
      [HostFact.CloneFrames, CLONE_FRAMES],
    ];
    for (const [fact, value] of facts) this.facts.set(fact, BigInt(value));
  }

  imports(): WebAssembly.Imports {
    const host: Record<string, (...args: never[]) => unknown> = {
      fact: (index: number) => (index === HostFact.Tsc ? this.clock : this.#fact(index)),
      clock: () => this.clock,
      timer: (deadline: bigint) => {
        this.timer = BigInt.asUintN(64, deadline);
      },
      crc32c: (from: number, bytes: number) => crc32c(this.#bytes(from, bytes)) | 0,
      identity: (to: number, max: number) => this.#give(to, max, Buffer.from("hvkit test 1.2.3")),
      shutdown: () => {
        this.stopped = true;
        throw new ShutDown();
      },
      serialRead: (to: number, max: number) => this.#give(to, max, Uint8Array.from(this.toCore.splice(0, max))),
      serialWrite: (from: number, bytes: number) => {
        if (bytes > this.#room()) throw new Error("core writes more than there is room for: half a frame");
        this.fromCore.push(...this.#bytes(from, bytes));
        return bytes;
      },
      serialRoom: () => this.#room(),
      frame: (frame: number) => this.physical.word(frame),
      blockCount: (block: number, state: number) => this.physical.blockCount(block, state),
      frameScrub: (frame: number, count: number) => {
        this.clock += this.scrubCost;
        return this.physical.scrub(frame, count);
      },
      cpuStat: (cpu: number, word: number) => BigInt(100 * cpu + word),
      guestNew: (slot: number, frame: number, affinity: number) => this.#guestNew(slot, frame, affinity),
      guestPool: (slot: number, frame: number) => this.#guestPool(this.guests.get(slot), frame),
      guestRam: (slot: number, block: number, address: bigint) => this.#guestRam(this.guests.get(slot), block, address),
      guestInit: (slot: number, wallSeconds: bigint, cpuModel: number, tscKhz: number) =>
        this.#guestInit(this.guests.get(slot), wallSeconds, cpuModel, tscKhz),
      guestClone: (slot: number, source: number, paused: number, from: number) =>
        this.#guestClone(this.guest(slot), this.guest(source), paused !== 0, this.#bytes(from, GuestLimit.EntropyBytes)),
      reserveGive: (frame: number) => {
        if (this.reserve.length >= Reserve.Most || this.physical.state[frame] !== FrameState.Clean) return false;
        this.physical.state[frame] = FrameState.Reserved;
        this.reserve.push(frame);
        return true;
      },
      reserveBack: () => {
        const frame = this.reserve.pop();
        if (frame !== undefined) this.physical.state[frame] = FrameState.Clean;
        return frame ?? NO_FRAME;
      },
      guestBoot: (slot: number, kind: number, block: bigint, bytes: number) => this.#guestBoot(this.guest(slot), kind, block, bytes),
      guestRun: (slot: number) => this.#guestRun(this.guests.get(slot)),
      guestResume: (slot: number, passed: number, behindNs: bigint) => this.#guestResume(this.guests.get(slot), passed, behindNs),
      guestPause: (slot: number) => this.#guestPause(this.guests.get(slot)),
      guestKill: (slot: number) => this.#guestKill(this.guests.get(slot)),
      guestFree: (slot: number) => this.#guestFree(this.guests.get(slot)),
      guestShed: (slot: number) => this.#guestShed(this.guest(slot)),
      guestNmi: (slot: number) => {
        this.guest(slot).nmis++;
        return true;
      },
      guestEntry: (slot: number, index: number) => BigInt(slot * 1000 + index),
      guestPartRead: (slot: number, part: number, offset: number, to: number, bytes: number) => {
        const place = this.#part(slot, part, offset, bytes);
        if (!place) return false;
        this.#bytes(to, bytes).set(place);
        return true;
      },
      guestPartWrite: (slot: number, part: number, offset: number, from: number, bytes: number) => {
        const place = part <= GuestPart.CpuidNew ? this.#part(slot, part, offset, bytes) : undefined;
        if (!place) return false;
        place.set(this.#bytes(from, bytes));
        return true;
      },
      guestRegisterWrite: (slot: number, field: number, value: bigint) => {
        if (field >>> 0 >= 110) return false;
        this.guest(slot).registers.set(field, BigInt.asUintN(64, value));
        return true;
      },
      guestDebug: (slot: number, flags: number, from: number) => {
        const guest = this.guest(slot);
        if (guest.state !== RunState.Paused) return false;
        const view = new DataView(this.#bytes(from, 40).slice().buffer);
        guest.debug = { flags, registers: Array.from({ length: 5 }, (_, index) => view.getBigUint64(8 * index, true)) };
        return true;
      },
      guestStop: (slot: number) => {
        const { stop } = this.guest(slot);
        this.guest(slot).stop = 0;
        return stop;
      },
      guestRestore: (slot: number, halted: number, events: number, clock: bigint, tsc: bigint) => {
        const guest = this.guest(slot);
        guest.value = this.bootValue;
        if (this.trap !== EndReason.None) {
          this.end(slot, this.trap, 0x77n);
          return Status.Ended;
        }
        if (this.bootStatus !== Status.Ok) return this.bootStatus;
        const restored = { halted, events, clock, tsc };
        Object.assign(guest, { restored, before: RunState.Runnable, state: RunState.Paused, changed: true });
        return Status.Ok;
      },
      guestState: (slot: number) => this.guests.get(slot)?.state ?? RunState.Empty,
      guestReason: (slot: number) => this.guests.get(slot)?.reason ?? 0,
      guestValue: (slot: number) => this.guests.get(slot)?.value ?? 0n,
      guestRegister: (slot: number, field: number) => BigInt(slot * 1000 + field),
      guestVcb: (slot: number, field: number) => this.guests.get(slot)?.vcb[field] ?? 0n,
      guestCpus: (slot: number) => (BigInt(this.guest(slot).affinity) << 32n) | 3n,
      guestStat: (slot: number, index: number) =>
        index === GuestStatReply.TraceModes
          ? BigInt(this.tracing.modes(slot))
          : index === GuestStatReply.Generation
            ? this.guest(slot).generation
            : index === GuestStatReply.CopiedBytes
              ? BigInt(this.guest(slot).copied.length * FRAME)
              : BigInt(slot * 1000 + index),
      guestTrace: (slot: number, modes: number, frame: number) => this.tracing.set(this.guest(slot).slot, modes, frame),
      guestTraced: (slot: number, index: bigint, to: number) => {
        const record = this.tracing.record(slot, BigInt.asUintN(64, index));
        if (record) this.#bytes(to, record.length).set(record);
        return BigInt(this.tracing.counts.get(slot) ?? 0);
      },
      guestExits: (slot: number, reason: number) => this.guest(slot).exits[reason] ?? 0n,
      guestChanged: (from: number) => this.#guestChanged(from),
      guestRead: (slot: number, address: bigint, to: number, bytes: number) => this.#copy(slot, address, to, bytes, true),
      guestWrite: (slot: number, address: bigint, from: number, bytes: number) => this.#copy(slot, address, from, bytes, false),
      guestNested: (slot: number, address: bigint, level: number) => this.#nested(this.guest(slot), address, level),
      guestStripes: (slot: number, address: bigint, stripes: number, lanes: number) => this.#stripes(slot, address, stripes, lanes),
      storeRead: (sector: bigint, count: number, slot: number, address: bigint) => this.#transfer(sector, count, slot, address, true),
      storeWrite: (sector: bigint, count: number, slot: number, address: bigint) => this.#transfer(sector, count, slot, address, false),
      consoleTake: (slot: number, port: number, to: number, max: number) => {
        const taken = this.#give(to, max, Uint8Array.from(this.#port(this.guest(slot).output, port).splice(0, max)));
        const { meanwhile } = this;
        this.meanwhile = undefined;
        meanwhile?.();
        return taken;
      },
      consoleGive: (slot: number, port: number, from: number, bytes: number) => {
        const ring = this.#port(this.guest(slot).input, port);
        const taken = this.#bytes(from, bytes).slice(0, INPUT_RING - ring.length);
        ring.push(...taken);
        return taken.length;
      },
      consoleLost: (slot: number, port: number) => {
        const { lost } = this.guest(slot);
        const count = lost[port] ?? 0;
        lost[port] = 0;
        return count;
      },
      module: (slot: number, word: number) => {
        const value = this.modules.words[slot]?.[word];
        if (value === undefined) throw new Error(`core asks for word ${word} of module ${slot}`);
        return value;
      },
      moduleLoad: (...args: number[]) => {
        this.modules.loads.push(args.map((arg) => arg >>> 0));
        return this.modules.fault;
      },
      moduleUse: (slot: number) => {
        this.modules.used = slot >>> 0;
        return this.modules.fault === ModuleFault.None;
      },
      guestSwap: (...args: number[]) => {
        this.modules.swaps.push(args.map((arg) => arg >>> 0));
        return this.modules.status;
      },
    };
    for (const [name, call] of Object.entries(host)) {
      host[name] = (...args: never[]) => {
        this.calls.set(name, (this.calls.get(name) ?? 0) + 1);
        const left = this.refuse.get(name);
        if (left === undefined) return call(...args);
        if (left === 0) return name === "guestClone" ? 0n : name.startsWith("store") ? -1 : 0;
        this.refuse.set(name, left - 1);
        return call(...args);
      };
    }
    return { host };
  }

  guest(slot: number): Guest {
    const guest = this.guests.get(slot);
    if (!guest) throw new Error(`core names slot ${slot}, which is empty`);
    return guest;
  }

  /** What the guest itself does. */
  print(slot: number, bytes: Uint8Array | string, port = 0): void {
    const guest = this.guest(slot);
    guest.output[port]?.push(...Buffer.from(bytes as Uint8Array));
    guest.changed = true;
  }

  /** For its debugger. */
  stop(slot: number, stop: number): void {
    Object.assign(this.guest(slot), { before: RunState.Runnable, state: RunState.Paused, stop, changed: true });
  }

  end(slot: number, reason: EndReason, value = 0n): void {
    Object.assign(this.guest(slot), { state: RunState.Ended, reason, value, changed: true });
  }

  /** The parts of a range of guest RAM, frame by frame. */
  *#ram(slot: number, address: number, length: number): Generator<{ bytes: Uint8Array; at: number }> {
    for (let at = 0; at < length; ) {
      const offset = (address + at) % FRAME;
      const size = Math.min(FRAME - offset, length - at);
      const block = this.guest(slot).ram[Math.floor((address + at) / BLOCK)];
      const frame = block * BLOCK_FRAMES + Math.floor(((address + at) % BLOCK) / FRAME);
      yield { bytes: this.physical.content(frame).subarray(offset, offset + size), at };
      at += size;
    }
  }

  ramRead(slot: number, address: number, length: number): Uint8Array {
    const data = new Uint8Array(length);
    for (const { bytes, at } of this.#ram(slot, address, length)) data.set(bytes, at);
    return data;
  }

  ramWrite(slot: number, address: number, data: Uint8Array): void {
    for (const { bytes, at } of this.#ram(slot, address, data.length)) bytes.set(data.subarray(at, at + bytes.length));
  }

  #fact(index: number): bigint {
    if (index === HostFact.Reserve) return BigInt(this.reserve.length);
    const value = this.facts.get(index);
    if (value === undefined) throw new Error(`core asks for fact ${index}`);
    return value;
  }

  #room(): number {
    return this.ringBytes - this.fromCore.length;
  }

  /** Core's memory; hv/asm refuses what does not lie in it, and core must not ask. */
  #bytes(at: number, bytes: number): Uint8Array {
    if (at < 0 || bytes < 0 || at + bytes > this.memory.buffer.byteLength) throw new Error(`core names ${at}+${bytes} in its memory`);
    return new Uint8Array(this.memory.buffer, at, bytes);
  }

  #give(to: number, max: number, data: Uint8Array): number {
    const given = data.subarray(0, max);
    this.#bytes(to, max).set(given);
    return given.length;
  }

  #port(rings: number[][], port: number): number[] {
    const ring = rings[port];
    if (!ring) throw new Error(`core names UART ${port}`);
    return ring;
  }

  #guestNew(slot: number, frame: number, affinity: number): boolean {
    if (slot >= GuestLimit.Slots || this.guests.has(slot) || !this.physical.claim(frame, 1, slot)) return false;
    this.guests.set(slot, {
      slot,
      frame,
      affinity,
      pool: [],
      ram: [],
      made: false,
      state: RunState.Created,
      before: RunState.Created,
      reason: EndReason.None,
      value: 0n,
      changed: false,
      wallSeconds: 0n,
      cpuModel: 0,
      tscKhz: 0,
      parts: Array.from({ length: GuestPart.Count }, (_, part) => new Uint8Array(1000).fill(part + 1)),
      registers: new Map(),
      vcb: [],
      restored: undefined,
      debug: undefined,
      stop: 0,
      output: [[], []],
      input: [[], []],
      lost: [0, 0],
      nmis: 0,
      boots: [],
      resumes: [],
      exits: Array.from({ length: ExitReason.Count }, () => 0n),
      generation: 0n,
      entropy: new Uint8Array(),
      copied: [],
    });
    return true;
  }

  /** Three levels, as the real one's: 2 MiB blocks of RAM, and nothing behind the last. */
  #nested({ slot, ram }: Guest, address: bigint, level: number): bigint {
    if (level === 4) return BigInt(slot + 1) << 20n;
    const block = ram[Math.floor(Number(address) / BLOCK)];
    if (level === 1) return block === undefined ? 0n : BigInt(block * BLOCK) | 0x87n;
    if (level === 0) throw new Error("core asks on below a page");
    return (BigInt(level) << 12n) | 0x07n;
  }

  #guestPool(guest: Guest | undefined, frame: number): boolean {
    if (!guest || guest.made || !this.physical.claim(frame, 1, guest.slot)) return false;
    guest.pool.push(frame);
    return true;
  }

  #guestRam(guest: Guest | undefined, block: number, address: bigint): boolean {
    if (!guest || guest.made || address !== BigInt(guest.ram.length * BLOCK)) return false;
    if (!this.physical.claim(block * BLOCK_FRAMES, BLOCK_FRAMES, guest.slot)) return false;
    guest.ram.push(block);
    return true;
  }

  #guestInit(guest: Guest | undefined, wallSeconds: bigint, cpuModel: number, tscKhz: number): boolean {
    if (!guest || guest.made || guest.ram.length === 0 || guest.pool.length < POOL_FRAMES + Math.ceil(guest.ram.length / 512)) return false;
    guest.made = true;
    Object.assign(guest, { wallSeconds, cpuModel, tscKhz });
    if (this.trap === EndReason.None) return true;
    this.end(guest.slot, this.trap, 0x66n);
    return false;
  }

  /** The copy has the source's blocks; who writes to them is not looked at here. */
  #guestClone(clone: Guest, source: Guest, paused: boolean, entropy: Uint8Array): bigint {
    const pool = CLONE_FRAMES + 2 * Math.ceil(source.ram.length / 512);
    const goesOn = [RunState.Runnable, RunState.Halted, RunState.Paused].includes(source.state);
    if (clone.made || clone.ram.length > 0 || clone.pool.length < pool || !source.made || !goesOn) return 0n;
    const before = source.state === RunState.Paused ? source.before : source.state;
    const state = paused ? RunState.Paused : before;
    this.generations++;
    Object.assign(clone, { made: true, ram: [...source.ram], before, state, changed: true });
    Object.assign(clone, { generation: this.generations, entropy: entropy.slice() });
    return 1234n;
  }

  #part(slot: number, part: number, offset: number, bytes: number): Uint8Array | undefined {
    const place = this.guest(slot).parts[part >>> 0];
    return place && (offset >>> 0) + bytes <= place.length ? place.subarray(offset >>> 0, (offset >>> 0) + bytes) : undefined;
  }

  #guestBoot(guest: Guest, kind: number, block: bigint, bytes: number): number {
    guest.boots.push({ kind, block, bytes });
    guest.value = this.bootValue;
    if (this.trap === EndReason.None) return this.bootStatus;
    this.end(guest.slot, this.trap, 0x77n);
    return Status.Ended;
  }

  #guestRun(guest: Guest | undefined): boolean {
    if (guest?.state !== RunState.Created) return false;
    Object.assign(guest, { state: RunState.Runnable, changed: true });
    return true;
  }

  #guestResume(guest: Guest | undefined, passed: number, behindNs: bigint): boolean {
    if (guest?.state !== RunState.Paused) return false;
    Object.assign(guest, { state: guest.before, changed: true });
    guest.resumes.push([passed, BigInt.asUintN(64, behindNs)]);
    return true;
  }

  #guestPause(guest: Guest | undefined): boolean {
    if (guest?.state !== RunState.Runnable && guest?.state !== RunState.Halted) return false;
    Object.assign(guest, { before: guest.state, state: RunState.Paused, changed: true });
    return true;
  }

  #guestKill(guest: Guest | undefined): boolean {
    if (!guest || guest.state === RunState.Ended) return false;
    this.end(guest.slot, EndReason.Killed);
    return true;
  }

  #guestFree(guest: Guest | undefined): boolean {
    if (!guest || (guest.state !== RunState.Created && guest.state !== RunState.Ended)) return false;
    for (const frame of [guest.frame, ...guest.pool]) this.physical.release(frame, 1);
    this.tracing.free(guest.slot);
    this.guests.delete(guest.slot);
    this.#ramFree(guest);
    return true;
  }

  #guestShed(guest: Guest): boolean {
    if (guest.state === RunState.Created) return false;
    if (guest.state !== RunState.Ended) this.end(guest.slot, EndReason.OutOfMemory);
    this.#ramFree(guest);
    return true;
  }

  /** What a copy has, too, stays. */
  #ramFree(guest: Guest): void {
    const blocks = guest.ram.splice(0);
    for (const frame of guest.copied.splice(0)) this.physical.release(frame, 1);
    const others = [...this.guests.values()];
    for (const block of blocks) {
      if (!others.some(({ ram }) => ram.includes(block))) this.physical.release(block * BLOCK_FRAMES, BLOCK_FRAMES);
    }
  }

  /** The guest writes to so many pages that it shares: how many were copied before it must wait for core. */
  write(slot: number, pages: number): number {
    const frames = this.reserve.splice(0, Math.min(pages, Math.max(0, this.reserve.length - Reserve.Floor)));
    for (const frame of frames) {
      this.physical.state[frame] = FrameState.Owned;
      this.physical.owner[frame] = slot;
    }
    this.guest(slot).copied.push(...frames);
    return frames.length;
  }

  #guestChanged(from: number): number {
    const slots = [...this.guests.values()].filter(
      ({ slot, changed, output }) => slot >= from && (changed || output.some(({ length }) => length > 0)),
    );
    const first = slots.sort((a, b) => a.slot - b.slot)[0];
    if (!first) return -1;
    first.changed = false;
    return first.slot;
  }

  #inside(slot: number, address: bigint, bytes: number): boolean {
    return BigInt.asUintN(64, address) + BigInt(bytes) <= BigInt(this.guest(slot).ram.length * BLOCK);
  }

  #copy(slot: number, address: bigint, at: number, bytes: number, out: boolean): boolean {
    if (!this.#inside(slot, address, bytes)) throw new Error(`core goes outside guest RAM: ${address}+${bytes}`);
    const core = this.#bytes(at, bytes);
    if (out) core.set(this.ramRead(slot, Number(address), bytes));
    else this.ramWrite(slot, Number(address), core);
    return true;
  }

  /** XXH64's rounds, as the specification has them. */
  #stripes(slot: number, address: bigint, stripes: number, lanes: number): boolean {
    if (!this.#inside(slot, address, stripes * 32)) throw new Error(`core goes outside guest RAM: ${address}+${stripes * 32}`);
    const at = this.#bytes(lanes, 32);
    const view = new DataView(at.buffer, at.byteOffset, 32);
    const ram = this.ramRead(slot, Number(address), stripes * 32);
    const words = new DataView(ram.buffer, ram.byteOffset, ram.length);
    for (let lane = 0; lane < 4; lane++) {
      let value = view.getBigUint64(8 * lane, true);
      for (let stripe = 0; stripe < stripes; stripe++) {
        value = BigInt.asUintN(64, value + words.getBigUint64(32 * stripe + 8 * lane, true) * 0xc2b2ae3d27d4eb4fn);
        value = BigInt.asUintN(64, ((value << 31n) | (value >> 33n)) * 0x9e3779b185ebca87n);
      }
      view.setBigUint64(8 * lane, value, true);
    }
    return true;
  }

  #transfer(sector: bigint, count: number, slot: number, address: bigint, load: boolean): number {
    this.clock += this.cost;
    const from = Number(sector) * GuestLimit.SectorBytes;
    const bytes = count * GuestLimit.SectorBytes;
    if (count < 1 || count > 128 || from + bytes > this.store.length) throw new Error(`core names sectors ${sector}+${count}`);
    if (!this.#inside(slot, address, bytes)) throw new Error(`core goes outside guest RAM: ${address}+${bytes}`);
    if (this.storeStatus !== 0) return this.storeStatus;
    if (load) this.ramWrite(slot, Number(address), this.store.subarray(from, from + bytes));
    else this.store.set(this.ramRead(slot, Number(address), bytes), from);
    return 0;
  }

  /** Free frames, clean or not. */
  get freeFrames(): number {
    return this.physical.count(FrameState.Clean) + this.physical.count(FrameState.Dirty) + this.reserve.length;
  }
}
