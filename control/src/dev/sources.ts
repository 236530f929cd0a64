// The sources that `hvkit dev` watches: looked at again and again, as editors replace files, and not every file system tells of changes.
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const LOOK_MS = 100;

export interface Change {
  /** relative to the root */
  files: string[];
  /** when the last of them was written, as Date.now() has it */
  savedAt: number;
}

export class Sources {
  #known: Map<string, string>;

  constructor(
    private readonly root: string,
    readonly folders: readonly string[],
  ) {
    this.#known = this.#look().stamps;
  }

  /** The next change: files written, new, or gone; those of one save together. Undefined when the signal comes. */
  async next(signal: AbortSignal): Promise<Change | undefined> {
    for (;;) {
      let change = this.#changed();
      // Until a look finds nothing more: an editor or a checkout writes several.
      for (let more = change; more; ) {
        await sleep(LOOK_MS / 2);
        more = this.#changed();
        if (more && change) change = { files: [...new Set([...change.files, ...more.files])].sort(), savedAt: more.savedAt };
      }
      if (change) return change;
      const woken = await sleep(LOOK_MS, true, { signal }).catch(() => false);
      if (!woken) return undefined;
    }
  }

  #changed(): Change | undefined {
    const { stamps, newest } = this.#look();
    const files = [...new Set([...stamps.keys(), ...this.#known.keys()])].filter((path) => stamps.get(path) !== this.#known.get(path));
    this.#known = stamps;
    if (files.length === 0) return undefined;
    const now = Date.now();
    // A file that is gone, or that was moved here, was not written just now.
    return { files: files.sort(), savedAt: newest > now - 2 * LOOK_MS && newest <= now ? newest : now };
  }

  #look(): { stamps: Map<string, string>; newest: number } {
    const stamps = new Map<string, string>();
    let newest = 0;
    for (const folder of this.folders) {
      for (const entry of readdirSync(join(this.root, folder), { recursive: true, withFileTypes: true })) {
        // What an editor keeps beside a file is no source.
        if (!entry.isFile() || /^[.#]|~$/.test(entry.name)) continue;
        const path = join(entry.parentPath, entry.name);
        const info = statSync(path, { throwIfNoEntry: false });
        if (!info) continue;
        stamps.set(path.slice(this.root.length + 1), `${info.mtimeMs} ${info.size} ${info.ino}`);
        newest = Math.max(newest, info.mtimeMs);
      }
    }
    return { stamps, newest };
  }
}
