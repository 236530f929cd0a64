// `hvkit dmesg`: finds a Linux kernel's log in a guest's memory, live or saved, and tells it as dmesg(1) does.
import { HvkitError } from "../errors.js";
import type { MachineView } from "../inspect/view.js";
import { findImage } from "./kernelimage.js";
import { type KernelLog, type LogRecord, readLog } from "./printk.js";
import { findVmcoreinfo } from "./vmcoreinfo.js";

export interface Dmesg extends KernelLog {
  /** the kernel's version, "6.1.0-50-cloud-amd64" */
  release: string;
}

/** Names of the levels, from 0 on (dmesg(1), --level). */
export const LEVELS = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"] as const;

/** @param onProgress of the search through RAM. Errors: E_NOT_LINUX, E_LOG. */
export async function readDmesg(view: MachineView, onProgress?: (done: number, total: number) => void): Promise<Dmesg> {
  const info = await findVmcoreinfo(view.memory, onProgress);
  // A kernel that has not come so far has its image there all the same.
  const found = info?.paging ? { names: info, paging: info.paging, release: info.release } : await fromImage(view);
  if (found) return { release: found.release, ...(await readLog(view.memory, found.paging, found.names)) };
  throw new HvkitError("E_NOT_LINUX", `there is no Linux kernel's log in the memory of '${view.name}'`, {
    hint: "It runs something else, or its kernel is not unpacked yet, or was built without CRASH_CORE and without BTF.",
    data: { guest: view.name },
  });
}

async function fromImage(view: MachineView) {
  const image = await findImage(view);
  return image && { names: image, paging: image.paging, release: image.release };
}

/** "[    0.123456] text", for each line of it. */
export function showRecord({ ns, text }: LogRecord): string {
  const micros = ns / 1000n;
  const time = `[${String(micros / 1_000_000n).padStart(5)}.${String(micros % 1_000_000n).padStart(6, "0")}] `;
  return text
    .replace(/\n$/, "")
    .split("\n")
    .map((line) => time + printable(line))
    .join("\n");
}

/** Nothing that a terminal would obey. */
export const printable = (text: string): string =>
  text.replaceAll(/[^\t\x20-\x7e]/g, (letter) => `\\x${letter.charCodeAt(0).toString(16).padStart(2, "0")}`);
