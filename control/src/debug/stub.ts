// One gdb's session with a stopped or running guest: the packets of its remote protocol (gdb manual, appendix E), in order, one reply each. The
// guest stands but between a resume and its stop; gdb waits then, and sends ^C at most. Below server.ts, which owns the connection.

import { Register } from "../../../protocol/state.js";
import { HvkitError } from "../errors.js";
import { type Breakpoint, BreakpointType } from "./breakpoints.js";
import {
  type Action,
  parseActions,
  parseArea,
  parseAssignment,
  parseBinaryWrite,
  parseBreakpoint,
  parseTransfer,
  parseWrite,
} from "./commands.js";
import { Cpu } from "./cpu.js";
import { targetDescription } from "./description.js";
import { encodePacket, PACKET_SIZE, PacketReader } from "./packet.js";
import { type RegisterInfo, readRegister, registerTable, writeRegister } from "./registers.js";
import { Runner, type Stopped } from "./runner.js";
import type { Target } from "./target.js";

/** What `monitor COMMAND` does: the text for the user. */
export type Monitor = (command: string, cpu: Cpu) => Promise<string>;

export interface StubOptions {
  send: (bytes: Uint8Array) => void;
  monitor: Monitor;
  /** gdb has detached or ended the session: the connection may close */
  done: () => void;
  /** `kill` */
  kill: () => Promise<void>;
}

const OK = "OK";
/** errno-like, as gdb prints them */
const EFAULT = "E0e";
const EINVAL = "E16";
const ESRCH = "E03";
const EBUSY = "E10";
const MOST_READ = (PACKET_SIZE - 16) / 2;
const FEATURES = [
  `PacketSize=${PACKET_SIZE.toString(16)}`,
  "QStartNoAckMode+",
  "qXfer:features:read+",
  "vContSupported+",
  "swbreak+",
  "hwbreak+",
].join(";");
const SIGNAL = { interrupt: "02", trap: "05" };
const WATCH: Partial<Record<BreakpointType, string>> = {
  [BreakpointType.Write]: "watch",
  [BreakpointType.Read]: "rwatch",
  [BreakpointType.Access]: "awatch",
};

export class Stub {
  readonly #cpu: Cpu;
  readonly #runner: Runner;
  readonly #table: RegisterInfo[];
  readonly #description: Buffer;
  readonly #reader = new PacketReader();
  #work: Promise<void> = Promise.resolve();
  #acknowledge = true;
  #last: Buffer = Buffer.alloc(0);
  #physical = false;
  #lastStop = `S${SIGNAL.trap}`;
  /** the reply to whatever would let a guest run that is gone */
  #ended: string | undefined;

  constructor(
    private readonly target: Target,
    private readonly options: StubOptions,
  ) {
    this.#cpu = new Cpu(target);
    this.#runner = new Runner(target, this.#cpu);
    this.#table = registerTable(target);
    this.#description = Buffer.from(targetDescription(this.#table));
    target.events = {
      stop: (stop) => this.#runner.stopped(stop),
      end: (why, exitCode) => this.#end(why, exitCode),
    };
  }

