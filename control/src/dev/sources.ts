// The sources that `hvkit dev` watches. What tells of a change is the folder (editors replace files rather than write them); and as not every
// file system tells, all are looked at now and then.
import { type FSWatcher, readdirSync, statSync, watch } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** between two looks when nothing is told */
const LOOK_MS = 2000;
/** until those files are there too that are written with the first one */
const SETTLE_MS = 30;

export interface Change {
  /** relative to the root */
  files: string[];
  /** when the last of them was written, as Date.now() has it */
  savedAt: number;
}

export class Sources {
  #known: Map<string, string>;
  readonly #watchers = new Map<string, FSWatcher>();
  #wake = (): void => {};
  #told = false;

  constructor(
    private readonly root: string,
    readonly folders: readonly string[],
  ) {
    this.#known = this.#look().stamps;
  }

  /** The next change: files written, new, or gone; those of one save together. Undefined when the signal comes. */
  async next(signal: AbortSignal): Promise<Change | undefined> {
    while (!signal.aborted) {
      this.#told = false;
      let change = this.#changed();
      for (let more = change; more && change; ) {
        await sleep(SETTLE_MS);
        more = this.#changed();
        if (more) change = { files: [...new Set([...change.files, ...more.files])].sort(), savedAt: more.savedAt };
      }
      if (change) return change;
      if (!this.#told) await this.#wait(signal);
    }
    return undefined;
  }

  close(): void {
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  async #wait(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      const timer = setTimeout(wake, LOOK_MS);
      this.#wake = wake;
      signal.addEventListener("abort", wake, { once: true });
    });
  }

  #changed(): Change | undefined {
    const { stamps, newest } = this.#look();
    const files = [...new Set([...stamps.keys(), ...this.#known.keys()])].filter((path) => stamps.get(path) !== this.#known.get(path));
    this.#known = stamps;
    if (files.length === 0) return undefined;
    const now = Date.now();
    // A file that is gone, or that was moved here, was not written just now.
    return { files: files.sort(), savedAt: newest > now - LOOK_MS && newest <= now ? newest : now };
  }

  #look(): { stamps: Map<string, string>; newest: number } {
    const stamps = new Map<string, string>();
    let newest = 0;
    for (const folder of this.folders) {
      this.#watch(join(this.root, folder));
      for (const entry of readdirSync(join(this.root, folder), { recursive: true, withFileTypes: true })) {
        const path = join(entry.parentPath, entry.name);
        if (entry.isDirectory()) this.#watch(path);
        // What an editor keeps beside a file is no source.
        if (!entry.isFile() || /^[.#]|~$/.test(entry.name)) continue;
        const info = statSync(path, { throwIfNoEntry: false });
        if (!info) continue;
        stamps.set(path.slice(this.root.length + 1), `${info.mtimeMs} ${info.size} ${info.ino}`);
        newest = Math.max(newest, info.mtimeMs);
      }
    }
    return { stamps, newest };
  }

  #watch(folder: string): void {
    if (this.#watchers.has(folder)) return;
    try {
      const watcher = watch(folder, () => {
        this.#told = true;
        this.#wake();
      });
      const forget = (): void => {
        watcher.close();
        this.#watchers.delete(folder);
      };
      watcher.on("error", forget).unref();
      this.#watchers.set(folder, watcher);
    } catch {
      // Too many watches, or none on this file system: the looks find it.
    }
  }
}
