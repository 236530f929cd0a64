// How a snapshot is refused: not one at all, of a version that this build does not read, or damaged. Used by whatever reads one.
import { HvkitError } from "../errors.js";

/** @param at byte offset of the part that is wrong */
export function damaged(what: string, at: number): HvkitError {
  const printable = what.replaceAll(/\p{Cc}/gu, "?"); // it may quote the file
  return new HvkitError("E_SNAPSHOT_DAMAGED", `the snapshot is damaged: ${printable} (at byte ${at})`, {
    hint: "It cannot be restored; take another one, or fetch the file again.",
    data: { at },
  });
}

export function wrongFormat(what: string, data: Record<string, unknown> = {}): HvkitError {
  return new HvkitError("E_SNAPSHOT_FORMAT", what, { hint: "docs/snapshot.md describes what can be read.", data });
}

/** What is wrong with a file, and which one: a reader of bytes does not know. */
export async function ofFile<T>(path: string, reading: Promise<T>): Promise<T> {
  try {
    return await reading;
  } catch (error) {
    if (!(error instanceof HvkitError) || !["E_SNAPSHOT_DAMAGED", "E_SNAPSHOT_FORMAT"].includes(error.code)) throw error;
    const { code, message, hint, data } = error;
    throw new HvkitError(code, `${path}: ${message}`, { ...(hint === undefined ? {} : { hint }), data: { ...data, path }, cause: error });
  }
}
