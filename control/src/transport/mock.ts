// Two transports joined in memory, with the faults of a bad line on demand: for tests of all that stands on a transport.
// Bytes arrive in order, later than they were sent, in the pieces in which they were written.
import type { Line } from "./transport.js";

/** What the line does to one written piece: the pieces that arrive in its place. */
export type Fault = (bytes: Uint8Array) => Uint8Array[];

export class MockTransport implements Line {
  #peer: MockTransport | undefined;
  readonly #fault: Fault;
  readonly #listeners: ((bytes: Uint8Array) => void)[] = [];
  readonly #closeListeners: ((error?: Error) => void)[] = [];
  readonly #drainListeners: (() => void)[] = [];
  #early: Uint8Array[] = [];
  #paused = false;
  #closed: { error: Error | undefined } | undefined;
  pending = 0;

  constructor(fault: Fault) {
    this.#fault = fault;
  }

  /** Both ends. A fault sits on what its own end writes. */
  static pair(faultA: Fault = intact, faultB: Fault = intact): [MockTransport, MockTransport] {
    const a = new MockTransport(faultA);
    const b = new MockTransport(faultB);
    a.#peer = b;
    b.#peer = a;
    return [a, b];
  }

  write(bytes: Uint8Array): void {
    if (this.#closed) return;
    const copy = bytes.slice();
    this.pending += copy.length;
    setImmediate(() => {
      this.pending -= copy.length;
      const peer = this.#peer;
      for (const piece of peer ? this.#fault(copy) : []) peer?.arrive(piece);
      if (this.pending === 0) for (const listener of this.#drainListeners) listener();
    });
  }

  onDrain(listener: () => void): void {
    this.#drainListeners.push(listener);
  }

  pause(): void {
    this.#paused = true;
  }

  /** Bytes that came and wait for resume(), or for a listener. */
  get held(): number {
    return this.#early.reduce((sum, { length }) => sum + length, 0);
  }

  resume(): void {
    this.#paused = false;
    this.#deliver();
  }

  onData(listener: (bytes: Uint8Array) => void): void {
    this.#listeners.push(listener);
    this.#deliver();
  }

  onClose(listener: (error?: Error) => void): void {
    if (this.#closed) listener(this.#closed.error);
    else this.#closeListeners.push(listener);
  }

  close(): void {
    this.end();
    setImmediate(() => this.#peer?.end(new Error("the other side closed it")));
  }

  private arrive(bytes: Uint8Array): void {
    if (this.#closed) return;
    this.#early.push(bytes);
    this.#deliver();
  }

  #deliver(): void {
    while (!this.#paused && this.#listeners.length > 0) {
      const bytes = this.#early.shift();
      if (!bytes) return;
      for (const listener of this.#listeners) listener(bytes);
    }
  }

  private end(error?: Error): void {
    if (this.#closed) return;
    this.#closed = { error };
    for (const listener of this.#closeListeners.splice(0)) listener(error);
  }
}

export const intact: Fault = (bytes) => [bytes];

/** Loses, doubles or damages pieces with the given probabilities, by a seeded generator: a failing run can be repeated. */
export function badLine(seed: number, { lose = 0, double = 0, flip = 0 }: { lose?: number; double?: number; flip?: number }): Fault {
  const random = mulberry32(seed);
  return (bytes) => {
    if (random() < lose) return [];
    if (random() < double) return [bytes, bytes];
    if (bytes.length === 0 || random() >= flip) return [bytes];
    const damaged = bytes.slice();
    const at = Math.floor(random() * damaged.length);
    damaged[at] = damaged[at] ^ (1 << Math.floor(random() * 8));
    return [damaged];
  };
}

/** A small seeded generator of numbers in [0, 1). */
export function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
