// ^C, SIGTERM and SIGHUP of this process, for a command that does one thing after another. Whom they are told changes; the process' listener stays.
// Node forgets a signal that has come when the last listener for it leaves before the event loop's next turn, even if another one takes its place at once.

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export type Told = (signal: NodeJS.Signals) => void;

export class Interrupts {
  #told: Told;
  readonly #listener = (signal: NodeJS.Signals): void => this.#told(signal);

  constructor(told: Told) {
    this.#told = told;
    for (const signal of SIGNALS) process.on(signal, this.#listener);
  }

  /** From now on they are told to `told`, also those that have come and were not told yet. */
  tell(told: Told): void {
    this.#told = told;
  }

  /** From now on they end the process again. */
  close(): void {
    for (const signal of SIGNALS) process.off(signal, this.#listener);
  }
}
