// What a client has been sent and has not read yet, counted with what each message costs beside its bytes. Who leaves too much unread is
// let go, and of all clients together the one that leaves most, before memory grows. While a client is behind, nothing more is read
// from it: it cannot ask for what it does not take.
import type { WebSocket } from "ws";
import type { Log } from "./log.js";

export const outboxLimits = {
  /** bytes above which what may be left out is left out, and the client's own messages wait */
  highWater: 2 * 2 ** 20,
  /** bytes at which the client is let go; with a reply that is being made it costs less than 16 MB */
  client: 8 * 2 ** 20,
  /** of all clients */
  total: 64 * 2 ** 20,
};

/** what Node and ws keep for a message that waits, besides its bytes */
const MESSAGE_COST = 1024;

/** All clients' outboxes of a server. */
export class Outboxes {
  readonly #all = new Set<Outbox>();
  #unsent = 0;

  /** bytes */
  get unsent(): number {
    return this.#unsent;
  }

  open(socket: WebSocket, log: Log): Outbox {
    const outbox: Outbox = new Outbox(socket, log, (difference) => this.#changed(difference));
    this.#all.add(outbox);
    socket.once("close", () => {
      this.#all.delete(outbox);
      outbox.drop();
    });
    return outbox;
  }

  #changed(difference: number): void {
    this.#unsent += difference;
    if (difference < 0 || this.#unsent <= outboxLimits.total) return;
    const worst = [...this.#all].reduce((most, outbox) => (outbox.unsent > most.unsent ? outbox : most));
    worst.letGo("of all clients it leaves most unread");
  }
}

export class Outbox {
  /** called when the client has read what it had */
  onDrain: () => void = () => {};
  /** a sign of life: something was taken by the client's side */
  onProgress: () => void = () => {};
  #unsent = 0;
  #dropped = false;

  constructor(
    private readonly socket: WebSocket,
    private readonly log: Log,
    private readonly changed: (difference: number) => void,
  ) {}

  /** bytes */
  get unsent(): number {
    return this.#unsent;
  }

  get isBehind(): boolean {
    return this.#unsent > outboxLimits.highWater;
  }

  send(text: string): void {
    if (this.#dropped || this.socket.readyState !== this.socket.OPEN) return;
    const bytes = Buffer.from(text);
    const cost = bytes.length + MESSAGE_COST;
    if (this.#unsent + cost > outboxLimits.client) {
      this.letGo("it leaves too much unread");
      return;
    }
    this.#change(cost);
    this.socket.send(bytes, { binary: false }, (error) => {
      if (!this.#dropped) this.#taken(cost, error != null);
    });
    if (this.isBehind) this.socket.pause();
  }

  letGo(why: string): void {
    if (this.#dropped) return;
    this.log.warn({ unsent: this.#unsent }, `a client is let go: ${why}`);
    this.drop();
    this.socket.terminate();
  }

  /** The client is gone, and what waited for it with it. */
  drop(): void {
    if (this.#dropped) return;
    this.#dropped = true;
    this.#change(-this.#unsent);
  }

  #taken(cost: number, failed: boolean): void {
    const wasBehind = this.#unsent > outboxLimits.highWater / 2;
    this.#change(-cost);
    if (failed) return;
    this.onProgress();
    if (!wasBehind || this.#unsent > outboxLimits.highWater / 2) return;
    if (this.socket.isPaused) this.socket.resume();
    this.onDrain();
  }

  #change(difference: number): void {
    this.#unsent += difference;
    this.changed(difference);
  }
}
