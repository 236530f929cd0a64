// What a guest's serial port wrote, in files that together never pass a limit. Two halves take turns: the older one is overwritten
// when the newer is full. Offsets count every byte since the guest was made, so readers can tell what they missed.
//
//   offset:  0 ........ half ........ 2*half ....... 3*half
//   file:    NAME.0     NAME.1        NAME.0         NAME.1
import { closeSync, ftruncateSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";

export const CONSOLE_LOG_BYTES = 16 * 2 ** 20;

export class ConsoleLog {
  readonly #half: number;
  readonly #base: string;
  /** opened with the first byte: most guests never use their second port */
  readonly #files: [number | undefined, number | undefined] = [undefined, undefined];
  #end = 0;
  /** bytes that the guest wrote while nobody had room for them */
  lost = 0;

  constructor(folder: string, name: string, limit = CONSOLE_LOG_BYTES) {
    this.#base = join(folder, name);
    this.#half = Math.floor(limit / 2);
  }

  /** offset after the last byte */
  get end(): number {
    return this.#end;
  }

  /** offset of the oldest byte that is kept */
  get start(): number {
    return Math.max(0, (Math.ceil(this.#end / this.#half) - 2) * this.#half);
  }

  append(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const within = this.#end % this.#half;
      const count = Math.min(bytes.length - done, this.#half - within);
      const file = this.#file(this.#end);
      if (within === 0) ftruncateSync(file, 0);
      writeSync(file, bytes, done, count, within);
      this.#end += count;
      done += count;
    }
  }

  /** At most `length` bytes from `offset` on, or from the oldest that is kept. */
  read(offset: number, length: number): { data: Uint8Array; offset: number } {
    const from = Math.min(Math.max(offset, this.start), this.#end);
    const data = Buffer.alloc(Math.min(length, this.#end - from));
    for (let done = 0; done < data.length; ) {
      const within = (from + done) % this.#half;
      const count = Math.min(data.length - done, this.#half - within);
      done += readSync(this.#file(from + done), data, done, count, within);
    }
    return { data, offset: from };
  }

  remove(): void {
    this.#files.forEach((file, index) => {
      if (file !== undefined) closeSync(file);
      rmSync(`${this.#base}.${index}`, { force: true });
    });
    this.#files.fill(undefined);
  }

  #file(offset: number): number {
    const index = Math.floor(offset / this.#half) % 2 === 0 ? 0 : 1;
    this.#files[index] ??= openSync(`${this.#base}.${index}`, "w+", 0o600);
    return this.#files[index];
  }
}
