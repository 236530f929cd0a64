// What an engine needs of the host, asked before it starts: its program, KVM where it is wanted, room for its files.
// Used by process, qemu and bochs. (`hvkit doctor` asks more, and explains.)
import { accessSync, constants, statfsSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { HvkitError } from "../errors.js";

/** The path of a program in PATH. */
export function findProgram(name: string, path = process.env.PATH ?? ""): string | undefined {
  for (const folder of path.split(delimiter)) {
    const candidate = join(folder, name);
    if (folder !== "" && isProgram(candidate)) return candidate;
  }
  return undefined;
}

export function requireProgram(engine: string, program: string, packages: string): string {
  const path = findProgram(program);
  if (path) return path;
  throw new HvkitError("E_ENGINE_MISSING", `${engine} is not installed: there is no ${program} in PATH.`, {
    hint: `Install it: ${packages}.`,
    data: { engine, program },
  });
}

/** KVM is of use where the guests that it runs get VMX or SVM: the hypervisor is such a guest. */
export async function kvmRunsHypervisors(): Promise<boolean> {
  if (process.platform !== "linux" || process.arch !== "x64") return false;
  const { probeKvm } = await import("../native/kvm.js");
  const kvm = probeKvm();
  return kvm.createVm === "ok" && (kvm.guestVmx === true || kvm.guestSvm === true);
}

/** The first of the folders with room for `bytes`, a reserve left over. Throws E_DISK_FULL. */
export function folderWithRoom(
  folders: readonly string[],
  bytes: number,
  what: string,
  free: (folder: string) => number = freeBytes,
): string {
  for (const folder of folders) if (free(folder) >= bytes + RESERVE_BYTES) return folder;
  const found = folders.map((folder) => `${folder} has ${mebibytes(Math.max(0, free(folder)))}`).join(", ");
  throw new HvkitError("E_DISK_FULL", `No room for ${what} of ${mebibytes(bytes)}: ${found}.`, {
    hint: "Free some space there, set TMPDIR to a folder with room, or ask for less (`hvkit up --memory 512M`).",
    data: { bytes, folders: [...folders] },
  });
}

/** What the other users of a file system shall still find. */
const RESERVE_BYTES = 16 << 20;

function freeBytes(folder: string): number {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return -1;
  }
}

const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`;

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
