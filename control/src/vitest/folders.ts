// The folders of a run's artifacts. What an earlier run left of a test goes when the test first ends; within a run nothing goes: a test that is
// tried again, and others of the same title, have folders of their own, NAME, NAME~2 ... (no title makes a '~').
import { readdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { folderName } from "./title.js";

export class ArtifactFolders {
  /** by what it would be alone: how many were given */
  readonly #given = new Map<string, number>();

  /** A test, or one try of it, has ended. */
  ended(artifacts: string, title: string): void {
    const [folder, name] = [resolve(artifacts), folderName(title)];
    const base = join(folder, name);
    if (this.#given.has(base)) return;
    this.#given.set(base, 0);
    for (const found of listed(folder)) {
      if (found === name || (found.startsWith(`${name}~`) && /^\d+$/.test(found.slice(name.length + 1)))) {
        rmSync(join(folder, found), { recursive: true, force: true });
      }
    }
  }

  /** For one that failed: nobody else's. */
  give(artifacts: string, title: string): string {
    const base = resolve(artifacts, folderName(title));
    const number = (this.#given.get(base) ?? 0) + 1;
    this.#given.set(base, number);
    return number === 1 ? base : `${base}~${number}`;
  }
}

function listed(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // there were none
  }
}
