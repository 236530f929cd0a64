// AssemblyScript to an object file: asc -> .wasm, wasm2c -> C, gcc -> .o. One row a module.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, posix } from "node:path";
import { enumsOf } from "./protocol.mjs";
import { BuildError, root, run, runNode } from "./run.mjs";

/** What each module's compilation is told. Memory is fixed: nothing grows after the start. */
const modules = {
  // Layout.Data of hv/machine/layout.ts is the memory base.
  machine: { base: 0x8000, pages: 1, besideInstance: true },
  // Small code: nothing of it is on the way of an exit.
  core: {
    base: 0x1000,
    pages: 4,
    optimize: "-O3s",
    cFlags: "-Oz -fno-inline-functions-called-once -fno-jump-tables -fno-tree-dominator-opts".split(" "),
  },
  // For Node alone.
  explain: { base: 0x400, pages: 1, optimize: "-O3s" },
};

const ascFlags = ["--runtime", "stub", "--use", "abort=", "--debug"];

/**
 * Freestanding code that an interrupt or a fault may leave at any instruction: no red zone, no vector registers (they are the
 * guest's), no sibling calls (return addresses tell a panic the way), frames probed page by page (design: the guard page below a stack).
 * Bounds are the guard window's: no explicit checks, no depth count.
 */
export const cFlags = [
  // asc has optimized already: -O2 makes 7 KB more of it, and an exit no shorter.
  "-Os",
  ..."-std=gnu11 -w -ffreestanding -fno-pic -mcmodel=small -mno-red-zone -mgeneral-regs-only".split(" "),
  ..."-fno-stack-protector -fstack-clash-protection -fno-optimize-sibling-calls -fcf-protection=none".split(" "),
  ..."-fno-asynchronous-unwind-tables -ffunction-sections -fdata-sections -fno-ident".split(" "),
  // Padding for the sake of a cache line costs 2 KB of an image that has a limit.
  ..."-falign-functions=1 -falign-jumps=1 -falign-loops=1".split(" "),
  ..."-DNDEBUG -DWASM_RT_MEMCHECK_SIGNAL_HANDLER=1 -DWASM_RT_SKIP_SIGNAL_RECOVERY=1 -DWASM_RT_USE_STACK_DEPTH_COUNT=0".split(" "),
];

const ascProcess = (args) => runNode("assemblyscript/bin/asc.js", args);

/** The module's entry point: a test's own (variant folder) where it has one, else the product's. */
function entryOf(module, folder) {
  const own = `${folder}/${module}.ts`;
  return folder && existsSync(join(root, own)) ? own : `hv/${module}/main.ts`;
}

/** Where a module's files go: a variant that has none of its own takes the product's. */
export const homeOf = (module, { out, entries }) => (entryOf(module, entries) === entryOf(module) ? "build" : out);

/** Steps for one module; resolves to its object file. `compile` is asc: a process of its own, if nobody has a warm one. `entry`: other sources. */
export async function moduleObject(steps, module, { entries, native, compile: asCompiler = ascProcess, ...options }) {
  const { base, pages, optimize = "-O3" } = modules[module];
  const out = options.entry ? options.out : homeOf(module, { ...options, entries });
  const entry = options.entry ?? entryOf(module, entries);
  const wasm = `${out}/${module}.wasm`;
  const c = `${out}/gen/${module}.c`;
  const object = `${out}/obj/${module}.o`;
  const limits = ["--memoryBase", String(base), "--initialMemory", String(pages), "--maximumMemory", String(pages)];
  const asc = [entry, optimize, ...ascFlags, ...limits, "-o", wasm];
  await steps.step({
    name: `asc ${entry} -> ${wasm}`,
    inputs: () => closure(entry),
    outputs: [wasm],
    key: asc.join(" "),
    run: () => asCompiler(asc),
  });
  if (!native) return object;
  const translate = ["-n", module, wasm, "-o", c];
  await steps.step({
    name: `wasm2c ${wasm} -> ${c}`,
    inputs: [wasm],
    outputs: [c, c.replace(/c$/, "h")],
    key: [...translate, nameMemoryBase].join(" "),
    run: async () => {
      await run("wasm2c", translate);
      nameMemoryBase(join(root, c));
    },
  });
  const compile = [...(await compilerFlags(module)), "-c", c, "-o", object];
  await steps.step({
    name: `gcc ${c} -> ${object}`,
    inputs: [c, c.replace(/c$/, "h")],
    outputs: [object],
    key: compile.join(" "),
    run: () => run("gcc", compile),
  });
  return object;
}

/** What gcc is told for a module's C. */
export async function compilerFlags(module) {
  const { besideInstance, cFlags: own = [] } = modules[module];
  return [...cFlags, ...own, `-DMEMORY_BASE(memory)=${await memoryBase(module, besideInstance)}`];
}

/** Loads and stores find the linear memory by a macro, MEMORY_BASE(wasm_rt_memory_t*), instead of by a load of their own. */
function nameMemoryBase(path) {
  const text = readFileSync(path, "utf8");
  const named = text.replaceAll("&mem->data[addr]", "&MEMORY_BASE(mem)[addr]");
  if (named === text) throw new BuildError(`${path}: wasm2c's loads and stores have another form than expected`);
  writeFileSync(path, named);
}

/** The macro's body: a load, or where the memory lies beside the instance struct (InstancePage of hv/machine/layout.ts), a distance. */
async function memoryBase(module, besideInstance) {
  if (!besideInstance) return "((memory)->data)";
  const page = Object.fromEntries((await enumsOf("hv/machine/layout.ts")).get("InstancePage"));
  return `((u8*)(memory)+${page.Bytes - page.Instance}-offsetof(Z_${module}_instance_t,w2c_memory))`;
}

/** The file and all that it imports, directly or not. */
function closure(entry, seen = new Set()) {
  if (seen.has(entry)) return [];
  seen.add(entry);
  if (!existsSync(join(root, entry))) return [entry];
  const imports = readFileSync(join(root, entry), "utf8").matchAll(/\bfrom\s+"(\.[^"]+)"/g);
  return [entry, ...[...imports].flatMap(([, path]) => closure(`${posix.join(posix.dirname(entry), path)}.ts`, seen))];
}
