// Incremental steps: each runs when the content of its inputs, its key (options) or its outputs' presence says so, and says how long
// it took. What a step saw last is one line in build/stamps; at most two steps run at once.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { BuildError, root } from "./run.mjs";

const parallel = 2;

/** Files under a folder of the repository (not following what does not exist), by suffix, sorted. */
export function files(folder, suffix, { deep = true } = {}) {
  const at = join(root, folder);
  if (!existsSync(at)) return [];
  const found = [];
  for (const entry of readdirSync(at, { withFileTypes: true })) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) {
      if (deep) found.push(...files(path, suffix));
    } else if (entry.name.endsWith(suffix)) found.push(path);
  }
  return found.sort();
}

/** A digest of the files' names and contents. */
export function digest(paths, key = "") {
  const hash = createHash("sha256").update(key);
  for (const path of paths) hash.update(`\0${path}\0`).update(readFileSync(join(root, path)));
  return hash.digest("hex");
}

export class Steps {
  #log;
  #stamps;
  #free = parallel;
  #waiting = [];
  /** steps that had to run */
  ran = 0;

  constructor(stamps, log) {
    this.#stamps = join(root, stamps);
    this.#log = log;
    mkdirSync(this.#stamps, { recursive: true });
  }

  /**
   * One step. `name` is shown; `inputs` and `outputs` are paths in the repository; `after` are steps to wait for;
   * `run` does the work; `key` is whatever else changes the result.
   */
  async step({ name, inputs, outputs, after = [], run, key = "" }) {
    await Promise.all(after);
    const paths = typeof inputs === "function" ? inputs() : inputs;
    for (const path of paths) if (!existsSync(join(root, path))) throw new BuildError(`${name}: ${path} does not exist`);
    const stamp = join(this.#stamps, name.replaceAll(/[^\w.-]+/g, "_"));
    const before = digest(paths, key);
    const same = existsSync(stamp) && readFileSync(stamp, "utf8") === before;
    if (same && outputs.every((path) => existsSync(join(root, path)))) return;

    for (const path of outputs) mkdirSync(dirname(join(root, path)), { recursive: true });
    await this.#take();
    const start = performance.now();
    try {
      const text = await run();
      writeFileSync(stamp, before);
      this.ran++;
      this.#log(`${name} (${((performance.now() - start) / 1000).toFixed(2)} s)`);
      if (text) this.#log(text.trimEnd());
    } finally {
      this.#give();
    }
  }

  async #take() {
    if (this.#free > 0) this.#free--;
    else await new Promise((turn) => this.#waiting.push(turn));
  }

  #give() {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free++;
  }
}
