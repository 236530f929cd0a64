// What all guests' console logs may take together. When it is used up, the largest log gives its oldest bytes away, so that a guest
// that writes without end takes room from itself and not from the others.

export interface Shedding {
  /** bytes that it holds */
  readonly kept: number;
  /** Gives up its oldest bytes: some, or all. */
  shed(): void;
}

export const CONSOLE_TOTAL_BYTES = 256 * 2 ** 20;

export class ConsoleBudget {
  readonly #logs = new Set<Shedding>();
  #used = 0;

  constructor(readonly limit = CONSOLE_TOTAL_BYTES) {}

  /** bytes that all logs hold */
  get used(): number {
    return this.#used;
  }

  join(log: Shedding): void {
    this.#logs.add(log);
  }

  leave(log: Shedding): void {
    this.#logs.delete(log);
  }

  /** A log holds so many bytes more, or less. */
  changed(difference: number): void {
    this.#used += difference;
  }

  /** Before a log grows by `count` bytes. */
  makeRoom(count: number): void {
    while (this.#used + count > this.limit) {
      const largest = [...this.#logs].reduce<Shedding | undefined>((best, log) => (log.kept > (best?.kept ?? 0) ? log : best), undefined);
      if (!largest) return;
      largest.shed();
    }
  }
}
