// What a guest's serial port wrote, in files that together never pass a limit. Two halves take turns: the older one is overwritten
// when the newer is full. Offsets count every byte that was kept since the guest was made, so readers can tell what they missed.
// Bytes come while the line to the hypervisor is read: a full disk costs the bytes, and is told, but it is never thrown from here.
//
//   offset:  0 ........ half ........ 2*half ....... 3*half
//   file:    NAME.0     NAME.1        NAME.0         NAME.1
import { closeSync, ftruncateSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { fileError } from "../files.js";
import { ConsoleBudget, type Shedding } from "./consolebudget.js";

export const CONSOLE_LOG_BYTES = 16 * 2 ** 20;

export interface ConsoleLogOptions {
  /** bytes that are kept at most */
  limit?: number;
  /** shared with the other logs */
  budget?: ConsoleBudget;
  /** bytes could not be written: once, until writing succeeds again */
  onFailure?: (error: unknown) => void;
  /** as writeSync: fewer bytes than asked for may be written */
  write?: (file: number, bytes: Uint8Array, offset: number, length: number, position: number) => number;
}

export class ConsoleLog implements Shedding {
  readonly #half: number;
  readonly #base: string;
  readonly #options: Required<ConsoleLogOptions>;
  /** opened with the first byte: most guests never use their second port */
  readonly #files: [number | undefined, number | undefined] = [undefined, undefined];
  #end = 0;
  /** what lies before it is gone, though its half's turn has not come */
  #floor = 0;
  #failing = false;
  /** bytes that the guest wrote while nobody had room for them, here or in the hypervisor */
  lost = 0;

  constructor(folder: string, name: string, options: ConsoleLogOptions = {}) {
    this.#options = { limit: CONSOLE_LOG_BYTES, budget: new ConsoleBudget(), onFailure: () => {}, write: writeSync, ...options };
    this.#base = join(folder, name);
    this.#half = Math.floor(this.#options.limit / 2);
    this.#options.budget.join(this);
  }

  /** offset after the last byte */
  get end(): number {
    return this.#end;
  }

  /** offset of the oldest byte that is kept */
  get start(): number {
    return Math.max(0, this.#floor, (Math.ceil(this.#end / this.#half) - 2) * this.#half);
  }

  get kept(): number {
    return this.#end - this.start;
  }

  /** How many of the bytes were kept, from the first on; the others count as lost. */
  append(bytes: Uint8Array): number {
    let done = 0;
    try {
      while (done < bytes.length) done += this.#part(bytes, done);
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) this.#options.onFailure(fileError(error, this.#base));
      this.#failing = true;
      this.lost += bytes.length - done;
    }
    return done;
  }

  /** At most `length` bytes from `offset` on, or from the oldest that is kept. */
  read(offset: number, length: number): { data: Uint8Array; offset: number } {
    const from = Math.min(Math.max(offset, this.start), this.#end);
    const data = Buffer.alloc(Math.min(length, this.#end - from));
    for (let done = 0; done < data.length; ) {
      const within = (from + done) % this.#half;
      const count = Math.min(data.length - done, this.#half - within);
      const got = readSync(this.#file(from + done), data, done, count, within);
      if (got === 0) return { data: data.subarray(0, done), offset: from }; // somebody else cut the file short
      done += got;
    }
    return { data, offset: from };
  }

  /** The older half, or all when there is none. */
  shed(): void {
    const { kept } = this;
    const newer = Math.max(0, Math.ceil(this.#end / this.#half) - 1) * this.#half;
    const older = this.start < newer;
    const file = this.#files[this.#index(older ? newer - 1 : newer)];
    this.#floor = older ? newer : this.#end;
    this.#options.budget.changed(this.kept - kept);
    if (file !== undefined) ftruncateSync(file, 0); // written on at its place: what lies before is a hole
  }

  remove(): void {
    this.#options.budget.changed(-this.kept);
    this.#options.budget.leave(this);
    this.#floor = this.#end;
    this.#files.forEach((file, index) => {
      if (file !== undefined) closeSync(file);
      rmSync(`${this.#base}.${index}`, { force: true });
    });
    this.#files.fill(undefined);
  }

  /** Writes what goes into one half; how many bytes that were. */
  #part(bytes: Uint8Array, done: number): number {
    const { budget, write } = this.#options;
    const within = this.#end % this.#half;
    const count = Math.min(bytes.length - done, this.#half - within);
    budget.makeRoom(count);
    const { kept } = this;
    const file = this.#file(this.#end);
    if (within === 0) {
      ftruncateSync(file, 0);
      this.#floor = Math.max(this.#floor, this.#end - this.#half); // gone now, even when the next write fails
    }
    try {
      const written = write(file, bytes, done, count, within);
      if (written === 0) throw Object.assign(new Error("no byte was written"), { code: "ENOSPC" });
      this.#end += written;
      return written;
    } finally {
      budget.changed(this.kept - kept);
    }
  }

  #file(offset: number): number {
    const index = this.#index(offset);
    this.#files[index] ??= openSync(`${this.#base}.${index}`, "w+", 0o600);
    return this.#files[index];
  }

  #index(offset: number): 0 | 1 {
    return Math.floor(offset / this.#half) % 2 === 0 ? 0 : 1;
  }
}
