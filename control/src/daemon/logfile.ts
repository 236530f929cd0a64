// A log's file, written line by line at once so that a crash loses none, in two halves that take turns: it never takes more than its limit.
// A disk that is full costs lines, which are counted and told once there is room; it is never thrown from here.
import { closeSync, fstatSync, openSync, renameSync, writeSync } from "node:fs";

export const LOG_BYTES = 8 * 2 ** 20;

export interface LogFileOptions {
  /** bytes of both halves */
  limit?: number;
  /** as writeSync: fewer bytes than asked for may be written */
  write?: (file: number, bytes: Uint8Array, offset: number) => number;
}

/** The older half, which was renamed when the newer one began. */
export const olderHalf = (path: string): string => `${path}.1`;

export class LogFile {
  readonly #limit: number;
  readonly #write: NonNullable<LogFileOptions["write"]>;
  #file: number | undefined;
  #bytes = 0;
  /** the last line was cut off where the disk was full */
  #isCut = false;
  #lost = 0;

  constructor(
    private readonly path: string,
    { limit = LOG_BYTES, write = writeSync }: LogFileOptions = {},
  ) {
    this.#limit = limit;
    this.#write = write;
  }

  /** lines that there was no room for, and that were not told yet */
  get lost(): number {
    return this.#lost;
  }

  /** One line, its end with it. */
  write(line: string): void {
    try {
      if (this.#lost > 0) {
        this.#append(
          `${JSON.stringify({ level: 40, time: new Date().toISOString(), lines: this.#lost, msg: "lines of this log are lost: no room" })}\n`,
        );
        this.#lost = 0;
      }
      this.#append(line);
    } catch {
      this.#lost++;
    }
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #append(line: string): void {
    const bytes = Buffer.from(this.#isCut ? `\n${line}` : line);
    const file = this.#fileFor(bytes.length);
    let done = 0;
    try {
      while (done < bytes.length) {
        const written = this.#write(file, bytes, done);
        if (written === 0) throw new Error("no byte was written");
        done += written;
      }
      this.#isCut = false;
    } finally {
      this.#bytes += done;
      if (done > 0 && done < bytes.length) this.#isCut = true;
    }
  }

  #fileFor(count: number): number {
    if (this.#file !== undefined && this.#bytes > 0 && this.#bytes + count > this.#limit / 2) {
      this.close();
      renameSync(this.path, olderHalf(this.path));
    }
    if (this.#file === undefined) {
      this.#file = openSync(this.path, "a", 0o600);
      this.#bytes = fstatSync(this.#file).size;
      this.#isCut = false;
    }
    return this.#file;
  }
}
