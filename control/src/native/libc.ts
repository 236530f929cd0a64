// The few calls of libc that Node does not have, through koffi: mapping a file, ioctl, a socket option, locks, terminals (their layout is
// termios.ts's). Files are opened by node:fs.
// koffi is loaded at the first call: most commands never need it. Linux and macOS, 64 bits.
import { createRequire } from "node:module";
import { constants } from "node:os";
import type Koffi from "koffi";
import { HvkitError } from "../errors.js";

/** A mapping's address, for unmap() and view() only. */
export type Address = bigint;

interface Libc {
  koffi: typeof Koffi;
  mmap: (address: null, length: number, protection: number, flags: number, fd: number, offset: number) => unknown;
  munmap: (address: Address, length: number) => number;
  ioctl: (fd: number, request: number, argument: Buffer | null) => number;
  setsockopt: (fd: number, level: number, option: number, value: Buffer, length: number) => number;
  flock: (fd: number, operation: number) => number;
  tcgetattr: (fd: number, settings: Buffer) => number;
  tcsetattr: (fd: number, when: number, settings: Buffer) => number;
  tcflush: (fd: number, queue: number) => number;
  cfmakeraw: (settings: Buffer) => void;
  cfsetspeed: (settings: Buffer, speed: number) => number;
}

// The same numbers on Linux and macOS (sys/mman.h).
const PROT_READ_WRITE = 1 | 2;
const MAP_SHARED = 1;
const MAP_FAILED = 0xffff_ffff_ffff_ffffn;

let loaded: Libc | undefined;

function libc(): Libc {
  if (loaded) return loaded;
  const koffi = createRequire(import.meta.url)("koffi") as typeof Koffi;
  // null: the symbols of this process, so that no library name is needed (glibc, musl, libSystem).
  const library = koffi.load(null);
  loaded = {
    koffi,
    mmap: library.func("void *mmap(void *address, size_t length, int protection, int flags, int fd, int64_t offset)"),
    munmap: library.func("int munmap(uintptr_t address, size_t length)"),
    // Declared with fixed arguments: on Linux these go as the variadic ones do. Only Linux has what it is used for.
    ioctl: library.func("int ioctl(int fd, unsigned long request, _Inout_ uint8_t *argument)"),
    setsockopt: library.func("int setsockopt(int fd, int level, int option, const uint8_t *value, uint32_t length)"),
    flock: library.func("int flock(int fd, int operation)"),
    tcgetattr: library.func("int tcgetattr(int fd, _Out_ uint8_t *settings)"),
    tcsetattr: library.func("int tcsetattr(int fd, int when, const uint8_t *settings)"),
    tcflush: library.func("int tcflush(int fd, int queue)"),
    cfmakeraw: library.func("void cfmakeraw(_Inout_ uint8_t *settings)"),
    cfsetspeed: library.func("int cfsetspeed(_Inout_ uint8_t *settings, unsigned long speed)"),
  };
  return loaded;
}

/** Maps `length` bytes of an open file from `offset`, for reading and writing, shared. */
export function mmap(fd: number, offset: number, length: number): Address {
  const { koffi, mmap: call } = libc();
  const address = BigInt(koffi.address(call(null, length, PROT_READ_WRITE, MAP_SHARED, fd, offset)));
  if (address === MAP_FAILED) throw systemError("mmap");
  return address;
}

export function munmap(address: Address, length: number): void {
  if (libc().munmap(address, length) !== 0) throw systemError("munmap");
}

/** The bytes at an address, without a copy. Touching them after munmap() ends the process: the owner must forget them first. */
export function view(address: Address, length: number): Uint8Array {
  return new Uint8Array(libc().koffi.view(address, length));
}

/** The call's result; -1 becomes an error with errno's name. */
export function ioctl(fd: number, request: number, argument: Buffer | null = null): number {
  const result = libc().ioctl(fd, request, argument);
  if (result < 0) throw systemError("ioctl");
  return result;
}

// Linux, netinet/tcp.h.
const IPPROTO_TCP = 6;
const TCP_QUICKACK = 12;
const ONE = Buffer.from([1, 0, 0, 0]);

/** Acknowledges what a TCP socket has received at once (tcp(7)). Not permanent: to be called after each read. */
export function quickAck(fd: number): void {
  libc().setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, ONE, ONE.length);
}

// The same numbers on Linux and macOS (sys/file.h).
const LOCK_EX_NB = 2 | 4;

/** An open file's exclusive lock, which ends with its last descriptor. False: somebody else has it. */
export function lockFile(fd: number): boolean {
  if (libc().flock(fd, LOCK_EX_NB) === 0) return true;
  const error = systemError("flock");
  if (error.data?.errno === "EAGAIN" || error.data?.errno === "EWOULDBLOCK") return false;
  throw error;
}

/** More than a struct termios of any system. */
const TERMIOS_BYTES = 256;
const TCSANOW = 0;

/** A terminal's settings, a struct termios. */
export function tcgetattr(fd: number): Buffer {
  const settings = Buffer.alloc(TERMIOS_BYTES);
  if (libc().tcgetattr(fd, settings) !== 0) throw systemError("tcgetattr");
  return settings;
}

/** At once. Succeeds when any of the settings could be made (POSIX): who needs all of them reads them back. */
export function tcsetattr(fd: number, settings: Buffer): void {
  if (libc().tcsetattr(fd, TCSANOW, settings) !== 0) throw systemError("tcsetattr");
}

/** Drops what lies in one of a terminal's queues (TCIFLUSH, TCOFLUSH, TCIOFLUSH of the system). */
export function tcflush(fd: number, queue: number): void {
  if (libc().tcflush(fd, queue) !== 0) throw systemError("tcflush");
}

/** Changes settings, not a terminal: bytes as they are. */
export function cfmakeraw(settings: Buffer): void {
  libc().cfmakeraw(settings);
}

export function cfsetspeed(settings: Buffer, speed: number): void {
  if (libc().cfsetspeed(settings, speed) !== 0) throw systemError("cfsetspeed");
}

/** E_SYSTEM with the call and errno's name in data. */
function systemError(call: string): HvkitError {
  const number = libc().koffi.errno();
  const errno = Object.entries(constants.errno).find(([, value]) => value === number)?.[0] ?? String(number);
  return new HvkitError("E_SYSTEM", `${call} failed: ${errno}`, { data: { call, errno } });
}
