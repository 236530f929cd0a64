// A serial line's settings: where the flags and the speed lie in a struct termios, on Linux (asm-generic, glibc's struct) and macOS.
// Used by transport/tty.
import { HvkitError } from "../errors.js";
import { cfmakeraw, cfsetspeed, ioctl, tcflush, tcgetattr, tcsetattr } from "./libc.js";

/** Linux names each speed by a number of its own (asm-generic/termbits.h); macOS by itself. */
const SPEEDS = new Map([
  [1200, 0o11],
  [2400, 0o13],
  [4800, 0o14],
  [9600, 0o15],
  [19200, 0o16],
  [38400, 0o17],
  [57600, 0o10001],
  [115200, 0o10002],
  [230400, 0o10003],
  [460800, 0o10004],
  [500000, 0o10005],
  [576000, 0o10006],
  [921600, 0o10007],
  [1000000, 0o10010],
  [1152000, 0o10011],
  [1500000, 0o10012],
  [2000000, 0o10013],
  [2500000, 0o10014],
  [3000000, 0o10015],
  [3500000, 0o10016],
  [4000000, 0o10017],
]);

export const baudRates: readonly number[] = [...SPEEDS.keys()];

const layouts = {
  linux: {
    flagBytes: 4,
    cc: 17,
    VMIN: 6,
    VTIME: 5,
    outputSpeed: 56,
    ...{ CSTOPB: 0o100, CREAD: 0o200, CLOCAL: 0o4000, CRTSCTS: 0o20000000000 },
    ...{ TIOCEXCL: 0x540c, TIOCNXCL: 0x540d, TCIFLUSH: 0, TCOFLUSH: 1 },
  },
  darwin: {
    flagBytes: 8,
    cc: 32,
    VMIN: 16,
    VTIME: 17,
    outputSpeed: 64,
    ...{ CSTOPB: 0x400, CREAD: 0x800, CLOCAL: 0x8000, CRTSCTS: 0x30000 },
    ...{ TIOCEXCL: 0x2000740d, TIOCNXCL: 0x2000740e, TCIFLUSH: 1, TCOFLUSH: 2 },
  },
};

function layout(): (typeof layouts)["linux"] {
  if (process.platform === "linux" || process.platform === "darwin") return layouts[process.platform];
  throw new HvkitError("E_TTY", `serial lines of ${process.platform} are not supported: Linux and macOS are`, {
    hint: "`hvkit bridge` on such a machine, and `hvkit up --attach` to it.",
  });
}

/** Throws E_BAUD. */
export function checkBaud(baud: number): void {
  if (SPEEDS.has(baud)) return;
  throw new HvkitError("E_BAUD", `${baud} is no baud rate of a serial line`, { hint: `Take one of ${baudRates.join(", ")}.` });
}

/** Bytes as they are, 8 data bits, no parity, one stop bit, no flow control, no carrier needed; what came before is dropped. Gives the
 *  settings that the terminal had. */
export function makeRaw(fd: number, baud: number): Buffer {
  const at = layout();
  const before = tcgetattr(fd);
  const settings = Buffer.from(before);
  cfmakeraw(settings);
  const control = 2 * at.flagBytes; // c_iflag, c_oflag, c_cflag, c_lflag
  settings.writeUInt32LE(((settings.readUInt32LE(control) & ~(at.CSTOPB | at.CRTSCTS)) | at.CREAD | at.CLOCAL) >>> 0, control);
  settings[at.cc + at.VMIN] = 1;
  settings[at.cc + at.VTIME] = 0;
  cfsetspeed(settings, process.platform === "linux" ? (SPEEDS.get(baud) as number) : baud);
  tcsetattr(fd, settings);
  const speed = (of: Buffer): number => of.readUInt32LE(at.outputSpeed);
  const made = tcgetattr(fd);
  if (speed(made) !== speed(settings) || made.readUInt32LE(control) !== settings.readUInt32LE(control)) {
    tcsetattr(fd, before);
    throw new HvkitError("E_BAUD", `the line cannot be set to ${baud} baud with 8 data bits`, { hint: "Take another rate on both sides." });
  }
  tcflush(fd, at.TCIFLUSH);
  return before;
}

/** The terminal as it was; what is not on the line yet is dropped: at its speed it could take long. */
export function restore(fd: number, before: Buffer): void {
  tcflush(fd, layout().TCOFLUSH);
  tcsetattr(fd, before);
}

/** Nobody else may open it from here on (root may). */
export const refuseOthers = (fd: number): number => ioctl(fd, layout().TIOCEXCL);
export const allowOthers = (fd: number): number => ioctl(fd, layout().TIOCNXCL);
