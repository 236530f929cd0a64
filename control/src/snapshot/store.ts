// Where snapshots lie: $XDG_DATA_HOME/hvkit/snapshots, this user's alone, a file each. A file is written beside, forced to the disk and
// renamed, and so is there as a whole or not at all; the draft's name says whose it is, so that those of killed writers can go.
import { closeSync, constants, fsyncSync, lstatSync, mkdirSync, openSync, readdirSync, readSync, rmSync } from "node:fs";
import { type FileHandle, open, rename, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { checkName, NAME } from "../api/name.js";
import { didYouMean } from "../api/nearest.js";
import { HvkitError } from "../errors.js";
import { fileError } from "../files.js";
import { isAlive, markOf } from "../native/process.js";
import type { SnapshotHeader } from "./format.js";
import { openSnapshot, type Source } from "./reader.js";
import type { Sink } from "./writer.js";

const SUFFIX = ".hvsnap";
/** NAME.hvsnap.PID-START.new */
const DRAFT = /\.hvsnap\.(\d+)-(\d*)\.new$/;

export interface StoredSnapshot {
  name: string;
  path: string;
  bytes: number;
  /** null: it cannot be read, `problem` says why */
  header: SnapshotHeader | null;
  problem: HvkitError | null;
}

export interface OpenSnapshot {
  source: Source;
  path: string;
  close(): Promise<void>;
}

export function snapshotFolder(env: NodeJS.ProcessEnv = process.env): string {
  const base = env.XDG_DATA_HOME;
  return join(base !== undefined && isAbsolute(base) ? base : join(homedir(), ".local", "share"), "hvkit", "snapshots");
}

/** The snapshot's name without one that was asked for: the guest's, and the time. */
export function defaultName(guest: string, now = new Date()): string {
  const time = now
    .toISOString()
    .replace(/[-:]|\..*/g, "")
    .replace("T", "-");
  return `${guest.slice(0, 62 - time.length)}-${time}`;
}

export class SnapshotStore {
  readonly #writing = new Set<string>();

  constructor(readonly folder: string = snapshotFolder()) {}

  /** Removes the drafts of writers that are gone. */
  clean(): void {
    for (const file of this.#files()) {
      const [, pid, start] = DRAFT.exec(file) ?? [];
      if (pid === undefined || isAlive({ pid: Number(pid), start: start || null })) continue;
      rmSync(join(this.folder, file), { force: true });
    }
  }

  /** With what their headers say; those that cannot be read too. */
  async list(): Promise<StoredSnapshot[]> {
    const names = this.#files()
      .filter((file) => file.endsWith(SUFFIX))
      .map((file) => file.slice(0, -SUFFIX.length))
      .filter((name) => NAME.test(name));
    const found: StoredSnapshot[] = [];
    for (const name of names.sort()) {
      const snapshot = await this.#look(name);
      if (snapshot) found.push(snapshot);
    }
    return found;
  }

  /** A snapshot by its name, or a file by its absolute path. */
  async open(reference: string): Promise<OpenSnapshot> {
    if (!isAbsolute(reference) && !NAME.test(reference)) throw this.#absent(reference);
    const path = isAbsolute(reference) ? reference : this.#path(reference);
    let file: FileHandle;
    try {
      file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK); // a pipe would wait for its writer
    } catch (error) {
      throw this.#cannotOpen(reference, path, error as NodeJS.ErrnoException);
    }
    const info = await file.stat();
    if (!info.isFile()) {
      await file.close();
      throw new HvkitError("E_SNAPSHOT_FORMAT", `${path} is no regular file`, { hint: "A snapshot is one.", data: { path } });
    }
    return { source: fileSource(file, info.size), path, close: () => file.close() };
  }

  /** What `fill` writes becomes the snapshot `name`. When it fails, what was there before stays.
   * @param replace one of that name may be there */
  async write(name: string, replace: boolean, fill: (sink: Sink) => Promise<void>): Promise<string> {
    checkName(name, "snapshot");
    const path = this.#path(name);
    const taken = (): boolean => !replace && lstatSync(path, { throwIfNoEntry: false }) !== undefined;
    if (taken() || this.#writing.has(name)) throw exists(name);
    this.#writing.add(name);
    const { pid, start } = markOf(process.pid);
    const draft = `${path}.${pid}-${start ?? ""}.new`;
    try {
      mkdirSync(this.folder, { recursive: true, mode: 0o700 });
      const file = await open(draft, "w", 0o600);
      try {
        await fill((bytes) => writeAll(file, bytes));
        await file.sync();
      } finally {
        await file.close();
      }
      if (taken()) throw exists(name); // another daemon's
      await rename(draft, path);
      this.#sync();
    } catch (error) {
      rmSync(draft, { force: true });
      throw cannotWrite(error, path);
    } finally {
      this.#writing.delete(name);
    }
    return path;
  }

  /** Its file goes. */
  remove(name: string): void {
    checkName(name, "snapshot");
    try {
      rmSync(this.#path(name));
    } catch (error) {
      throw this.#cannotOpen(name, this.#path(name), error as NodeJS.ErrnoException);
    }
    this.#sync();
  }

  async #look(name: string): Promise<StoredSnapshot | undefined> {
    const path = this.#path(name);
    const bytes = (await stat(path).catch(() => undefined))?.size;
    if (bytes === undefined) return undefined; // removed meanwhile
    try {
      const snapshot = await this.open(name);
      try {
        return { name, path, bytes, header: await openSnapshot(snapshot.source), problem: null };
      } finally {
        await snapshot.close();
      }
    } catch (error) {
      if (!(error instanceof HvkitError)) throw error;
      return { name, path, bytes, header: null, problem: error };
    }
  }

  #files(): string[] {
    try {
      return readdirSync(this.folder);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
  }

  /** A rename is on the disk when its folder is. */
  #sync(): void {
    const folder = openSync(this.folder, "r");
    try {
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
  }

  #path(name: string): string {
    return join(this.folder, name + SUFFIX);
  }

  /** A name may be mistyped; of a path nobody knows what was meant. */
  #absent(reference: string): HvkitError {
    const names = this.#files()
      .filter((file) => file.endsWith(SUFFIX))
      .map((file) => file.slice(0, -SUFFIX.length));
    return noSnapshot(reference, reference.includes("/") ? [] : names);
  }

  #cannotOpen(reference: string, path: string, error: NodeJS.ErrnoException): HvkitError {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return this.#absent(reference);
    return new HvkitError("E_SNAPSHOT_FILE", `${path} cannot be opened: ${error.message}`, { data: { path }, cause: error });
  }
}

