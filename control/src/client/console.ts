// A guest's console as one stream of bytes without gaps or repeats: first what the log has, then what comes. When the daemon left
// bytes out because this reader was slow, they are taken from the log. What is in the log no more, or never came, is counted.
import type { Notification } from "../api/methods.js";
import type { GuestEnd, GuestState, GuestSummary } from "../api/schemas.js";
import type { Client } from "./client.js";
import { keepEvents, leaveEvents } from "./events.js";

export interface ConsoleEnd {
  state: GuestState;
  end: GuestEnd | null;
}

export interface ConsoleOptions {
  /** 0 COM1, 1 COM2 */
  port?: number;
  /** from the log's oldest byte; else only what comes from now on, and the last `tail` bytes before */
  tail?: number;
  /** The next bytes wait until its promise is resolved. */
  onBytes: (bytes: Uint8Array) => void | Promise<void>;
  /** this many bytes are missing here: the log does not keep them any more, or there was no room for them on their way */
  onLost?: (count: number, why: "not kept" | "no room") => void | Promise<void>;
}

/** How many read each port of each guest by one client: the last that leaves detaches it. */
const readers = new WeakMap<Client, Map<string, number>>();

/** Bytes that are kept here for a reader that is slow. */
const MOST_WAITING = 2 ** 20;

type Early = { name: "console"; params: Notification<"console"> } | { name: "console.end"; params: Notification<"console.end"> };

export class Console {
  readonly guest: GuestSummary;
  /** resolves when the guest has ended for good and all its bytes were given, or by close() (then undefined) */
  readonly ended: Promise<ConsoleEnd | undefined>;
  #next: number;
  #work: Promise<void> = Promise.resolve();
  #finish!: (end: ConsoleEnd | undefined) => void;
  #fail!: (error: unknown) => void;
  readonly #port: number;
  readonly #key: string;
  #closed = false;
  /** bytes that came and wait for their turn */
  #waiting = 0;
  /** up to where the log has what there was no room for here; undefined: all is here */
  #owed: number | undefined;

  private constructor(
    private readonly client: Client,
    attached: { guest: GuestSummary; offset: number; start: number },
    private readonly options: ConsoleOptions,
    early: Early[],
  ) {
    this.guest = attached.guest;
    this.#port = options.port ?? 0;
    this.#key = `${attached.guest.id}:${this.#port}`;
    this.#next = Math.max(attached.start, attached.offset - (options.tail ?? Number.POSITIVE_INFINITY));
    this.ended = new Promise((resolve, reject) => {
      this.#finish = resolve;
      this.#fail = reject;
    });
    this.ended.catch(() => {}); // whoever waits for it sees it
    count(client, this.#key, 1);
    client.on("console", this.#onConsole);
    client.on("console.end", this.#onEnd);
    client.on("close", this.#onClose);
    client.on("event", this.#onEvent);
    if (options.tail === undefined && attached.start > 0) this.#then(async () => this.options.onLost?.(attached.start, "not kept"));
    this.#then(() => this.#catchUp(attached.offset));
    for (const came of early) {
      if (came.name === "console") this.#onConsole(came.params);
      else this.#onEnd(came.params);
    }
    const { state, end } = attached.guest;
    if (state === "exited" || state === "lost") this.#then(async () => this.#finish({ state, end }));
  }

  static async open(client: Client, guest: string, options: ConsoleOptions): Promise<Console> {
    // Bytes, and the end too, may come with the reply itself, before its promise goes on.
    const early: Early[] = [];
    const keepBytes = (params: Notification<"console">): void => void early.push({ name: "console", params });
    const keepEnd = (params: Notification<"console.end">): void => void early.push({ name: "console.end", params });
    client.on("console", keepBytes);
    client.on("console.end", keepEnd);
    try {
      if (options.onLost) await keepEvents(client);
      const attached = await client.call("console.attach", { guest, port: options.port ?? 0 });
      return new Console(client, attached, options, early);
    } finally {
      client.off("console", keepBytes);
      client.off("console.end", keepEnd);
    }
  }

  /** close() was called */
  get closed(): boolean {
    return this.#closed;
  }

  /** Input for the guest. */
  async write(bytes: Uint8Array): Promise<void> {
    await this.client.call("console.write", { guest: this.guest.id, port: this.#port, data: Buffer.from(bytes).toString("base64") });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.client.off("console", this.#onConsole);
    this.client.off("console.end", this.#onEnd);
    this.client.off("close", this.#onClose);
    this.client.off("event", this.#onEvent);
    if (this.options.onLost) leaveEvents(this.client);
    if (count(this.client, this.#key, -1) === 0) {
      this.client.call("console.detach", { guest: this.guest.id, port: this.#port }).catch(() => {});
    }
    this.#finish(undefined);
  }

  readonly #onConsole = ({ id, port, offset, data }: Notification<"console">): void => {
    if (id !== this.guest.id || port !== this.#port) return;
    const came = Buffer.from(data, "base64");
    if (this.#owed !== undefined || this.#waiting + came.length > MOST_WAITING) {
      this.#owe(offset + came.length);
      return;
    }
    this.#waiting += came.length;
    this.#then(async () => {
      this.#waiting -= came.length;
      if (offset > this.#next) await this.#catchUp(offset);
      const bytes = came.subarray(Math.max(0, this.#next - offset));
      if (bytes.length === 0) return;
      this.#next += bytes.length;
      await this.options.onBytes(bytes);
    });
  };

  /** A reader that is slow takes from the log what came meanwhile. */
  #owe(end: number): void {
    const isOwing = this.#owed !== undefined;
    this.#owed = end;
    if (isOwing) return;
    this.#then(async () => {
      const until = this.#owed ?? end;
      this.#owed = undefined;
      await this.#catchUp(until);
    });
  }

  readonly #onEnd = ({ id, port, state, end }: Notification<"console.end">): void => {
    if (id !== this.guest.id || port !== this.#port) return;
    this.#then(async () => {
      await this.#catchUp(Number.POSITIVE_INFINITY).catch(() => {}); // a guest that was removed has no log
      this.#finish({ state, end });
    });
  };

  readonly #onEvent = (event: Notification<"event">): void => {
    if (event.type !== "console.lost" || event.guest.id !== this.guest.id || event.port !== this.#port) return;
    this.#then(async () => this.options.onLost?.(Number(event.count), "no room"));
  };

  readonly #onClose = (reason: string): void => {
    this.#then(async () => {
      throw new Error(reason);
    });
  };

  /** From the log, up to `offset` or its end. */
  async #catchUp(offset: number): Promise<void> {
    while (this.#next < offset) {
      const part = await this.client.call("logs", { guest: this.guest.id, port: this.#port, offset: this.#next });
      const bytes = Buffer.from(part.data, "base64").subarray(0, Math.max(0, offset - part.offset));
      if (part.offset > this.#next) await this.options.onLost?.(part.offset - this.#next, "not kept");
      if (bytes.length === 0) return;
      this.#next = part.offset + bytes.length;
      await this.options.onBytes(bytes);
    }
  }

  /** One step after the other, so that bytes stay in order. */
  #then(step: () => Promise<void>): void {
    this.#work = this.#work.then(step);
    this.#work.catch((error: unknown) => this.#fail(error));
  }
}

function count(client: Client, key: string, change: number): number {
  const counts = readers.get(client) ?? new Map<string, number>();
  readers.set(client, counts);
  const now = (counts.get(key) ?? 0) + change;
  if (now > 0) counts.set(key, now);
  else counts.delete(key);
  return now;
}
