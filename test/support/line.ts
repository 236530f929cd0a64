// A running engine as a bare serial line shows it: no memory window, no store disk; what connects to it may come and go. The line can be cut in
// mid-frame: it takes what comes after that, both ways, until it is whole again.
import type { RunningEngine } from "../../control/src/engines/engine.js";
import type { Transport } from "../../control/src/transport/transport.js";
import { randomFrom } from "./scale.js";

export interface Cuts {
  seed: number;
  /** bytes, there and back, from one to the next, at most: of N times as many it is cut at least N times */
  every: number;
  /** pieces that are lost, at most; a piece is what comes at once, 4 KiB of it at most */
  pieces: number;
}

const PIECE_BYTES = 4096;

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
    return every - this.#below(Math.ceil(every / 5));
  }

  /** What comes through, piece by piece: a long read must not be one cut where there should be several. */
  #cut(bytes: Uint8Array): Uint8Array {
    const cuts = this.#cuts;
    if (!cuts) return bytes;
    const left: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) left.push(this.#piece(bytes.subarray(at, at + PIECE_BYTES), cuts));
    return left.length === 1 && left[0] ? left[0] : Buffer.concat(left);
  }

  #piece(bytes: Uint8Array, cuts: Cuts): Uint8Array {
    if (this.#lost > 0) {
      this.#lost--;
      return new Uint8Array();
    }
    this.#until -= bytes.length;
    if (this.#until > 0) return bytes;
    this.#until += this.#next(cuts); // what came beyond this cut counts for the next
    this.#lost = this.#below(cuts.pieces);
    this.count++;
    return bytes.subarray(0, this.#below(bytes.length));
  }
}
