// What one side gives and another takes with `for await`: bytes of a console, events. Who gives can wait until it was taken.
import { type Abortable, reasonOf } from "./abort.js";

interface Given<T> {
  value: T;
  taken: () => void;
}

export class Stream<T> implements AsyncIterableIterator<T> {
  readonly #given: Given<T>[] = [];
  readonly #onLeave: () => void;
  readonly #signal: AbortSignal | undefined;
  #wake: () => void = () => {};
  #over = false;
  #error: Error | undefined;

  /** @param onLeave called once, when the reader leaves or all is over */
  constructor(onLeave: () => void, { signal }: Abortable = {}) {
    this.#onLeave = onLeave;
    this.#signal = signal;
    if (signal?.aborted) this.#abort();
    else signal?.addEventListener("abort", this.#abort, { once: true });
  }

  /** Its reader has left, or all is given. */
  get isOver(): boolean {
    return this.#over;
  }

  /** Resolves when it was taken, or will never be. */
  give(value: T): Promise<void> {
    if (this.#over) return Promise.resolve();
    return new Promise((taken) => {
      this.#given.push({ value, taken });
      this.#wake();
    });
  }

  /** What was given is still taken, then it is over. */
  end(error?: Error): void {
    if (this.#over) return;
    this.#over = true;
    this.#error = error;
    this.#signal?.removeEventListener("abort", this.#abort);
    this.#onLeave();
    this.#wake();
  }

  async next(): Promise<IteratorResult<T, undefined>> {
    for (;;) {
      const first = this.#given.shift();
      if (first) {
        first.taken();
        return { done: false, value: first.value };
      }
      if (this.#error) throw this.#error;
      if (this.#over) return { done: true, value: undefined };
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async return(): Promise<IteratorResult<T, undefined>> {
    this.#drop();
    this.end();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  readonly #abort = (): void => {
    this.#drop();
    this.end(this.#signal ? reasonOf(this.#signal) : undefined);
  };

  #drop(): void {
    for (const { taken } of this.#given.splice(0)) taken();
  }
}
