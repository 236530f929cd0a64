// A running engine as a bare serial line shows it: no memory window, no store disk; what connects to it may come and go. The line can be cut in
// mid-frame: it takes what comes after that, both ways, until it is whole again.
import type { RunningEngine } from "../../control/src/engines/engine.js";
import type { Transport } from "../../control/src/transport/transport.js";
import { randomFrom } from "./scale.js";

export interface Cuts {
  seed: number;
  /** bytes, there and back, from one to the next, about */
  every: number;
  /** pieces that are lost, at most */
  pieces: number;
}

export class BareLine implements RunningEngine {
  readonly #engine: RunningEngine;
  readonly #cuts: Cuts | undefined;
  readonly #below: (below: number) => number;
  #until: number;
  #lost = 0;
  #closed = false;
  /** how often the line was cut */
  count = 0;
  readonly transport: Transport;

  constructor(engine: RunningEngine, cuts?: Cuts) {
    this.#engine = engine;
    this.#cuts = cuts;
    this.#below = randomFrom(cuts?.seed ?? 1);
    this.#until = cuts ? this.#next(cuts) : Number.POSITIVE_INFINITY;
    const line = engine.transport;
    this.transport = {
      get pending() {
        return line.pending;
      },
      write: (bytes) => {
        const left = this.#cut(bytes);
        if (left.length > 0 && !this.#closed) line.write(left);
      },
      onData: (listener) =>
        line.onData((bytes) => {
          const left = this.#cut(bytes);
          if (left.length > 0 && !this.#closed) listener(left);
        }),
      onClose: (listener) => line.onClose(listener),
      close: () => {
        this.#closed = true;
      },
    };
  }

  get name(): RunningEngine["name"] {
    return this.#engine.name;
  }

  get accel(): RunningEngine["accel"] {
    return this.#engine.accel;
  }

  get pid(): RunningEngine["pid"] {
    return this.#engine.pid;
  }

  get command(): string[] {
    return this.#engine.command;
  }

  lastWords(): string {
    return this.#engine.lastWords();
  }

  onExit(listener: Parameters<RunningEngine["onExit"]>[0]): void {
    this.#engine.onExit(listener);
  }

  /** It is the machine's at the other end, not ours. */
  stop(): Promise<void> {
    this.#closed = true;
    return Promise.resolve();
  }

  #next({ every }: Cuts): number {
    return Math.ceil(every / 2) + this.#below(every);
  }

  /** What of a piece comes through. */
  #cut(bytes: Uint8Array): Uint8Array {
    if (!this.#cuts) return bytes;
    if (this.#lost > 0) {
      this.#lost--;
      return new Uint8Array();
    }
    this.#until -= bytes.length;
    if (this.#until > 0) return bytes;
    this.#until = this.#next(this.#cuts);
    this.#lost = this.#below(this.#cuts.pieces);
    this.count++;
    return bytes.subarray(0, this.#below(bytes.length));
  }
}
