// A guest, for programs: what the command line does with one, by the same names. Made by Hvkit (hvkit.ts).
import { Buffer } from "node:buffer";
import type { Params, Result } from "../api/methods.js";
import type { GuestDetail, GuestStats, GuestSummary, SnapshotDetail } from "../api/schemas.js";
import { HvkitError } from "../errors.js";
import type { MachineView } from "../inspect/view.js";
import { type KernelPanic, kernelPanic } from "../linux/kernelpanic.js";
import type { Finding } from "../why/finding.js";
import { type Abortable, orAbort } from "./abort.js";
import type { Client } from "./client.js";
import { Console } from "./console.js";
import { type ExecOptions, type ExecResult, type ExecStreams, Execution, exec } from "./exec.js";
import { liveView } from "./liveview.js";
import { checkObject, checkWords } from "./options.js";
import { Stream } from "./stream.js";
import { Viewed } from "./viewed.js";

export interface ConsoleReading extends Abortable {
  /** 0 COM1, 1 COM2 */
  port?: number;
  /** bytes of what was written before; all that is kept, when left out */
  tail?: number;
  /** bytes that the log does not keep any more were left out */
  onLost?: (count: number) => void;
}

export interface Waiting extends Abortable {
  /** by default 60 s */
  timeoutMs?: number;
}

/** name: of one; of several the beginning, to which a number comes. By default the guest's, with a number. */
export interface CloneOptions extends Abortable, Omit<Params<"clone">, "guest"> {}

export interface GuestEnded extends GuestSummary {
  /** of a Linux that panicked (`run` with noReboot) */
  panic: KernelPanic | null;
}

const WAIT_MS = 60_000;
/** of the console, in which a pattern or a panic is looked for */
const LOOK_BYTES = 2 ** 20;

export class Guest extends Viewed {
  readonly id: string;
  readonly name: string;

  constructor(
    readonly client: Client,
    { id, name }: { id: string; name: string },
  ) {
    super();
    this.id = id;
    this.name = name;
  }

