// A guest's symbols for gdb: of a Linux kernel they are taken out of the kernel itself and kept as a file, since that takes seconds; a multiboot
// image is an ELF file already.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { projectRoot } from "../api/root.js";
import type { GuestDetail } from "../api/schemas.js";
import { HvkitError } from "../errors.js";
import { replaceFile } from "../files.js";
import { parseSymbols } from "../hypervisor/symbols.js";
import { Catalog } from "../images/catalog.js";
import { unpackKernel } from "./bzimage.js";
import { readKallsyms } from "./kallsyms.js";
import { debugFrame } from "./orc.js";
import { symbolFile } from "./symbolfile.js";
import { readSections } from "./vmlinux.js";

const SLIDE_STEP = 0x20_0000n;
const MOST_SLIDE = 0x4000_0000n;
/** Counts up when what is made of a kernel changes. */
const FORM = 1;

export interface Symbols {
  /** an ELF file */
  file: string;
  /** to be added to its addresses: how far a kernel has moved itself */
  offset: bigint;
}

/** Where a kernel's system calls enter: what it puts into LSTAR when it boots. */
const SYSCALL_ENTRY = "entry_SYSCALL_64";

/** For gdb; undefined: there are none, and `note` was told why. `lstar`: the guest's register of that name. */
export async function symbolsOf(
  guest: Pick<GuestDetail, "image" | "kind" | "append"> & { launch: { image: string } | null },
  lstar: () => Promise<bigint>,
  note: (line: string) => void,
): Promise<Symbols | undefined> {
  try {
    // A folder that was named by its path may have an image's name.
    const { manifest, filesFolder } = await new Catalog(projectRoot()).find(guest.launch?.image ?? guest.image);
    const kernel = join(filesFolder, manifest.files.kernel);
    if (guest.kind === "multiboot") return hasSections(kernel) ? { file: kernel, offset: 0n } : undefined;
    if (guest.kind !== "linux") return undefined;
    const file = await linuxSymbols(kernel, note);
    const entry = await lstar();
    if (entry !== 0n) return { file, offset: slideOf(file, entry) };
    if (!`${manifest.commandLine} ${guest.append}`.split(/\s+/).includes("nokaslr"))
      note("hvkit: the kernel may move itself when it boots: run it with --append nokaslr, or connect again once it has booted");
    return { file, offset: 0n };
  } catch (error) {
    if (!(error instanceof HvkitError)) throw error;
    note(`hvkit: no symbols: ${error.message}. ${error.hint ?? ""}`);
    return undefined;
  }
}

/** What an assembler's `-f bin` wrote as an ELF file has segments alone. */
function hasSections(path: string): boolean {
  const file = readFileSync(path);
  if (file.length < 64 || file.readUInt32BE(0) !== 0x7f454c46) return false;
  return file[4] === 1 ? file.readUInt32LE(0x20) !== 0 : file.readBigUInt64LE(0x28) !== 0n;
}

/** How far the kernel has moved: by whole 2 MiB, and not far. What is not so is another program's system call entry. */
export function slideOf(file: string, lstar: bigint): bigint {
  const entry = parseSymbols(readFileSync(file)).find(({ name }) => name === SYSCALL_ENTRY);
  const slide = entry ? lstar - entry.address : 0n;
  return slide > 0n && slide < MOST_SLIDE && slide % SLIDE_STEP === 0n ? slide : 0n;
}

/** Made once for each kernel. Errors: E_KERNEL_SYMBOLS. */
export async function linuxSymbols(kernel: string, note: (line: string) => void, folder = cacheFolder()): Promise<string> {
  const image = readFileSync(kernel);
  const path = join(folder, `linux-${createHash("sha256").update(image).digest("hex").slice(0, 16)}-${FORM}.elf`);
  if (existsSync(path)) return path;
  note("hvkit: reading the kernel's symbols, once");
  const sections = readSections(await unpackKernel(image));
  const data = sections.find(({ name }) => name === ".rodata")?.data ?? Buffer.alloc(0);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  replaceFile(path, symbolFile(sections, readKallsyms(data), debugFrame(sections)));
  return path;
}

function cacheFolder(): string {
  const base = process.env.XDG_CACHE_HOME;
  return join(base !== undefined && isAbsolute(base) ? base : join(homedir(), ".cache"), "hvkit");
}
