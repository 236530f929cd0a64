// A hypervisor for the tests of the client: the other end of the line, guests that are byte arrays, and an engine around it.
import type { RunningEngine, Store } from "../../../control/src/engines/engine.js";
import { encodeMessage, Message } from "../../../control/src/hypervisor/codec.js";
import { digestOf } from "../../../control/src/hypervisor/digest.js";
import { Link } from "../../../control/src/link/link.js";
import type { MemoryWindow } from "../../../control/src/native/window.js";
import { type Fault, MockTransport } from "../../../control/src/transport/mock.js";
import { Channel, Link as Limit } from "../../../protocol/link.js";
import { BulkWords, Event, HelloReply, Op, Status, Vendor } from "../../../protocol/messages.js";

export interface FakeOptions {
  window?: boolean;
  store?: boolean;
  /** the version that Hello and Sync tell */
  version?: number;
  faults?: [Fault, Fault];
  /** answers an operation in place of the fake's own way; undefined: no answer at all */
  answer?: Partial<Record<Op, (message: Message) => Answer | undefined>>;
}

export interface Answer {
  status?: Status;
  words?: (bigint | number)[];
  bytes?: Uint8Array;
}

const RAM_BYTES = 64 * 1024;
/** Host-physical address of guest RAM's second half; the first half lies below, in a piece of its own. */
const RUNS = [
  { guestPhysical: 0, hostPhysical: 0x200000, bytes: RAM_BYTES / 2 },
  { guestPhysical: RAM_BYTES / 2, hostPhysical: 0x80000, bytes: RAM_BYTES / 2 },
];

export class FakeHypervisor implements RunningEngine {
  readonly name = "qemu";
  readonly accel = "tcg";
  readonly pid = 1;
  readonly command = ["fake"];
  readonly transport: MockTransport;
  readonly memory?: MemoryWindow;
  readonly store?: Store;
  /** the hypervisor's end of the line */
  readonly line: MockTransport;
  readonly link: Link;
  readonly ram = new Uint8Array(RAM_BYTES);
  readonly disk = new Uint8Array(32 * 512);
  /** operations in the order in which they came */
  readonly ops: Op[] = [];
  /** that came on the bulk channel */
  bulkBytes = 0;
  /** console input that came, and how many bytes of the next ones there is room for */
  input = Buffer.alloc(0);
  room = Number.POSITIVE_INFINITY;
  readonly #options: FakeOptions;
  readonly #exitListeners: ((code: number | null, signal: string | null) => void)[] = [];
  #turn = Promise.resolve();

  constructor(options: FakeOptions = {}) {
    this.#options = options;
    [this.transport, this.line] = MockTransport.pair(...(options.faults ?? []));
    if (options.window) this.memory = this.#window();
    if (options.store) this.store = this.#store();
    this.link = new Link(this.line, { retransmitMs: 10, maxRetransmitMs: 20, syncMs: 10 });
    this.link.on("message", (channel, payload) => {
      const message = new Message(payload.slice());
      if (channel === Channel.Request) this.#turn = this.#turn.then(() => this.#request(message));
      else if (channel === Channel.Bulk) this.#bulk(message);
      else this.#console(message);
    });
  }

  boot(): this {
    void this.link.open().catch(() => undefined);
    return this;
  }

  text(lines: string): void {
    this.line.write(Buffer.from(`\0${lines}\0`));
  }

  event(event: Event, guest: number, ...words: (bigint | number)[]): void {
    void this.link.send(Channel.Event, encodeMessage(event, guest, words)).catch(() => undefined);
  }

  say(guest: number, port: number, text: string): void {
    void this.link.send(Channel.Console, encodeMessage(guest, port, [], Buffer.from(text))).catch(() => undefined);
  }

  lastWords(): string {
    return "fake: out of steam";
  }

  onExit(listener: (code: number | null, signal: string | null) => void): void {
    this.#exitListeners.push(listener);
  }

  exit(code: number): void {
    this.line.close();
    setTimeout(() => {
      for (const listener of this.#exitListeners.splice(0)) listener(code, null);
    }, 5);
  }

  async stop(): Promise<void> {
    this.exit(0);
  }

  async #request(message: Message): Promise<void> {
    const op = message.second as Op;
    this.ops.push(op);
    const own = this.#options.answer?.[op];
    const answer = own ? own(message) : await this.#answer(op, message);
    if (!answer) return;
    const reply = encodeMessage(message.first, answer.status ?? Status.Ok, answer.words ?? [], answer.bytes);
    void this.link.send(Channel.Reply, reply).catch(() => undefined);
    if (op === Op.Shutdown) this.exit(1);
  }

  async #answer(op: Op, message: Message): Promise<Answer> {
    const at = (word: number): number => message.number(word);
    switch (op) {
      case Op.Hello: {
        const words = new Array<number>(HelloReply.Words).fill(0);
        words[HelloReply.Version] = this.#options.version ?? Limit.Version;
        words[HelloReply.Vendor] = Vendor.Svm;
        words[HelloReply.StoreSectors] = this.store?.sectors ?? 0;
        return { words, bytes: Buffer.from("hvkit fake") };
      }
      case Op.Ping:
        return { bytes: message.bytes(0) };
      case Op.GuestCreate:
        return { words: [3, RUNS.length, 99, ...RUNS.flatMap((run) => [run.guestPhysical, run.hostPhysical, run.bytes])] };
      case Op.GuestWrite:
        this.ram.set(message.bytes(2), at(1));
        return {};
      case Op.GuestRead:
        return { bytes: this.ram.slice(at(1), at(1) + at(2)) };
      case Op.GuestLoad:
        this.ram.set(this.disk.subarray(at(2) * 512, at(2) * 512 + at(3)), at(1));
        return {};
      case Op.GuestSave:
        this.disk.set(this.ram.subarray(at(1), at(1) + at(3)), at(2) * 512);
        return {};
      case Op.GuestDigest:
        return { words: [await digestOf(this.ram.slice(at(1), at(1) + at(2)))] };
      case Op.GuestDestroy:
      case Op.ModuleUse:
      case Op.Shutdown:
        return {};
      default:
        return { status: Status.UnknownOp, words: [op] };
    }
  }

  #bulk(message: Message): void {
    const bytes = message.bytes(BulkWords.Words);
    this.bulkBytes += bytes.length;
    this.ram.set(bytes, message.number(BulkWords.Address));
  }

  #console(message: Message): void {
    const bytes = message.bytes(0);
    const taken = Math.min(bytes.length, this.room);
    this.room -= taken;
    this.input = Buffer.concat([this.input, bytes.subarray(0, taken)]);
    if (taken < bytes.length) this.event(Event.ConsoleInputLost, message.first, message.second, bytes.length - taken);
  }

  #window(): MemoryWindow {
    const place = (physical: number): number => {
      const run = RUNS.find((each) => physical >= each.hostPhysical && physical < each.hostPhysical + each.bytes);
      if (!run) throw new Error(`outside: ${physical}`);
      return run.guestPhysical + physical - run.hostPhysical;
    };
    return {
      write: (physical, bytes) => this.ram.set(bytes, place(physical)),
      read: (physical, length, into = new Uint8Array(length)) => {
        into.set(this.ram.subarray(place(physical), place(physical) + length));
        return into;
      },
      close: () => undefined,
    };
  }

  #store(): Store {
    return {
      sectors: this.disk.length / 512,
      write: async (sector, bytes) => this.disk.set(bytes, sector * 512),
      read: async (sector, length) => this.disk.slice(sector * 512, sector * 512 + length),
    };
  }
}
