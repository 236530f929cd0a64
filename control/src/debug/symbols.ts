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
import { Catalog } from "../images/catalog.js";
import { unpackKernel } from "./bzimage.js";
import { readKallsyms } from "./kallsyms.js";
import { debugFrame } from "./orc.js";
import { symbolFile } from "./symbolfile.js";
import { readSections } from "./vmlinux.js";

/** Counts up when what is made of a kernel changes. */
const FORM = 1;

/** The path of a file for gdb; undefined: there are none, and `note` was told why. */
export async function symbolsOf(guest: Pick<GuestDetail, "image" | "kind">, note: (line: string) => void): Promise<string | undefined> {
  try {
    const { manifest, filesFolder } = await new Catalog(projectRoot()).find(guest.image);
    const kernel = join(filesFolder, manifest.files.kernel);
    if (guest.kind === "multiboot") return kernel;
    if (guest.kind === "linux") return linuxSymbols(kernel, note);
    return undefined;
  } catch (error) {
    if (!(error instanceof HvkitError)) throw error;
    note(`hvkit: no symbols: ${error.message}. ${error.hint ?? ""}`);
    return undefined;
  }
}

/** Made once for each kernel. Errors: E_KERNEL. */
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
