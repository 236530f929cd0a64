// The product's core.wasm, made by the product's build step.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { locked } from "../../../scripts/lib/lock.mjs";
import { root } from "../../../scripts/lib/run.mjs";
import { Steps } from "../../../scripts/lib/steps.mjs";
import { moduleObject } from "../../../scripts/lib/wasm.mjs";

await locked(
  join(root, "build/lock"),
  () => {},
  () => moduleObject(new Steps("build/stamps", () => {}), "core", { out: "build", entries: undefined, native: false }),
);

export const coreWasm = readFileSync(join(root, "build/core.wasm"));
export const coreModule = new WebAssembly.Module(coreWasm);
