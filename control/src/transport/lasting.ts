// A transport that outlasts its line: when the line breaks (a bridge that goes, a USB adapter that is pulled out) it is opened anew, for as long
// as the patience lasts. What was under way is lost, as on any bad line, and the link sends it again: its session goes on, and so does a
// transfer, where it broke off. Stands between a line's own transport and the link.
import type { Transport } from "./transport.js";

export interface LastingOptions {
  /** opens the line anew */
  open: (signal: AbortSignal) => Promise<Transport>;
  /** milliseconds from a break on until it counts as the end */
  patienceMs?: number;
  /** milliseconds between two attempts */
  retryMs?: number;
  onBroken?: (error: Error) => void;
  onBack?: () => void;
}

export class LastingTransport implements Transport {
  readonly #options: Required<LastingOptions>;
  readonly #listeners: ((bytes: Uint8Array) => void)[] = [];
  readonly #closeListeners: ((error?: Error) => void)[] = [];
  readonly #abort = new AbortController();
  /** undefined: broken */
  #line: Transport | undefined;
  #ended: { error?: Error } | undefined;

  constructor(line: Transport, options: LastingOptions) {
    this.#options = { patienceMs: 45_000, retryMs: 500, onBroken: () => undefined, onBack: () => undefined, ...options };
    this.#take(line);
  }

  get pending(): number {
    return this.#line?.pending ?? 0;
  }

  /** Of a broken line bytes are lost. */
  write(bytes: Uint8Array): void {
    this.#line?.write(bytes);
  }

  onData(listener: (bytes: Uint8Array) => void): void {
    this.#listeners.push(listener);
    if (this.#listeners.length === 1 && this.#line) this.#listen(this.#line);
  }

  onClose(listener: (error?: Error) => void): void {
    if (this.#ended) listener(this.#ended.error);
    else this.#closeListeners.push(listener);
  }

  close(): void {
    this.#end();
    this.#line?.close();
  }

  #take(line: Transport): void {
    this.#line = line;
    line.onClose((error) => {
      if (this.#line === line && !this.#ended) void this.#broken(error ?? new Error("the line was closed"));
    });
    if (this.#listeners.length > 0) this.#listen(line);
  }

  #listen(line: Transport): void {
    line.onData((bytes) => {
      if (this.#line === line) for (const listener of this.#listeners) listener(bytes);
    });
  }

  async #broken(error: Error): Promise<void> {
    this.#line = undefined;
    this.#options.onBroken(error);
    const until = performance.now() + this.#options.patienceMs;
    for (let cause = error; !this.#ended; ) {
      try {
        const line = await this.#options.open(this.#abort.signal);
        if (this.#ended) {
          line.close();
          return;
        }
        this.#take(line);
        this.#options.onBack();
        return;
      } catch (failure) {
        cause = failure as Error;
      }
      if (performance.now() >= until) {
        this.#end(new Error(`it did not come back within ${this.#options.patienceMs / 1000} s: ${cause.message}`, { cause: error }));
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, this.#options.retryMs));
    }
  }

  #end(error?: Error): void {
    if (this.#ended) return;
    this.#ended = error ? { error } : {};
    this.#abort.abort();
    for (const listener of this.#closeListeners.splice(0)) listener(error);
  }
}
