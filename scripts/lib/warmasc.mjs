// AssemblyScript's compiler, kept in a thread of this process: the second time it needs a third of the time of a process of its own. For
// `hvkit dev`, which compiles again and again.
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { BuildError, root } from "./run.mjs";

export class WarmCompiler {
  #worker = new Worker(new URL(import.meta.url));
  #waiting = new Map();
  #last = 0;

  constructor() {
    this.#worker.unref();
    this.#worker.on("message", ({ id, text, failed }) => {
      const { resolve, reject } = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (this.#waiting.size === 0) this.#worker.unref();
      if (failed) reject(new BuildError(`asc failed:\n${text.trimEnd()}`));
      else resolve(text);
    });
    this.#worker.on("error", (error) => {
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    });
  }

  /** What asc says; BuildError when it fails. Paths are relative to the repository's root. */
  compile(args) {
    const id = ++this.#last;
    this.#worker.ref();
    this.#worker.postMessage({ id, args: [...args, "--baseDir", root] });
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  /** Compiles something whose output nobody wants, so that the next time is fast. */
  async warmUp(entry) {
    await this.compile([entry, "-O3", "--runtime", "stub", "--noEmit"]).catch(() => {});
  }

  async close() {
    await this.#worker.terminate();
  }
}

if (!isMainThread) {
  const { default: asc } = await import("assemblyscript/asc");
  // One after the other: the compiler keeps its state in its module.
  let work = Promise.resolve();
  parentPort.on("message", ({ id, args }) => {
    work = work.then(async () => {
      const { error, stdout, stderr } = await asc.main(args);
      parentPort.postMessage({ id, failed: error !== null, text: `${stdout}${stderr}${error && !`${stderr}` ? error.message : ""}` });
    });
  });
}
