// States that both engines' CPUs entered: the 64-bit hello, as `hvkit explain -o` wrote it on Bochs (vmx.json) and on QEMU (svm.json).
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readState } from "../../../control/src/explain/read.js";
import type { VendorName } from "../../../control/src/explain/rules.js";
import { locked } from "../../../scripts/lib/lock.mjs";
import { root } from "../../../scripts/lib/run.mjs";
import { Steps } from "../../../scripts/lib/steps.mjs";
import { moduleObject } from "../../../scripts/lib/wasm.mjs";

// The product's explain.wasm, made by the product's build step.
await locked(
  join(root, "build/lock"),
  () => {},
  () => moduleObject(new Steps("build/stamps", () => {}), "explain", { out: "build", entries: undefined, native: false }),
);

export type Changes = Readonly<Record<number, bigint>>;

export const stateText = (vendor: VendorName): string => readFileSync(join(import.meta.dirname, "states", `${vendor}.json`), "utf8");

const good: Record<VendorName, ReadonlyMap<number, bigint>> = {
  vmx: readState(stateText("vmx"), "vmx.json").fields,
  svm: readState(stateText("svm"), "svm.json").fields,
};

/** The good state, with changes one after another. */
export function stateWith(vendor: VendorName, ...changes: Changes[]): Map<number, bigint> {
  const fields = new Map(good[vendor]);
  for (const change of changes) for (const [field, value] of Object.entries(change)) fields.set(Number(field), value);
  return fields;
}
