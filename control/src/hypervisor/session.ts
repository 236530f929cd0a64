// One session with the hypervisor: the link on the engine's transport, the requests on it, the events from it, and its end.
// Whatever ends it (the link, the engine, a panic, close) rejects all that waits, with one error. Stands between client and link.
import { EventEmitter } from "node:events";
import { Channel, Link as LinkLimit } from "../../../protocol/link.js";
import { Op } from "../../../protocol/messages.js";
import type { RunningEngine } from "../engines/engine.js";
import { HvkitError } from "../errors.js";
import { Link, type LinkStatistics } from "../link/link.js";
import { Message } from "./codec.js";
import type { HypervisorEvents } from "./hypervisor.js";
import { PanicReport, panicSummary } from "./panic.js";
import { type RequestOptions, Requests } from "./requests.js";
import { symbolizerOf } from "./symbols.js";

export interface ConnectOptions {
  /** milliseconds until the hypervisor must have answered Hello; by default what suits the engine */
  deadlineMs?: number;
  /** milliseconds for a request that does little work; by default what suits the engine */
  timeoutMs?: number;
  /** build/hv.elf, to symbolize panic reports; without it they stay numbers */
  symbolsPath?: string;
  /** raw text lines, from the start on: those of the boot come before there is a client to listen on */
  onText?: (line: string) => void;
  /** a listener threw: a defect of its owner, for which the line is not given up; by default a warning of the process */
  onFault?: (error: unknown) => void;
  /** gives up waiting for the hypervisor; the engine is left to the caller */
  signal?: AbortSignal;
}

/** Milliseconds: [until Hello, for a request]. An emulator on a busy machine is far slower than its usual self. */
const patience = { kvm: [15_000, 10_000], tcg: [45_000, 20_000], emulated: [120_000, 60_000], remote: [30_000, 60_000] } as const;
/** how long its first answer is waited for */
export const patienceFor = (engine: RunningEngine): number => patience[engine.accel][0];
const SHUTDOWN_MS = 10_000;
const KEPT_LINES = 100;
const EXIT_FOLLOWS_MS = 500;
/** what hv/boot writes before it halts the machine for good */
const STOP = "hvkit: stop: ";

export class Session extends EventEmitter<HypervisorEvents> {
  readonly engine: RunningEngine;
  readonly timeoutMs: number;
  onEvent: (message: Message) => void = () => undefined;
  onConsole: (message: Message) => void = () => undefined;

  readonly #link: Link;
  readonly #requests: Requests;
  readonly #panic: PanicReport;
  readonly #options: ConnectOptions;
  readonly #deadline: number;
  readonly #lines: string[] = [];
  #panicked: string[] | undefined;
  #end: HvkitError | undefined;
  #shuttingDown = false;
  /** why the line is */
  #away: string | undefined;

