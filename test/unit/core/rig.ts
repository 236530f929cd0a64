// Core on a mock host, with an honest peer at the other end of the line and the scheduler loop of hv/asm in between.
import { Channel, FrameType } from "../../../protocol/link.js";
import type { Op } from "../../../protocol/messages.js";
import { Status } from "../../../protocol/messages.js";
import { data, decodeAll, encode, type Frame, message, sync } from "./codec.js";
import { Host, type HostOptions, NEVER } from "./host.js";
import { coreModule } from "./wasm.js";

interface Core {
  memory: WebAssembly.Memory;
  init(): void;
  poll(idle: number): number;
}

export interface Reply {
  status: Status;
  words: bigint[];
  bytes: Buffer;
}

export interface News {
  event: number;
  guest: number;
  words: bigint[];
}

/** Nanoseconds that the loop takes for a turn. */
export const TURN = 10_000n;
export const EPOCH = 0xabcd;

export class Rig {
  readonly host: Host;
  readonly core: Core;
  /** frames from core, oldest first, for tests that look at each */
  frames: Frame[] = [];
  /** the peer's end */
  seq = 0;
  expected = 0;
  /** the highest of our frames that core has acknowledged, plus one */
  acked = 0;
  /** answers data with an acknowledgement by itself */
  acks = true;
  replies = new Map<number, Reply>();
  news: News[] = [];
  console: { guest: number; port: number; text: string }[] = [];
  /** out of the way of ids that tests choose */
  #nextId = 1_000_000;

  constructor(options: HostOptions = {}) {
    this.host = new Host(options);
    this.core = new WebAssembly.Instance(coreModule, this.host.imports()).exports as unknown as Core;
    this.host.memory = this.core.memory;
    this.core.init();
  }

  /** With a session, ready for requests; by default with all memory scrubbed. */
  static open(options: HostOptions & { scrubbed?: boolean } = {}): Rig {
    const rig = new Rig(options);
    rig.synchronize();
    if (options.scrubbed !== false) rig.settle();
    return rig;
  }

  synchronize(epoch = EPOCH): void {
    this.give(sync(FrameType.Sync, epoch));
    this.seq = this.expected = this.acked = 0;
    this.poll();
    this.frames = [];
  }

  give(bytes: readonly number[]): void {
    this.host.toCore.push(...bytes);
  }

  /** One call of poll; what core wrote goes to the peer, what the peer answers waits for the next. */
  poll(idle = 0): number {
    const more = this.core.poll(idle);
    this.host.clock += TURN;
    this.take();
    return more;
  }

  take(): void {
    if (this.host.stalled) return;
    let owed = false;
    for (const frame of decodeAll(this.host.fromCore.splice(0))) {
      this.frames.push(frame);
      if (frame.type === FrameType.Sync || frame.type === FrameType.SyncAck) continue;
      this.acked = frame.ack;
      if (frame.type !== FrameType.Data) continue;
      owed = true;
      if (frame.seq !== this.expected) continue;
      this.expected = (this.expected + 1) & 255;
      this.#message(frame);
    }
    if (owed && this.acks) this.acknowledge();
  }

  acknowledge(): void {
    this.give(encode({ type: FrameType.Ack, seq: 0, ack: this.expected, channel: 0, payload: new Uint8Array() }));
  }

  /** The scheduler loop, until nothing is left to do now; a deadline that lies ahead is waited for only with `wait`. */
  settle({ turns = 200_000, wait = false } = {}): void {
    for (let turn = 0; turn < turns; turn++) {
      if (this.host.toCore.length > 0 || this.host.timer <= this.host.clock) this.poll(0);
      else if (this.poll(1) === 0 && this.host.toCore.length === 0) {
        if (this.host.timer > this.host.clock && (!wait || this.host.timer === NEVER)) return;
        if (this.host.timer > this.host.clock) this.host.clock = this.host.timer;
      }
    }
    throw new Error(`core still has work after ${turns} turns`);
  }

  send(channel: Channel, payload: Uint8Array): void {
    this.give(data(this.seq, this.expected, channel, payload));
    this.seq = (this.seq + 1) & 255;
  }

  /** Sends a request without waiting for it: its id. */
  post(op: Op | number, words: readonly (number | bigint)[] = [], bytes?: Uint8Array): number {
    const id = this.#nextId++;
    this.send(Channel.Request, message(id, op, words, bytes));
    return id;
  }

  /** Sends a request, runs the loop until its reply is there. */
  call(op: Op | number, words: readonly (number | bigint)[] = [], bytes?: Uint8Array): Reply {
    const id = this.post(op, words, bytes);
    for (let turn = 0; turn < 100_000; turn++) {
      const reply = this.replies.get(id);
      if (reply) return reply;
      this.poll(this.host.toCore.length === 0 ? 1 : 0);
    }
    throw new Error(`no reply to operation ${op}`);
  }

  /** The words of a reply that must be Ok. */
  ok(op: Op | number, words: readonly (number | bigint)[] = [], bytes?: Uint8Array): Reply {
    const reply = this.call(op, words, bytes);
    if (reply.status !== Status.Ok) throw new Error(`operation ${op}: ${Status[reply.status]} ${reply.words.join(" ")}`);
    return reply;
  }

  #message({ channel, payload }: Frame): void {
    const bytes = Buffer.from(payload);
    const first = bytes.readUInt32LE(0);
    const second = bytes.readUInt32LE(4);
    const rest = bytes.subarray(8);
    const words = Array.from({ length: Math.floor(rest.length / 8) }, (_, index) => rest.readBigUInt64LE(8 * index));
    if (channel === Channel.Reply) {
      if (this.replies.has(first)) throw new Error(`two replies to request ${first}`);
      this.replies.set(first, { status: second, words, bytes: rest });
    } else if (channel === Channel.Event) this.news.push({ event: first, guest: second, words });
    else if (channel === Channel.Console) this.console.push({ guest: first, port: second, text: rest.toString("latin1") });
    else throw new Error(`core sends on channel ${channel}`);
  }

  /** All that a guest's port said. */
  said(guest: number, port = 0): string {
    return this.console.filter((each) => each.guest === guest && each.port === port).reduce((text, each) => text + each.text, "");
  }
}