/** A failure of the file; whatever else went wrong while it was filled is given back as it is. */
function cannotWrite(error: unknown, path: string): unknown {
  const known = fileError(error, path);
  if (known instanceof HvkitError || !(error instanceof Error) || !("syscall" in error)) return known;
  return new HvkitError("E_SNAPSHOT_FILE", `${path} cannot be written: ${error.message}`, { data: { path }, cause: error });
}

function noSnapshot(reference: string, names: string[]): HvkitError {
  return new HvkitError("E_NO_SNAPSHOT", `there is no snapshot '${reference}'`, {
    hint: `${didYouMean(reference, names)}\`hvkit snapshot ls\` lists them, \`hvkit snapshot create GUEST\` makes one of a guest; a file elsewhere is given by its path, for example ./web.hvsnap.`,
    data: { snapshot: reference },
  });
}

function exists(name: string): HvkitError {
  return new HvkitError("E_SNAPSHOT_EXISTS", `there is a snapshot '${name}' already, or one is being written`, {
    hint: `Choose another name, or remove it: hvkit snapshot rm ${name}`,
    data: { name },
  });
}

function fileSource(file: FileHandle, bytes: number): Source {
  const shorter = (at: number): HvkitError =>
    new HvkitError("E_SNAPSHOT_DAMAGED", "the snapshot's file has become shorter", { data: { at } });
  return {
    bytes,
    async read(at, into) {
      for (let done = 0; done < into.length; ) {
        const { bytesRead } = await file.read(into, done, into.length - done, at + done);
        if (bytesRead === 0) throw shorter(at + done);
        done += bytesRead;
      }
    },
    readSync(at, into) {
      for (let done = 0; done < into.length; ) {
        const bytesRead = readSync(file.fd, into, done, into.length - done, at + done);
        if (bytesRead === 0) throw shorter(at + done);
        done += bytesRead;
      }
    },
  };
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done);
    done += bytesWritten;
  }
}
