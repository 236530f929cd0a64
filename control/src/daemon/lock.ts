// One daemon for a runtime folder: the lock file names its process. What a daemon left that was killed is cleaned up here,
// by whoever holds the lock.
import { linkSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { makeRuntimeFolder, type RuntimePaths } from "../api/paths.js";
import { HvkitError } from "../errors.js";
import { replaceFile } from "../files.js";
import { endProcess, isAlive, markOf, type ProcessMark } from "../native/process.js";

export function readMark(path: string): ProcessMark | undefined {
  try {
    const value = JSON.parse(readFileSync(path, "utf8")) as Partial<ProcessMark>;
    return typeof value.pid === "number" && value.pid > 1
      ? { pid: value.pid, start: typeof value.start === "string" ? value.start : null }
      : undefined;
  } catch {
    return undefined;
  }
}

export function writeMark(path: string, pid: number): void {
  replaceFile(path, JSON.stringify(markOf(pid)));
}

/** The daemon that runs, if one does. */
export function runningDaemon(paths: RuntimePaths): ProcessMark | undefined {
  const mark = readMark(paths.lock);
  return mark && isAlive(mark) ? mark : undefined;
}

/** Takes the folder for this process, made and emptied. True: a dead daemon had left things there. */
export async function takeLock(paths: RuntimePaths): Promise<boolean> {
  for (let attempt = 0; attempt < 5; attempt++) {
    makeRuntimeFolder(paths.folder);
    if (linkLock(paths)) return emptyFolder(paths);
    const other = runningDaemon(paths) ?? dropStaleLock(paths);
    if (other) {
      throw new HvkitError("E_ALREADY_UP", `a daemon runs already (process ${other.pid})`, {
        hint: "`hvkit status` shows it; `hvkit down` ends it.",
      });
    }
  }
  throw new HvkitError("E_ALREADY_UP", "another daemon is being started", { hint: "Try again." });
}

/** After takeLock, when the holder ends: nothing stays. */
export function removeFolder(paths: RuntimePaths): void {
  rmSync(paths.folder, { recursive: true, force: true });
}

/** Written beside and linked: whoever reads the lock sees all of it, and of several processes one succeeds. */
function linkLock(paths: RuntimePaths): boolean {
  const draft = `${paths.lock}.${process.pid}`;
  try {
    writeMark(draft, process.pid);
    linkSync(draft, paths.lock);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" || code === "ENOENT") return false; // ENOENT: its holder removed the folder just now
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Removes a dead daemon's lock. A process that took it meanwhile gets it back, and is returned. */
function dropStaleLock(paths: RuntimePaths): ProcessMark | undefined {
  const aside = `${paths.lock}.stale.${process.pid}`;
  try {
    renameSync(paths.lock, aside);
    const holder = readMark(aside);
    if (!holder || !isAlive(holder)) return undefined;
    linkSync(aside, paths.lock);
    return holder;
  } catch {
    return undefined; // somebody else was faster: the next attempt sees what is there
  } finally {
    rmSync(aside, { force: true });
  }
}

async function emptyFolder(paths: RuntimePaths): Promise<boolean> {
  const engine = readMark(paths.engine);
  if (engine) await endProcess(engine);
  const leftovers = readdirSync(paths.folder).filter((name) => !name.startsWith(basename(paths.lock)));
  for (const name of leftovers) rmSync(join(paths.folder, name), { recursive: true, force: true });
  return leftovers.length > 0;
}
