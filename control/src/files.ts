// Files that are whole or not there: written beside, forced to the disk, renamed. For what another process or a later start reads.
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { HvkitError } from "./errors.js";

const NO_ROOM = ["ENOSPC", "EDQUOT"];

/** The file has all of `data`, or what it had before. Only for its user. */
export function replaceFile(path: string, data: string | Uint8Array): void {
  const draft = `${path}.${process.pid}.new`;
  try {
    const file = openSync(draft, "w", 0o600);
    try {
      writeFileSync(file, data);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw fileError(error, path);
  }
}

/** A full disk gets its own code; any other failure is given back as it is. */
export function fileError(error: unknown, path: string): unknown {
  if (!NO_ROOM.includes((error as NodeJS.ErrnoException).code ?? "")) return error;
  return new HvkitError("E_DISK_FULL", `the file system is full: ${path} cannot be written`, {
    hint: "Free some of it.",
    data: { path },
    cause: error,
  });
}
