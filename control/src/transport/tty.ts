// Transport over a serial line: a tty in raw mode, for this process alone while it is open.
import { closeSync, constants, openSync, writeSync } from "node:fs";
import { Duplex } from "node:stream";
import { isatty, ReadStream } from "node:tty";
import { HvkitError } from "../errors.js";
import { lockFile } from "../native/libc.js";
import { allowOthers, checkBaud, makeRaw, refuseOthers, restore } from "../native/termios.js";
import { SocketTransport } from "./socket.js";

export const DEFAULT_BAUD = 115_200;
/** Milliseconds until a line that was full is tried again: its queue, a page, takes longer at any rate. */
const RETRY_MS = 4;
/** small enough that a slow line is noticed */
const HIGH_WATER_BYTES = 4096;

/** A descriptor of a terminal as a stream. Node's own would write in a loop that holds up all else where it cannot reopen the terminal. */
export class TtyStream extends Duplex {
  readonly #fd: number;
  readonly #reader: ReadStream;
  readonly #onDestroy: () => void;
  #retry: NodeJS.Timeout | undefined;

  /** @param fd opened with O_NONBLOCK; the stream's from here on */
  constructor(fd: number, onDestroy: () => void = () => {}) {
    super({ writableHighWaterMark: HIGH_WATER_BYTES });
    this.#fd = fd;
    this.#onDestroy = onDestroy;
    this.#reader = new ReadStream(fd);
    this.#reader.pause();
    this.#reader.on("data", (bytes) => {
      if (!this.push(bytes)) this.#reader.pause();
    });
    this.#reader.on("error", (error) => this.destroy(gone(error)));
    this.#reader.on("end", () => this.destroy(gone()));
  }

  override _read(): void {
    this.#reader.resume();
  }

  override _write(bytes: Buffer, encoding: string, done: (error?: Error) => void): void {
    try {
      const count = writeSync(this.#fd, bytes);
      if (count < bytes.length) this._write(bytes.subarray(count), encoding, done);
      else done();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") done(gone(error as Error));
      else this.#retry = setTimeout(() => this._write(bytes, encoding, done), RETRY_MS);
    }
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearTimeout(this.#retry);
    this.#onDestroy();
    // Where Node has reopened the terminal, there are two descriptors.
    const isOurs = descriptorOf(this.#reader) !== this.#fd;
    this.#reader.once("close", () => {
      if (isOurs) closeSync(this.#fd);
      done(error);
    });
    this.#reader.destroy();
  }
}

export interface TtyOptions {
  path: string;
  baud?: number;
}

/** Throws E_TTY, E_TTY_BUSY, E_BAUD. */
export function openTty({ path, baud = DEFAULT_BAUD }: TtyOptions): SocketTransport {
  checkBaud(baud);
  const fd = open(path);
  let stream: TtyStream | undefined;
  try {
    if (!isatty(fd))
      throw new HvkitError("E_TTY", `${path} is no terminal`, { hint: "A serial line is /dev/ttyS0, /dev/ttyUSB0, /dev/pts/3, ..." });
    const before = rawOrThrow(fd, path, baud);
    const leave = (): void => {
      // A device that has gone takes no settings.
      for (const step of [() => restore(fd, before), () => allowOthers(fd)]) attempt(step);
    };
    stream = new TtyStream(fd, leave);
    // After the stream, which may have reopened the terminal: a lock belongs to what was opened.
    if (!lockFile(fd)) throw busy(path);
    attempt(() => refuseOthers(fd));
    return new SocketTransport(stream);
  } catch (error) {
    if (stream) stream.destroy();
    else closeSync(fd);
    throw error;
  }
}

function open(path: string): number {
  try {
    // Without O_NONBLOCK it would wait for a carrier.
    return openSync(path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EBUSY") throw busy(path, error);
    const [what, hint] = OPEN_ERRORS[code ?? ""] ?? [`cannot be opened (${code})`, "Check the path."];
    throw new HvkitError("E_TTY", `${path} ${what}`, { hint, data: { path, errno: code }, cause: error });
  }
}

const OPEN_ERRORS: Record<string, [what: string, hint: string]> = {
  ENOENT: ["is not there", "`ls /dev/ttyS* /dev/ttyUSB* /dev/ttyACM*` shows the serial lines of this machine."],
  EACCES: ["may not be opened by you", "Join the group that owns it, often `sudo usermod -aG dialout $USER`, and log in again."],
  EPERM: ["may not be opened by you", "Join the group that owns it, often `sudo usermod -aG dialout $USER`, and log in again."],
  EISDIR: ["is a folder", "Name the tty itself."],
  ENXIO: ["has no device behind it", "Plug it in, or take another one."],
  ENODEV: ["has no device behind it", "Plug it in, or take another one."],
  EIO: ["has nobody at its other end", "Start what holds the other end of the pty first."],
};

function rawOrThrow(fd: number, path: string, baud: number): Buffer {
  // Asked first: whoever has it open would lose bytes by our settings.
  if (!lockFile(fd)) throw busy(path);
  try {
    return makeRaw(fd, baud);
  } catch (error) {
    if (!(error instanceof HvkitError) || error.code !== "E_SYSTEM") throw error;
    // A ttyS without a UART can be opened, and does nothing else.
    throw new HvkitError("E_TTY", `${path} does not behave like a serial line: ${error.message}`, {
      hint: "Perhaps there is no device behind it.",
      cause: error,
    });
  }
}

function busy(path: string, cause?: unknown): HvkitError {
  return new HvkitError("E_TTY_BUSY", `${path} is in use by another program`, {
    hint: `\`fuser ${path}\` says by which.`,
    ...(cause === undefined ? {} : { cause }),
  });
}

function gone(cause?: Error): HvkitError {
  const why = cause ? ` (${(cause as NodeJS.ErrnoException).code ?? cause.message})` : "";
  return new HvkitError("E_TTY_GONE", `the tty has gone${why}`, { hint: "Plug it in again, and start again.", cause });
}

function attempt(step: () => unknown): void {
  try {
    step();
  } catch {
    // What it is for would be a help, and no more.
  }
}

/** Node has no public way to it. */
const descriptorOf = (reader: ReadStream): number | undefined => (reader as unknown as { _handle?: { fd?: number } })._handle?.fd;