  /** Bytes from gdb. */
  receive(bytes: Uint8Array): void {
    for (const received of this.#reader.feed(bytes)) {
      switch (received.kind) {
        case "packet":
          if (this.#acknowledge) this.options.send(Buffer.from("+"));
          this.#then(received.data);
          break;
        case "invalid":
          if (this.#acknowledge) this.options.send(Buffer.from("-"));
          break;
        case "refused":
          if (this.#acknowledge && this.#last.length > 0) this.options.send(this.#last);
          break;
        case "interrupt":
          if (this.#runner.running) void this.target.pause().catch((error: unknown) => this.#say(error));
          break;
        default:
      }
    }
  }

  /** Packets wait for those before them, but not for a guest that runs. */
  #then(data: Buffer): void {
    this.#work = this.#work.then(async () => {
      const reply = await this.#answer(data).catch((error: unknown) => errorReply(error));
      if (reply !== undefined) this.#send(reply);
      if (data[0] === 0x44 || data[0] === 0x6b) this.options.done();
    });
  }

  /** Undefined: the guest runs, and its stop is the reply. An empty reply: not known here. */
  async #answer(data: Buffer): Promise<string | Buffer | undefined> {
    const text = data.toString("latin1");
    const rest = text.slice(1);
    if (this.#runner.running && !["k", "?"].includes(text)) return EBUSY;
    if (this.#ended !== undefined) return /^(?:[csCS?]|vCont;)/.test(text) ? this.#ended : /^[DkHqQv]/.test(text) ? OK : ESRCH;
    switch (text[0]) {
      case "?":
        return this.#lastStop;
      case "g":
        return (await Promise.all(this.#table.map((info) => readRegister(this.#cpu, info)))).map((value) => value.toString("hex")).join("");
      case "G":
        return this.#writeAll(rest);
      case "p":
        return this.#readOne(rest);
      case "P":
        return this.#writeOne(rest);
      case "m":
        return this.#readMemory(rest);
      case "M":
        return this.#writeMemory(parseWrite(rest));
      case "X":
        return this.#writeMemory(parseBinaryWrite(data.subarray(1)));
      case "Z":
      case "z":
        return this.#breakpoint(rest, text[0] === "Z");
      case "c":
      case "s":
        return this.#resumeAt(text[0] === "c" ? "continue" : "step", rest);
      case "C":
      case "S":
        return this.#resume(text[0] === "C" ? "continue" : "step");
      case "v":
        return this.#verbose(rest);
      case "q":
        return this.#query(rest);
      case "Q":
        return this.#set(rest);
      case "H":
      case "T":
        return OK;
      case "D":
        await this.target.detach();
        return OK;
      case "k":
        await this.options.kill();
        return undefined;
      default:
        return "";
    }
  }

  async #verbose(text: string): Promise<string | undefined> {
    if (text === "Cont?") return "vCont;c;C;s;S;t";
    if (text.startsWith("Kill")) {
      await this.options.kill();
      return OK;
    }
    if (!text.startsWith("Cont")) return "";
    const action = parseActions(text.slice("Cont".length));
    return action ? this.#resume(action) : EINVAL;
  }

  async #query(text: string): Promise<string | Buffer> {
    const [name = ""] = /^[^:,;]*/.exec(text) ?? [];
    switch (name) {
      case "Supported":
        return FEATURES;
      case "C":
        return "QC1";
      case "fThreadInfo":
        return "m1";
      case "sThreadInfo":
        return "l";
      case "ThreadExtraInfo":
        return Buffer.from(this.target.name).toString("hex");
      case "Attached":
        return "1";
      case "qemu.PhyMemMode":
        return this.#physical ? "1" : "0";
      case "Xfer":
        return this.#transfer(text);
      case "Rcmd":
        return this.#monitor(text.slice("Rcmd,".length));
      default:
        return "";
    }
  }

  #set(text: string): string {
    if (text === "StartNoAckMode") {
      // The reply to this one is the last that is acknowledged; gdb's + may come later, and is passed over.
      this.#acknowledge = false;
      return OK;
    }
    const [, mode] = /^qemu\.PhyMemMode:([01])$/.exec(text) ?? [];
    if (mode === undefined) return "";
    this.#physical = mode === "1";
    return OK;
  }

  #transfer(text: string): string | Buffer {
    const [, rest] = /^Xfer:features:read:(.*)$/.exec(text) ?? [];
    if (rest === undefined) return "";
    const wanted = parseTransfer(rest);
    if (wanted?.annex !== "target.xml") return "E00";
    const size = Math.min(wanted.length, MOST_READ);
    const part = this.#description.subarray(wanted.offset, wanted.offset + size);
    const more = wanted.offset + part.length < this.#description.length;
    return Buffer.concat([Buffer.from(more ? "m" : "l"), part]);
  }

