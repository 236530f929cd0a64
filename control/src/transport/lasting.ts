// A transport that outlasts its line: when the line breaks (a bridge that goes, a USB adapter that is pulled out) it is opened anew, until it
// is there again, or cannot come back. What was under way is lost, as on any bad line, and the link sends it again: its session goes on, and so
// does a transfer, where it broke off. Stands between a line's own transport and the link; engines/attach makes one.
import type { Transport } from "./transport.js";

export interface LastingOptions {
  /** opens the line anew */
  open: (signal: AbortSignal) => Transport | Promise<Transport>;
  /** whether an error of open() may be over by itself; the first that may not is the end. By default each may */
  isPassing?: (error: unknown) => boolean;
  /** milliseconds between two attempts */
  retryMs?: number;
}

/** An adapter that is plugged in again, a bridge that was started again: found within the blink of an eye. */
const RETRY_MS = 500;

export class LastingTransport implements Transport {
  readonly #options: Required<LastingOptions>;
  readonly #listeners: ((bytes: Uint8Array) => void)[] = [];
  readonly #closeListeners: ((error?: Error) => void)[] = [];
  readonly #brokenListeners: ((error: Error) => void)[] = [];
  readonly #backListeners: (() => void)[] = [];
  readonly #abort = new AbortController();
  /** undefined: broken */
  #line: Transport | undefined;
  #ended: { error?: Error } | undefined;

  constructor(line: Transport, options: LastingOptions) {
    this.#options = { isPassing: () => true, retryMs: RETRY_MS, ...options };
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

  onBroken(listener: (error: Error) => void): void {
    this.#brokenListeners.push(listener);
  }

  onBack(listener: () => void): void {
    this.#backListeners.push(listener);
  }

  /** Its end is told when the line has its own: then another one can have it. */
  close(): void {
    if (this.#abort.signal.aborted) return;
    this.#abort.abort();
    if (this.#line) this.#line.close();
    else this.#end();
  }

  #take(line: Transport): void {
    this.#line = line;
    line.onClose((error) => {
      if (this.#line !== line) return;
      this.#line = undefined;
      if (this.#abort.signal.aborted) this.#end();
      else void this.#broken(error ?? new Error("the line was closed"));
    });
    if (this.#listeners.length > 0) this.#listen(line);
  }

  #listen(line: Transport): void {
    line.onData((bytes) => {
      if (this.#line === line) for (const listener of this.#listeners) listener(bytes);
    });
  }

  async #broken(error: Error): Promise<void> {
    for (const listener of this.#brokenListeners) listener(error);
    const { signal } = this.#abort;
    while (!signal.aborted) {
      try {
        const line = await this.#options.open(signal);
        // Closed meanwhile: this one goes as well.
        if (signal.aborted) {
          line.close();
          return;
        }
        this.#take(line);
        for (const listener of this.#backListeners) listener();
        return;
      } catch (failure) {
        if (signal.aborted) return;
        if (!this.#options.isPassing(failure)) {
          this.#end(new Error(`${error.message}, and it cannot come back: ${(failure as Error).message}`, { cause: failure }));
          return;
        }
      }
      await new Promise((resolve) => setTimeout(resolve, this.#options.retryMs));
    }
  }

  #end(error?: Error): void {
    if (this.#ended) return;
    this.#ended = error ? { error } : {};
    for (const listener of this.#closeListeners.splice(0)) listener(error);
  }
}
