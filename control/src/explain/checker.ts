// hv/explain in Node: the very checks that core makes in the hypervisor, compiled to a module of their own.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Vendor } from "../../../protocol/messages.js";
import { projectRoot } from "../api/root.js";
import { HvkitError } from "../errors.js";
import { failedOf } from "../hypervisor/controlblock.js";
import { fieldCount } from "./fields.js";
import type { VendorName } from "./rules.js";

/** A check that failed. */
export interface Failed {
  rule: number;
  field: number;
}

/** The part of WebAssembly's interface that is used: the control plane's types are those of Node and of the language alone. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { exports: unknown };
};

interface Exports {
  memory: { buffer: ArrayBuffer };
  state(): number;
  list(): number;
  explain(vendor: number): number;
}

let loaded: Exports | undefined;

function checker(): Exports {
  if (loaded) return loaded;
  const path = join(projectRoot(), "build/explain.wasm");
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    throw new HvkitError("E_NOT_BUILT", `${path} is missing`, { hint: "Run: npm run build", cause });
  }
  loaded = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports as Exports;
  return loaded;
}

/** The failed checks, in the manual's order. `value` is asked for each field. */
export function check(vendor: VendorName, value: (field: number) => bigint): Failed[] {
  const { memory, state, list, explain } = checker();
  const view = new DataView(memory.buffer);
  for (let field = 0; field < fieldCount(vendor); field++) view.setBigUint64(state() + 8 * field, value(field), true);
  const count = explain(vendor === "vmx" ? Vendor.Vmx : Vendor.Svm);
  return Array.from({ length: count }, (_, index) => failedOf(view.getUint32(list() + 4 * index, true)) as Failed);
}