  async #monitor(hex: string): Promise<string> {
    const output = await this.options.monitor(Buffer.from(hex, "hex").toString().trim(), this.#cpu).catch((error: unknown) => {
      if (!(error instanceof HvkitError)) throw error;
      return `${error.code}: ${error.message}. ${error.hint ?? ""}\n`;
    });
    const bytes = Buffer.from(output);
    for (let at = 0; at < bytes.length; at += MOST_READ) this.#send(`O${bytes.subarray(at, at + MOST_READ).toString("hex")}`);
    return OK;
  }

  async #readOne(text: string): Promise<string> {
    const info = /^[0-9a-f]{1,4}$/i.test(text) ? this.#table[Number.parseInt(text, 16)] : undefined;
    return info ? (await readRegister(this.#cpu, info)).toString("hex") : EINVAL;
  }

  async #writeOne(text: string): Promise<string> {
    const assignment = parseAssignment(text);
    const info = assignment && this.#table[assignment.number];
    if (!assignment || !info || assignment.value.length < info.bytes) return EINVAL;
    await writeRegister(this.#cpu, info, assignment.value);
    return OK;
  }

  /** Only what differs is written: what is read only may stand there as it is. */
  async #writeAll(hex: string): Promise<string> {
    const bytes = this.#table.reduce((sum, info) => sum + info.bytes, 0);
    const values = /^[0-9a-f]*$/i.test(hex) ? Buffer.from(hex, "hex") : Buffer.alloc(0);
    if (values.length !== bytes) return EINVAL;
    let at = 0;
    for (const info of this.#table) {
      const value = values.subarray(at, at + info.bytes);
      if (!value.equals(await readRegister(this.#cpu, info))) await writeRegister(this.#cpu, info, value);
      at += info.bytes;
    }
    return OK;
  }

  async #readMemory(text: string): Promise<string> {
    const area = parseArea(text);
    if (!area) return EINVAL;
    if (area.length === 0) return "";
    const length = Math.min(area.length, MOST_READ);
    const { memory } = this.#cpu;
    const bytes = this.#physical ? await memory.readPhysical(area.address, length) : await memory.read(area.address, length);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");
  }

  async #writeMemory(write: { address: bigint; bytes: Buffer } | undefined): Promise<string> {
    if (!write) return EINVAL;
    if (write.bytes.length === 0) return OK;
    const { memory } = this.#cpu;
    await (this.#physical ? memory.writePhysical(write.address, write.bytes) : memory.write(write.address, write.bytes));
    return OK;
  }

  async #breakpoint(text: string, insert: boolean): Promise<string> {
    const breakpoint = parseBreakpoint(text);
    if (!breakpoint) return EINVAL;
    const { breakpoints } = this.#runner;
    if (!insert) breakpoints.remove(breakpoint);
    else {
      if (breakpoint.type === BreakpointType.Software && (await this.#cpu.memory.physical(breakpoint.address)) === undefined) return EFAULT;
      breakpoints.add(breakpoint);
    }
    return OK;
  }

  async #resumeAt(action: Action, address: string): Promise<string | undefined> {
    if (address !== "") {
      if (!/^[0-9a-f]{1,16}$/i.test(address)) return EINVAL;
      await this.#cpu.set([Register.Rip, BigInt(`0x${address}`)]);
    }
    return this.#resume(action);
  }

  async #resume(action: Action): Promise<string | undefined> {
    if (action === "stop") return this.#lastStop;
    const resumed = action === "continue" ? this.#runner.continue() : this.#runner.step();
    resumed.then(
      (stopped) => {
        if (this.#ended !== undefined) return;
        this.#lastStop = stopReply(stopped);
        this.#send(this.#lastStop);
      },
      (error: unknown) => {
        if (this.#ended === undefined) this.#fail(error);
      },
    );
    return undefined;
  }

  /** The guest is gone while gdb waits for it, or while it stands. */
  #end(why: string, exitCode: number | undefined): void {
    if (this.#ended !== undefined) return;
    this.#ended = exitCode === undefined ? "X09" : `W${(exitCode & 0xff).toString(16).padStart(2, "0")}`;
    if (!this.#runner.running) return;
    this.#runner.stopped(0);
    this.#send(`O${Buffer.from(`hvkit: ${why}\n`).toString("hex")}`);
    this.#send(this.#ended);
  }

  /** It did not go on; gdb is told that it stands. */
  #fail(error: unknown): void {
    this.#say(error);
    this.#send(this.#lastStop);
  }

  #say(error: unknown): void {
    this.#send(`O${Buffer.from(`hvkit: ${error instanceof Error ? error.message : String(error)}\n`).toString("hex")}`);
  }

  #send(data: string | Buffer): void {
    this.#last = encodePacket(data);
    this.options.send(this.#last);
  }
}

function stopReply(stopped: Stopped): string {
  switch (stopped.why) {
    case "paused":
      return `T${SIGNAL.interrupt}thread:1;`;
    case "step":
      return `T${SIGNAL.trap}thread:1;`;
    case "software":
      return `T${SIGNAL.trap}thread:1;swbreak:;`;
    case "breakpoint":
      return `T${SIGNAL.trap}thread:1;${hitReason(stopped.breakpoint)}`;
  }
}

function hitReason({ type, address }: Breakpoint): string {
  const watch = WATCH[type];
  return watch === undefined ? "hwbreak:;" : `${watch}:${address.toString(16)};`;
}

/** gdb shows the text behind `E.`, but for memory, where it knows what a fault is. */
function errorReply(error: unknown): string {
  if (!(error instanceof HvkitError)) return "E01";
  return error.code === "E_DEBUG_MEMORY" ? EFAULT : `E.${error.code}: ${error.message}`;
}
