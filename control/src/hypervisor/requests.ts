// Requests and their replies: gives each request an id, keeps it until its reply, its time-out or the loss of the link.
// Many are in flight at once, up to a limit; the rest wait their turn in order. Stands between client and link.
import { Op, Status } from "../../../protocol/messages.js";
import { HvkitError } from "../errors.js";
import { encodeMessage, type Message } from "./codec.js";
import { statusError } from "./texts.js";

export interface RequestOptions {
  /** milliseconds from the moment that the request is given to the link */
  timeoutMs?: number;
  signal?: AbortSignal;
}

interface Pending {
  op: Op;
  resolve: (reply: Message) => void;
  reject: (error: Error) => void;
  release: () => void;
}

export interface RequestsOptions {
  send: (payload: Uint8Array) => Promise<void>;
  timeoutMs: number;
  /** requests without a reply at once */
  limit?: number;
  /** why the line is away, while it is */
  away?: () => string | undefined;
}

const MAX_ID = 0xffffffff;

export class Requests {
  readonly #pending = new Map<number, Pending>();
  readonly #waiting: (() => void)[] = [];
  readonly #options: Required<RequestsOptions>;
  #nextId = 1;
  #inFlight = 0;
  #lost: Error | undefined;
  /** replies to requests that had timed out or been aborted */
  late = 0;

  constructor(options: RequestsOptions) {
    this.#options = { limit: 32, away: () => undefined, ...options };
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Sends a request; resolves with its reply when that says Ok. */
  async call(op: Op, words: readonly (bigint | number)[] = [], bytes?: Uint8Array, options: RequestOptions = {}): Promise<Message> {
    options.signal?.throwIfAborted();
    await this.#turn();
    if (this.#lost) {
      this.#leave();
      throw this.#lost;
    }
    return new Promise<Message>((resolve, reject) => {
      const id = this.#takeId();
      const timeoutMs = options.timeoutMs ?? this.#options.timeoutMs;
      const timer = setTimeout(() => this.#fail(id, timedOut(op, timeoutMs, this.#options.away())), timeoutMs);
      const abort = (): void => this.#fail(id, options.signal?.reason);
      options.signal?.addEventListener("abort", abort, { once: true });
      const release = (): void => {
        clearTimeout(timer);
        options.signal?.removeEventListener("abort", abort);
        this.#leave();
      };
      this.#pending.set(id, { op, resolve, reject, release });
      // The loss of the link is told by lose(), whose error knows why.
      this.#options.send(encodeMessage(id, op, words, bytes)).catch((error: unknown) => {
        if (!(error instanceof HvkitError && error.code === "E_LINK_LOST")) this.#fail(id, error);
      });
    });
  }

  /** A message of Channel.Reply. */
  reply(message: Message): void {
    const pending = this.#take(message.first);
    if (!pending) this.late++;
    else if (message.second === Status.Ok) pending.resolve(message);
    else pending.reject(statusError(Op[pending.op] ?? String(pending.op), message.second, message.words()));
  }

  /** Rejects all that waits, and all that comes later. */
  lose(error: Error): void {
    this.#lost ??= error;
    for (const id of [...this.#pending.keys()]) this.#fail(id, this.#lost);
    for (const next of this.#waiting.splice(0)) next();
  }

  #fail(id: number, error: unknown): void {
    this.#take(id)?.reject(error instanceof Error ? error : new Error(String(error)));
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    pending?.release();
    return pending;
  }

  #takeId(): number {
    while (this.#pending.has(this.#nextId)) this.#nextId = (this.#nextId % MAX_ID) + 1;
    const id = this.#nextId;
    this.#nextId = (id % MAX_ID) + 1;
    return id;
  }

  async #turn(): Promise<void> {
    if (this.#inFlight >= this.#options.limit && !this.#lost) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#inFlight++;
  }

  /** Hands the place over to the next one that waits, or frees it. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#inFlight--;
  }
}

function timedOut(op: Op, timeoutMs: number, away: string | undefined): HvkitError {
  const data = { operation: Op[op] ?? op, timeoutMs };
  const what = `The hypervisor did not answer ${data.operation} within ${timeoutMs / 1000} s`;
  if (away !== undefined) {
    const hint = "It goes on when the line is there again: `hvkit status` says since when it is away.";
    return new HvkitError("E_LINK_AWAY", `${what}: its line is away (${away}).`, { hint, data });
  }
  return new HvkitError("E_HV_TIMEOUT", `${what}.`, {
    hint: "`hvkit status` asks it again; `hvkit down` and `hvkit up` restart it.",
    data,
  });
}
