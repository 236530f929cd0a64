// A pseudo terminal pair, which stands for a serial line: the path of the one end, and the other end as a stream.
import { createRequire } from "node:module";
import type Koffi from "koffi";
import { TtyStream } from "../../control/src/transport/tty.js";

const O_RDWR = 2;
const O_NOCTTY = 0o400;
const O_NONBLOCK = 0o4000;

export interface Pty {
  /** of the end that is opened as a tty */
  path: string;
  /** the other end, once someone has opened the path: before that it reads an error */
  far: () => TtyStream;
}

/** Linux only. */
export function openPty(): Pty {
  const koffi = createRequire(import.meta.url)("koffi") as typeof Koffi;
  const libc = koffi.load(null);
  const posixOpenpt = libc.func("int posix_openpt(int flags)") as (flags: number) => number;
  const grantpt = libc.func("int grantpt(int fd)") as (fd: number) => number;
  const unlockpt = libc.func("int unlockpt(int fd)") as (fd: number) => number;
  const ptsname = libc.func("int ptsname_r(int fd, _Out_ uint8_t *buffer, size_t length)") as (
    fd: number,
    buffer: Buffer,
    length: number,
  ) => number;
  const fd = posixOpenpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
  const name = Buffer.alloc(128);
  if (fd < 0 || grantpt(fd) !== 0 || unlockpt(fd) !== 0 || ptsname(fd, name, name.length) !== 0) throw new Error("no pseudo terminal");
  let stream: TtyStream | undefined;
  return { path: name.toString("latin1").split("\0")[0] as string, far: () => (stream ??= new TtyStream(fd)) };
}
