// The whole build as one graph of incremental steps. Output goes to build/ (or build/<variant>/); see docs/memory-map.md for the image.
//
//   protocol/*.ts -------> protocol.inc --+
//   hv/core, hv/machine -> asc -> wasm2c -> gcc --+--> ld -> hv.elf -> pack -> hv.elf32, hv.img
//   hv/boot, hv/asm -----> nasm ----------+
//   hv/explain ----------> asc -> explain.wasm (the checks of an entry, for the control plane; core has them too)
//   hv/machine/state.ts -> layout.json (the state region's table, for snapshots)
//   control/src ---------> typescript -> build/js
import { join } from "node:path";
import { controlPlane } from "./control.mjs";
import { locked } from "./lock.mjs";
import { assembleAll, instancesObject, link, writeIdentity } from "./native.mjs";
import { sources as protocolSources, writeProtocol } from "./protocol.mjs";
import { BuildError, root } from "./run.mjs";
import { files, Steps } from "./steps.mjs";
import { moduleObject } from "./wasm.mjs";

export { BuildError };

/** A variant is the same graph with other sources: tests exchange the Wasm modules or the 64-bit half. */
const variants = {
  product: { out: "build", asm: ["hv/boot", "hv/asm"], modules: true },
  /** test/hostile: modules that do what a module must not */
  hostile: { out: "build/hostile", asm: ["hv/boot", "hv/asm"], modules: true, entries: "test/hostile" },
  /** test/boot: hv/boot alone, with a hv_main of the test's */
  boot: { out: "build/boot", asm: ["hv/boot", "test/boot"], modules: false },
  /** test/entry: core with operations that write a control block as they like, and enter it */
  entry: { out: "build/entry", asm: ["hv/boot", "hv/asm", "test/entry"], modules: true, entries: "test/entry" },
  /** the product with lines of NASM that `edits` changes: what a reader does who breaks something on purpose */
  broken: { out: "build/broken", asm: ["hv/boot", "hv/asm"], modules: true },
};

/** wasm: the modules; hv: the boot files, with the modules; js: the control plane. */
export const targets = ["wasm", "hv", "js"];

const gen = "build/gen";

async function protocol(steps) {
  const output = `${gen}/protocol.inc`;
  await steps.step({
    name: `protocol -> ${output}`,
    inputs: () => [...protocolSources(), "scripts/lib/protocol.mjs"],
    outputs: [output],
    run: () => writeProtocol(output),
  });
}

async function layoutTable(steps) {
  const output = "build/layout.json";
  await steps.step({
    name: `layout -> ${output}`,
    inputs: () => [...files("hv/machine", ".ts"), "protocol/state.ts", "scripts/lib/layout.mjs"],
    outputs: [output],
    run: async () => (await import("./layout.mjs")).writeLayout(output),
  });
}

async function hypervisor(steps, { out, asm, modules, entries }, native, { edits, compile }) {
  const options = { out, gen, entries, native, edits, compile };
  const assembled = native ? assembleAll(steps, asm, { ...options, after: [protocol(steps), writeIdentity(steps, options)] }) : [];
  const compiled = modules ? ["machine", "core"].map((module) => moduleObject(steps, module, options)) : [];
  // Every branch goes as far as it can, so that one broken module does not hide what is wrong with the other.
  const objects = await allOf([assembled, ...compiled]);
  if (!native) return;
  const extra = modules ? [await instancesObject(steps, options)] : [];
  await link(steps, [...objects.flat(), ...extra], options);
}

/** All results, or one error with the words of all that failed. */
async function allOf(promises) {
  const settled = await Promise.allSettled(promises);
  const failures = settled.filter(({ status }) => status === "rejected").map(({ reason }) => reason);
  if (failures.length === 0) return settled.map(({ value }) => value);
  const unexpected = failures.find((failure) => !(failure instanceof BuildError));
  if (unexpected) throw unexpected;
  throw new BuildError([...new Set(failures.map(({ message }) => message))].join("\n\n"));
}

/** Brings build/ up to date. Throws BuildError. Resolves to the number of steps that had to run. `edits`, for a variant: { file, from, to } each,
 *  lines of NASM files. `compile`: asc, when one is warm. */
export function build({ variant = "product", only = targets, log = () => {}, edits = [], compile } = {}) {
  const chosen = variants[variant];
  if (!chosen) throw new BuildError(`no variant ${variant}; there are ${Object.keys(variants).join(", ")}`);
  return locked(join(root, "build/lock"), log, async () => {
    const steps = new Steps("build/stamps", log);
    const native = only.includes("hv");
    const product = variant === "product";
    await allOf([
      native || (only.includes("wasm") && chosen.modules) ? hypervisor(steps, chosen, native, { edits, compile }) : undefined,
      product && (only.includes("wasm") || only.includes("js"))
        ? moduleObject(steps, "explain", { out: "build", native: false, compile })
        : undefined,
      product ? layoutTable(steps) : undefined,
      only.includes("js") && product ? controlPlane(steps) : undefined,
    ]);
    return steps.ran;
  });
}
