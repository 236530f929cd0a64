// Takes an image and what the user added to it (--memory, --append, --add) to the boot plan of a guest.
// Stands between the catalog (what there is) and the daemon's guests (which put the plan into RAM).
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { BootLimit } from "../../../protocol/boot.js";
import { parseSize } from "../api/size.js";
import { HvkitError } from "../errors.js";
import type { Image } from "./catalog.js";
import { type CpioFile, joinInitrd, writeCpio } from "./cpio.js";
import { KIND_NUMBER } from "./manifest.js";
import { type BootFiles, type BootPlan, checkMemory, planBoot } from "./plan.js";

export interface BootOptions {
  memoryBytes: number;
  append: string;
  added: readonly CpioFile[];
  /** the guest's TSC, for {tscKhz} in command lines */
  tscKhz: number;
}

export function imageMemory(image: Image, memory: string | undefined): number {
  const bytes = parseSize(memory ?? image.manifest.memory, "memory");
  checkMemory(bytes);
  return bytes;
}

export async function loadPlan(image: Image, options: BootOptions): Promise<BootPlan> {
  const { kind, files } = image.manifest;
  const kernel = await readImageFile(image, files.kernel);
  const boot: BootFiles = { kind: KIND_NUMBER[kind], kernel, modules: [], commandLine: commandLine(image, options) };
  if (kind === "linux") {
    const initrd = files.initrd === undefined ? new Uint8Array(0) : await readImageFile(image, files.initrd);
    const data = options.added.length === 0 ? initrd : joinInitrd(initrd, writeCpio(options.added));
    if (data.length > 0) boot.modules.push({ data, commandLine: "" });
  } else {
    if (kind === "bootsector" && options.added.length > 0) refuse(image, "--add", "E_ADD");
    for (const module of files.modules)
      boot.modules.push({ data: await readImageFile(image, module.file), commandLine: module.commandLine });
    for (const { path, data } of options.added) boot.modules.push({ data, commandLine: path });
  }
  return planBoot(boot, options.memoryBytes);
}

/** The image's default, then --append. */
function commandLine(image: Image, { append, tscKhz }: BootOptions): string {
  if (image.manifest.kind === "bootsector" && append !== "") refuse(image, "--append", "E_APPEND");
  const base = image.manifest.commandLine.replaceAll("{tscKhz}", String(tscKhz));
  const line = [base, append].filter((part) => part !== "").join(" ");
  if (Buffer.byteLength(line) > BootLimit.CommandLineBytes || line.includes("\0")) {
    throw new HvkitError(
      "E_COMMAND_LINE_TOO_LONG",
      `the command line has ${Buffer.byteLength(line)} bytes, ${BootLimit.CommandLineBytes} are allowed`,
      {
        hint: "Shorten what --append adds.",
      },
    );
  }
  return line;
}

async function readImageFile(image: Image, file: string): Promise<Uint8Array> {
  const bytes = await readFile(join(image.filesFolder, file));
  if (bytes.length === 0) throw new HvkitError("E_IMAGE_FILE_EMPTY", `image '${image.manifest.name}': ${file} is empty`);
  return bytes;
}

function refuse(image: Image, option: string, code: string): never {
  throw new HvkitError(code, `image '${image.manifest.name}' is a boot sector, which ${option} cannot reach`, {
    hint: `Leave ${option} out.`,
  });
}
