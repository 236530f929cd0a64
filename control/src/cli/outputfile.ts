// The file of an -o option: written beside and renamed when all is there, so that a failure or ^C leaves nothing half done.
// What is no regular file (a pipe, /dev/stdout) is written in place.
import { realpathSync, rmSync, statSync } from "node:fs";
import { type FileHandle, open, rename } from "node:fs/promises";
import { HvkitError } from "../errors.js";
import { fileError } from "../files.js";
import { Interrupts } from "../interrupts.js";
import { EXIT_INTERRUPTED } from "./output.js";

interface OutputOptions {
  /** the parts end by themselves at ^C, and what came until then is the file */
  endsAtInterrupt?: boolean;
}

export async function writeOutput(
  path: string,
  parts: AsyncIterable<Uint8Array>,
  { endsAtInterrupt = false }: OutputOptions = {},
): Promise<void> {
  const there = await onDisk(path, async () => statSync(path, { throwIfNoEntry: false }));
  if (there && !there.isFile()) {
    await fill(path, path, parts, there.mode);
    return;
  }
  const target = there ? realpathSync(path) : path;
  const draft = `${target}.${process.pid}.new`;
  const drop = (): void => rmSync(draft, { force: true });
  const interrupts = endsAtInterrupt ? undefined : new Interrupts(() => process.exit(EXIT_INTERRUPTED));
  process.on("exit", drop);
  try {
    await fill(draft, path, parts, there?.mode ?? 0o600);
    await onDisk(path, () => rename(draft, target));
  } finally {
    drop();
    process.off("exit", drop);
    interrupts?.close();
  }
}

async function fill(file: string, path: string, parts: AsyncIterable<Uint8Array>, mode: number): Promise<void> {
  let handle: FileHandle | undefined;
  try {
    // Opened with the first bytes: where they cannot be had, nothing was touched.
    for await (const part of parts) {
      handle ??= await onDisk(path, () => open(file, "w", mode & 0o777));
      const opened = handle;
      await onDisk(path, () => opened.writeFile(part)); // all of it, from where the last part ended
    }
  } finally {
    await handle?.close();
  }
}

/** Failures of the file get a code; those of what is read pass by. */
async function onDisk<T>(path: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    const known = fileError(error, path);
    if (known instanceof HvkitError) throw known;
    throw new HvkitError("E_OUTPUT", `${path} cannot be written: ${(error as Error).message}`, { data: { path }, cause: error });
  }
}
