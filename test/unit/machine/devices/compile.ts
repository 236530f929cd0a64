// Compiles AssemblyScript as the product's build does, once for each state of the sources. Warnings are errors.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const folder = "build/test";
const flags = "-O3 --runtime stub --use abort= --memoryBase 0x8000 --initialMemory 1 --maximumMemory 1".split(" ");

/** `source` is the text of an entry module that lies (or would lie) in this folder. */
export function compile(name: string, source: string): WebAssembly.Module {
  return new WebAssembly.Module(compiled(name, source) as BufferSource);
}

/** The same, not yet V8's. */
export function compiled(name: string, source: string): Buffer {
  const hash = createHash("sha256").update(source).update(flags.join());
  for (const path of machineSources()) hash.update(path).update(readFileSync(path));
  const stem = `${name}-${hash.digest("hex").slice(0, 16)}`;
  const wasm = join(folder, `${stem}.wasm`);
  if (!existsSync(wasm)) {
    mkdirSync(folder, { recursive: true });
    // Test files run side by side: one compiles, the others wait for its file, which appears at once.
    const own = join(folder, `${stem}-${process.pid}`);
    if (!claim(join(folder, `${stem}.lock`), wasm)) return readFileSync(wasm);
    writeFileSync(`${own}.ts`, source.replaceAll("../../../../hv/", "../../hv/"));
    const asc = spawnSync(process.execPath, ["node_modules/assemblyscript/bin/asc.js", `${own}.ts`, ...flags, "-o", `${own}.wasm`]);
    rmSync(`${own}.ts`);
    const said = `${asc.stdout.toString()}${asc.stderr.toString()}`;
    const clean = asc.status === 0 && said === "";
    if (clean) renameSync(`${own}.wasm`, wasm);
    rmSync(join(folder, `${stem}.lock`));
    if (!clean) throw new Error(`asc ${own}.ts: ${said}`);
  }
  return readFileSync(wasm);
}

/** True: it is ours to compile. False: somebody else did, meanwhile. A lock that outlives a minute belongs to nobody. */
function claim(lock: string, wasm: string): boolean {
  for (let tries = 0; ; tries++) {
    try {
      closeSync(openSync(lock, tries < 600 ? "wx" : "w"));
      return true;
    } catch {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
      if (existsSync(wasm)) return false;
    }
  }
}

function machineSources(): string[] {
  return ["hv/machine", "protocol"]
    .flatMap((folder) => readdirSync(folder, { recursive: true, encoding: "utf8" }).map((path) => join(folder, path)))
    .filter((path) => path.endsWith(".ts"))
    .sort();
}