  constructor(engine: RunningEngine, options: ConnectOptions) {
    super();
    const [deadlineMs, timeoutMs] = patience[engine.accel];
    this.engine = engine;
    this.timeoutMs = options.timeoutMs ?? timeoutMs;
    this.#options = options;
    this.#deadline = Date.now() + (options.deadlineMs ?? deadlineMs);
    this.#link = new Link(engine.transport);
    this.#requests = new Requests({
      send: (payload) => this.#link.send(Channel.Request, payload),
      timeoutMs: this.timeoutMs,
      away: () => this.#away,
    });
    this.#panic = new PanicReport({ symbolize: symbolizerOf(options.symbolsPath), onPanic: (lines) => this.#onPanic(lines) });
    this.#link.on("message", (channel, payload) => this.#receive(channel, payload));
    this.#link.on("text", (line) => this.#text(line));
    this.#link.on("broken", ({ message }) => this.#setAway(message));
    this.#link.on("back", () => this.#setAway(undefined));
    this.#link.on("lost", (error) => this.#linkLost(error));
    engine.onExit((code, signal) => this.#exited(code, signal));
  }

  /** Starts the link; resolves when both sides count from 0. */
  async open(): Promise<void> {
    this.#options.signal?.throwIfAborted();
    const opened = this.#link.open();
    const peer = await new Promise<{ version: number }>((resolve, reject) => {
      const timer = setTimeout(() => reject(this.#silent()), this.remainingMs());
      const abort = (): void => reject(asError(this.#options.signal?.reason));
      this.#options.signal?.addEventListener("abort", abort, { once: true });
      this.once("lost", () => reject(asError(this.#end)));
      opened
        .then(resolve, () => undefined)
        .finally(() => {
          clearTimeout(timer);
          this.#options.signal?.removeEventListener("abort", abort);
        });
    });
    checkVersion(peer.version);
  }

  remainingMs(): number {
    return Math.max(1, this.#deadline - Date.now());
  }

  call(op: Op, words?: readonly (bigint | number)[], bytes?: Uint8Array, options?: RequestOptions): Promise<Message> {
    return this.#requests.call(op, words, bytes, options);
  }

  sendConsole(payload: Uint8Array): Promise<void> {
    return this.#link.send(Channel.Console, payload);
  }

  sendBulk(payload: Uint8Array): Promise<void> {
    return this.#link.send(Channel.Bulk, payload);
  }

  statistics(): LinkStatistics & { lateReplies: number } {
    return { ...this.#link.statistics, lateReplies: this.#requests.late };
  }

  /** Asks the hypervisor to power off and waits until the engine has ended. */
  async shutdown(): Promise<void> {
    if (this.#end) throw this.#end;
    this.#shuttingDown = true;
    const ended = new Promise<void>((resolve) => this.engine.onExit(() => resolve()));
    const timeout = new Promise<void>((_, reject) => {
      setTimeout(
        () => reject(new HvkitError("E_HV_TIMEOUT", `The machine did not power off within ${SHUTDOWN_MS / 1000} s.`)),
        SHUTDOWN_MS,
      ).unref();
    });
    const refused = this.call(Op.Shutdown, [], undefined, { timeoutMs: SHUTDOWN_MS }).then(
      () => ended,
      (error: unknown) => (this.#end ? ended : Promise.reject(asError(error))),
    );
    await Promise.race([ended, timeout, refused]);
  }

  /** connect() failed: ends the session but not the engine; gives the error that says most. */
  async giveUp(error: unknown): Promise<unknown> {
    if (!this.#end && isLate(error)) error = this.#silent();
    this.#lose(error instanceof HvkitError ? error : new HvkitError("E_LINK_LOST", String(error)));
    return error;
  }

  async close(): Promise<void> {
    this.#shuttingDown = true;
    this.#lose(new HvkitError("E_LINK_LOST", "The hypervisor was closed."));
    await this.engine.stop();
  }

  /** A listener that throws keeps neither the others nor the line from going on. */
  override emit<K>(event: keyof HypervisorEvents | K, ...args: K extends keyof HypervisorEvents ? HypervisorEvents[K] : never): boolean {
    const listeners = this.rawListeners(event as keyof HypervisorEvents);
    for (const listener of listeners) this.#guard(() => Reflect.apply(listener, this, args));
    return listeners.length > 0;
  }

  #guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      const { onFault = (fault) => process.emitWarning(asError(fault)) } = this.#options;
      onFault(error);
    }
  }

  #receive(channel: Channel, payload: Uint8Array): void {
    let message: Message;
    try {
      message = new Message(payload);
      if (channel === Channel.Reply) this.#requests.reply(message);
      else if (channel === Channel.Event) this.onEvent(message);
      else if (channel === Channel.Console) this.onConsole(message);
    } catch (error) {
      // A whole frame with a wrong message: the two sides do not agree on the protocol, and nothing after it can be trusted.
      this.#lose(error instanceof HvkitError ? error : new HvkitError("E_LINK_MESSAGE", String(error)));
    }
  }

  #text(line: string): void {
    const shown = this.#panic.line(line);
    this.#lines.push(shown);
    if (this.#lines.length > KEPT_LINES) this.#lines.shift();
    this.#guard(() => this.#options.onText?.(shown));
    this.emit("text", shown);
    // An engine ends then, and its exit tells. A machine elsewhere only falls silent.
    if (this.engine.external && line.startsWith(STOP)) this.#lose(this.#stopped(line.slice(STOP.length)));
  }

  #onPanic(lines: string[]): void {
    this.#panicked = lines;
    this.emit("panic", lines);
    const data = { lines };
    this.#lose(
      new HvkitError("E_LINK_LOST", `The hypervisor panicked: ${panicSummary(lines)}`, { data, hint: "`hvkit logs` has the report." }),
    );
  }

  #exited(code: number | null, signal: string | null): void {
    this.#panic.finish();
    if (this.#panicked) return;
    const how = this.#shuttingDown ? "was shut down" : `ended by itself (${signal ?? `exit code ${code}`})`;
    const words = this.#shuttingDown ? "" : this.#lastWords();
    const data = { code, signal, lines: [...this.#lines] };
    this.#lose(new HvkitError("E_ENGINE_EXITED", `The engine ${this.engine.name} ${how}.${words}`, { data }));
  }

  #stopped(why: string): HvkitError {
    const where = this.engine.command.join(", ");
    return new HvkitError("E_HV_STOPPED", `The hypervisor at ${where} cannot run: ${why}.${this.#lastWords()}`, {
      hint: why.includes("virtualization")
        ? "Switch VT-x or SVM (AMD-V) on in that machine's firmware, and boot it again."
        : "When that is mended, boot it again.",
      data: { why, lines: [...this.#lines] },
    });
  }

  #setAway(reason: string | undefined): void {
    this.#away = reason;
    if (reason === undefined) this.emit("back");
    else this.emit("broken", reason);
  }

  /** An engine that ends closes the line first: its exit says more, and follows at once. */
  #linkLost(error: HvkitError): void {
    setTimeout(() => this.#lose(error), EXIT_FOLLOWS_MS);
  }

  /** Everything that waits is rejected, once, with the first error. */
  #lose(error: HvkitError): void {
    if (this.#end) return;
    this.#end = error;
    this.#link.close();
    this.#requests.lose(error);
    this.emit("lost", error.message);
  }

  #silent(): HvkitError {
    const { bytesIn, framesIn } = this.#link.statistics;
    return new HvkitError("E_LINK_TIMEOUT", `The hypervisor in ${this.engine.name} did not answer in time.${this.#lastWords()}`, {
      hint: "Run `hvkit doctor`; on a busy machine try again.",
      data: { command: this.engine.command, lines: [...this.#lines], bytesIn, framesIn },
    });
  }

  #lastWords(): string {
    const words = [...this.#lines.slice(-8), this.engine.lastWords()].join("\n").trim();
    return words === "" ? " It said nothing." : ` Its last words:\n${words}`;
  }
}

const asError = (reason: unknown): Error => (reason instanceof Error ? reason : new Error(String(reason)));

const isLate = (error: unknown): boolean => error instanceof HvkitError && error.code === "E_HV_TIMEOUT";

/** Both sides must be built from the same protocol. */
export function checkVersion(theirs: number): void {
  if (theirs === LinkLimit.Version) return;
  const message = `The hypervisor speaks version ${theirs} of the link, this control plane version ${LinkLimit.Version}.`;
  throw new HvkitError("E_LINK_VERSION", message, {
    hint: "Build both from the same sources: `npm run build`, then `hvkit up`.",
    data: { theirs, ours: LinkLimit.Version },
  });
}