  inspect(options?: Abortable): Promise<GuestDetail> {
    return this.client.call("inspect", this.#self, options);
  }
  /** New guests that go on from where it is, all from the same moment, while it goes on: all of them, or none. Of an aborted one none stays. */
  async clone(given: CloneOptions = {}): Promise<Guest[]> {
    checkObject(given, "{ count: 3 }");
    const { signal, ...how } = given;
    return makeGuests(this.client, "clone", { ...this.#self, ...how }, signal);
  }
  pause(options?: Abortable): Promise<GuestSummary> {
    return this.client.call("pause", this.#self, options);
  }
  /** clock: what the guest's clocks make of the pause; by default they stood still */
  unpause({ signal, ...how }: Abortable & Pick<Params<"unpause">, "clock"> = {}): Promise<GuestSummary> {
    return this.client.call("unpause", { ...this.#self, ...how }, { signal });
  }
  reset(options?: Abortable): Promise<GuestSummary> {
    return this.client.call("reset", this.#self, options);
  }
  /** time: seconds that it gets to end by itself */
  async stop(given: Abortable & Pick<Params<"stop">, "time"> = {}): Promise<GuestSummary> {
    checkObject(given, "{ time: 10 }");
    const { signal, ...how } = given;
    return this.client.call("stop", { ...this.#self, ...how }, { signal });
  }
  kill(options?: Abortable): Promise<GuestSummary> {
    return this.client.call("kill", this.#self, options);
  }
  /** force: even one that runs */
  rm({ signal, ...how }: Abortable & Pick<Params<"rm">, "force"> = {}): Promise<GuestSummary> {
    return this.client.call("rm", { ...this.#self, ...how }, { signal });
  }

  /** Runs a command in a Linux guest, and collects what it writes. A command that fails is no error: look at `code`. */
  async exec(words: readonly string[], options?: ExecOptions): Promise<ExecResult> {
    checkWords(words);
    return exec(this.client, this.id, words, options);
  }
  /** The same with its output as it comes. Resolves when the command runs. */
  async spawn(words: readonly string[], streams: ExecStreams, options?: ExecOptions): Promise<Execution> {
    checkWords(words);
    return Execution.start(this.client, this.id, words, streams, options);
  }

  /** What it wrote, of what is kept. */
  async logs({ port = 0, signal }: { port?: number } & Abortable = {}): Promise<Buffer> {
    const parts: Buffer[] = [];
    let end = Number.POSITIVE_INFINITY;
    for (let offset = 0; offset < end; ) {
      const part = await this.client.call("logs", { ...this.#self, port, offset }, { signal });
      const bytes = Buffer.from(part.data, "base64");
      // Up to what there was at the first look: a guest that writes without end has no last byte.
      end = Math.min(end, part.end);
      if (bytes.length === 0) break;
      parts.push(bytes);
      offset = part.offset + bytes.length;
    }
    return Buffer.concat(parts);
  }

  /** Its console: what it wrote before, then what comes, until it ends for good. Whoever reads slowly loses nothing that the log keeps. */
  console({ port = 0, tail, onLost, signal }: ConsoleReading = {}): AsyncIterableIterator<Uint8Array> {
    let console: Console | undefined;
    const stream = new Stream<Uint8Array>(() => console?.close(), { signal });
    const open = async (): Promise<void> => {
      const options = { ...(tail === undefined ? {} : { tail }), ...(onLost ? { onLost } : {}) };
      console = await Console.open(this.client, this.id, { port, ...options, onBytes: (bytes) => stream.give(bytes) });
      if (stream.isOver) console.close(); // the reader left before it was open
      await console.ended;
    };
    open().then(
      () => stream.end(),
      (error: Error) => stream.end(error),
    );
    return stream;
  }

  /** Its console, line by line, without the ends of lines. */
  async *lines(options: ConsoleReading = {}): AsyncGenerator<string, void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const bytes of this.console(options)) {
      const lines = (rest + decoder.decode(bytes, { stream: true })).split(/\r?\n/);
      rest = lines.pop() ?? "";
      yield* lines;
    }
    if (rest !== "") yield rest;
  }

  /** Input for a serial port. */
  async write(input: string | Uint8Array, { port = 0, signal }: { port?: number } & Abortable = {}): Promise<void> {
    await this.client.call("console.write", { ...this.#self, port, data: Buffer.from(input).toString("base64") }, { signal });
  }

  /** The first match on the console, in what it wrote before too. Fails when the guest ends without it. */
  async waitFor(pattern: string | RegExp, { timeoutMs = WAIT_MS, signal }: Waiting = {}): Promise<RegExpExecArray> {
    const expression = new RegExp(typeof pattern === "string" ? pattern.replaceAll(/[$()*+.?[\\\]^{|}]/g, "\\$&") : pattern.source);
    const timeout = AbortSignal.timeout(timeoutMs);
    let text = "";
    try {
      for await (const bytes of this.console({ signal: signal ? AbortSignal.any([signal, timeout]) : timeout })) {
        text = (text + Buffer.from(bytes).toString("latin1")).slice(-LOOK_BYTES);
        const match = expression.exec(text);
        if (match) return match;
      }
    } catch (error) {
      if (!timeout.aborted || signal?.aborted) throw error;
      throw notShown(this.name, expression, `within ${timeoutMs / 1000} s`, text);
    }
    throw notShown(this.name, expression, "before it ended", text);
  }

  /** Resolves when it has ended for good; a reset by itself is no end, unless it was run with noReboot. */
  async ended({ timeoutMs, signal }: Waiting = {}): Promise<GuestEnded> {
    const console = await Console.open(this.client, this.id, { tail: 0, onBytes: () => {} });
    const signals = [...(signal ? [signal] : []), ...(timeoutMs === undefined ? [] : [AbortSignal.timeout(timeoutMs)])];
    try {
      await orAbort(console.ended, AbortSignal.any(signals));
    } finally {
      console.close();
    }
    const found = await this.inspect({ signal });
    return { ...found, panic: found.kind === "linux" ? ((await this.panic({ signal })) ?? null) : null };
  }

  /** What Linux wrote when it panicked; undefined: it did not. */
  async panic(options?: Abortable): Promise<KernelPanic | undefined> {
    return kernelPanic((await this.logs(options)).subarray(-LOOK_BYTES).toString("latin1"));
  }

  machine(options?: Abortable): Promise<Result<"machine">> {
    return this.client.call("machine", this.#self, options);
  }
  stats(options?: Abortable): Promise<GuestStats> {
    return this.client.call("stats", this.#self, options);
  }
  /** What keeps it from going on. */
  async why({ signal }: Abortable = {}): Promise<Finding[]> {
    const [{ collectEvidence }, { diagnose }] = await Promise.all([import("./collect.js"), import("../why/diagnose.js")]);
    return diagnose(await orAbort(collectEvidence(this.client, this.id), signal));
  }
  explain(options?: Abortable): Promise<Result<"explain">> {
    return this.client.call("explain", this.#self, options);
  }
  /** Its last recorded exits. */
  trace({ signal, ...part }: Abortable & Omit<Params<"trace">, "guest"> = {}): Promise<Result<"trace">> {
    return this.client.call("trace", { ...this.#self, ...part }, { signal });
  }
  /** ring: whether its exits are recorded; time: whether their handling is timed */
  setTrace({ signal, ...modes }: Abortable & Omit<Params<"trace.set">, "guest">): Promise<Result<"trace.set">> {
    return this.client.call("trace.set", { ...this.#self, ...modes }, { signal });
  }
  digest(address: number, length: number, options?: Abortable): Promise<Result<"digest">> {
    return this.client.call("digest", { ...this.#self, address, length }, options);
  }

  async snapshot(given: Abortable & Omit<Params<"snapshot.create">, "guest"> = {}): Promise<SnapshotDetail> {
    checkObject(given, typeof given === "string" ? `{ name: ${JSON.stringify(given)} }` : '{ name: "before" }');
    const { signal, ...wish } = given;
    return this.client.call("snapshot.create", { ...this.#self, ...wish }, { signal });
  }
  async revert(snapshot: string, { signal, ...how }: Abortable & Pick<Params<"revert">, "paused"> = {}): Promise<void> {
    await this.client.call("revert", { ...this.#self, snapshot, ...how }, { signal });
  }

  /** Each part is asked for when it is needed. */
  override view(): Promise<MachineView & { detail: GuestDetail }> {
    return liveView(this.client, this.id);
  }

  get #self(): { guest: string } {
    return { guest: this.id };
  }
}

/** New guests of one request. Of one that is aborted none stays. */
export async function makeGuests<M extends "clone" | "run.from">(
  client: Client,
  method: M,
  params: Params<M>,
  signal: AbortSignal | undefined,
): Promise<Guest[]> {
  signal?.throwIfAborted();
  const making: Promise<GuestDetail[]> = client.call(method, params);
  try {
    return (await orAbort(making, signal)).map((detail) => new Guest(client, detail));
  } catch (error) {
    const remove = async (made: GuestDetail[]): Promise<void> => {
      for (const { id } of made) await client.call("rm", { guest: id, force: true });
    };
    if (signal?.aborted) making.then(remove).catch(() => {}); // it may not have come so far
    throw error;
  }
}

function notShown(name: string, expression: RegExp, when: string, text: string): HvkitError {
  return new HvkitError("E_WAIT", `guest '${name}' does not show ${expression} ${when}; the end of its console:\n${text.slice(-1000)}`, {
    hint: `\`hvkit logs ${name}\` has all of it.`,
    data: { guest: name, pattern: String(expression) },
  });
}
