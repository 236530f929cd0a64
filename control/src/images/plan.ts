// The boot plan: where an image's files and the boot block (protocol/boot.ts) go in a guest's RAM. Pure: bytes in, placements out.
// The loader of the daemon puts them there; hv/machine/boot takes it from the block on.
//
//   linux       kernel file at 14 MiB: the machine boots it in place, and the kernel moves itself to 16 MiB
//               initrd as high as it fits, page-aligned, below the boot block
//   others      modules, then the kernel file, as high as they fit, page-aligned: the machine copies the kernel down
//   all         the boot block, 64 KiB, at the end of RAM
import { BootBlock, BootLimit, BootModule } from "../../../protocol/boot.js";
import { GuestKind, GuestLimit } from "../../../protocol/messages.js";
import { MIB, showSize } from "../api/size.js";
import { HvkitError } from "../errors.js";

export interface BootFiles {
  kind: GuestKind;
  kernel: Uint8Array;
  /** linux: at most one, the initrd */
  modules: { data: Uint8Array; commandLine: string }[];
  commandLine: string;
}

export interface Placement {
  what: string;
  address: number;
  bytes: Uint8Array;
}

export interface BootPlan {
  kind: GuestKind;
  /** in the order in which they are put */
  placements: Placement[];
  block: number;
  blockBytes: number;
}

const LINUX_KERNEL = 14 * MIB;
/** below it lie what the machine and firmware-less guests use: vectors, boot structures, the real-mode area */
const FILES_START = MIB;
const PAGE = 4096;

export function planBoot(files: BootFiles, memoryBytes: number): BootPlan {
  checkMemory(memoryBytes);
  const commandLine = Buffer.from(files.commandLine);
  if (commandLine.length > BootLimit.CommandLineBytes) {
    throw new HvkitError(
      "E_COMMAND_LINE_TOO_LONG",
      `the command line has ${commandLine.length} bytes, ${BootLimit.CommandLineBytes} are allowed`,
    );
  }
  if (files.modules.length > BootLimit.Modules) {
    throw new HvkitError("E_TOO_MANY_MODULES", `${files.modules.length} modules, ${BootLimit.Modules} are allowed`);
  }
  const block = memoryBytes - BootLimit.BlockBytes;
  const linux = files.kind === GuestKind.Linux;
  const placements: Placement[] = [];
  const place = (what: string, address: number, bytes: Uint8Array): number => {
    if (bytes.length > 0) placements.push({ what, address, bytes });
    return address;
  };

  let floor = FILES_START;
  let kernel = LINUX_KERNEL;
  if (linux) {
    if (kernel + files.kernel.length > block) throw tooLarge("kernel", files.kernel.length, block - kernel, memoryBytes);
    floor = kernel + files.kernel.length;
    place("kernel", kernel, files.kernel);
  }
  let top = block;
  const modules = files.modules.map(({ data }, index) => {
    const what = linux ? "initrd" : `module ${index}`;
    const address = pageDown(top - data.length);
    if (address < floor) throw tooLarge(linux ? "initrd" : "module", data.length, top - floor, memoryBytes);
    top = address;
    return place(what, address, data);
  });
  if (!linux) {
    kernel = pageDown(top - files.kernel.length);
    if (kernel < floor) throw tooLarge("kernel", files.kernel.length, top - floor, memoryBytes);
    place("kernel", kernel, files.kernel);
  }
  const bytes = writeBlock(block, kernel, files, commandLine, modules);
  place("boot block", block, bytes);
  return { kind: files.kind, placements, block, blockBytes: bytes.length };
}

export function checkMemory(memoryBytes: number): void {
  const { MinMiB, MaxMiB } = GuestLimit;
  if (memoryBytes % (2 * MIB) !== 0 || memoryBytes < MinMiB * MIB || memoryBytes > MaxMiB * MIB) {
    throw new HvkitError("E_MEMORY_SIZE", `a guest cannot have ${showSize(memoryBytes)} of memory`, {
      hint: `Give it a multiple of 2 MiB, from ${MinMiB} MiB to ${MaxMiB} MiB.`,
      data: { memoryBytes },
    });
  }
}

/** The words, then the texts that they point at. */
function writeBlock(block: number, kernel: number, files: BootFiles, commandLine: Uint8Array, addresses: number[]): Uint8Array {
  const words = Array.from({ length: BootBlock.Words + files.modules.length * BootModule.Words }, () => 0);
  const texts: Uint8Array[] = [];
  let end = words.length * 8;
  const text = (bytes: Uint8Array): number => {
    const address = block + end;
    texts.push(bytes);
    end += bytes.length;
    return address;
  };
  words[BootBlock.Magic] = BootLimit.Magic;
  words[BootBlock.Kernel] = kernel;
  words[BootBlock.KernelBytes] = files.kernel.length;
  words[BootBlock.CommandLine] = text(commandLine);
  words[BootBlock.CommandLineBytes] = commandLine.length;
  words[BootBlock.Modules] = files.modules.length;
  files.modules.forEach((module, index) => {
    const at = BootBlock.Words + index * BootModule.Words;
    const name = Buffer.from(module.commandLine);
    words[at + BootModule.Address] = addresses[index] ?? 0;
    words[at + BootModule.Bytes] = module.data.length;
    words[at + BootModule.Name] = text(name);
    words[at + BootModule.NameBytes] = name.length;
  });
  if (end > BootLimit.BlockBytes) {
    throw new HvkitError(
      "E_BOOT_BLOCK_TOO_LARGE",
      `command lines of ${end} bytes do not fit into the boot block of ${BootLimit.BlockBytes}`,
    );
  }
  const head = Buffer.alloc(words.length * 8);
  words.forEach((word, index) => {
    head.writeBigUInt64LE(BigInt(word), index * 8);
  });
  return Buffer.concat([head, ...texts]);
}

function tooLarge(what: "kernel" | "initrd" | "module", bytes: number, room: number, memoryBytes: number): HvkitError {
  const left = Math.max(0, room);
  return new HvkitError(
    `E_${what.toUpperCase()}_TOO_LARGE`,
    `the ${what} has ${showSize(bytes)}; a guest of ${showSize(memoryBytes)} has room for ${showSize(left)}`,
    { hint: "Give the guest more with --memory.", data: { bytes, room: left, memoryBytes } },
  );
}

function pageDown(address: number): number {
  return Math.floor(address / PAGE) * PAGE;
}
