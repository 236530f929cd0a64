// The product's machine module as native code, by the product's own chain (wasm2c's C from the build, gcc with the build's flags, but for
// position-independent code), in this process: test/native/compare.c. A Twin stands beside a Guest of V8's and compares after each call.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type Koffi from "koffi";
import { InstancePage, Layout, VcpuRecord } from "../../../hv/machine/layout.js";
import { locked } from "../../../scripts/lib/lock.mjs";
import { root } from "../../../scripts/lib/run.mjs";
import { Steps } from "../../../scripts/lib/steps.mjs";
import { compilerFlags, moduleObject } from "../../../scripts/lib/wasm.mjs";
import { exportsOf, importsOf } from "../../support/wasm.js";
import type { Machine } from "./guest.js";

await locked(
  join(root, "build/lock"),
  () => {},
  () => moduleObject(new Steps("build/stamps", () => {}), "machine", { out: "build", entries: undefined, native: true }),
);
export const productWasm = readFileSync("build/machine.wasm");
const imports = importsOf(productWasm);

const exports = exportsOf(productWasm);

enum Outcome {
  Same,
  OtherCall,
  OtherResult,
  OtherMemory,
  Trapped,
}

/** What a test writes between two calls: the exit record and the general registers. */
const FROM = Layout.Exit;
const BYTES = Layout.Region + VcpuRecord.End - FROM;

/** of an import; of an export */
const ARGUMENTS = 3;
const EXPORT_ARGUMENTS = 8;
/** struct call of compare.c */
const CALL_BYTES = 8 * (1 + ARGUMENTS + 1);
/** of one call of the machine; string I/O makes the most */
const CALLS = 1 << 16;

/** `(i32, i64) -> i32` in C's words. */
function inC(signature: string): { params: string[]; result: string } {
  const [, params = "", result = ""] = /^\((.*)\) ->(?: (.*))?$/.exec(signature) ?? [];
  const type = (name: string): string => (name === "i64" ? "u64" : name === "i32" ? "u32" : "void");
  return { params: params === "" ? [] : params.split(", ").map(type), result: type(result) };
}

/** Each import by `answer`, and run(): each export by its number. */
function callsInC(): string {
  const stubs = imports.map(({ name, signature }, index) => {
    const { params, result } = inC(signature);
    if (params.length > ARGUMENTS) throw new Error(`${name} has more than ${ARGUMENTS} arguments`);
    const declared = params.map((type, place) => `, ${type} p${place}`).join("");
    const given = Array.from({ length: ARGUMENTS }, (_, place) => (place < params.length ? `p${place}` : "0")).join(", ");
    const answer = `${result === "void" ? "" : "return "}answer(${index}, ${given});`;
    return `${result} Z_guestZ_${name}(struct Z_guest_instance_t* guest${declared}) { ${answer} }`;
  });
  const cases = exports.map(({ name, signature }, index) => {
    const { params, result } = inC(signature);
    const call = `Z_machineZ_${name}(instance${params.map((type, place) => `, (${type})p[${place}]`).join("")})`;
    return `case ${index}: return ${result === "void" ? `(${call}, 0)` : call};`;
  });
  return `${stubs.join("\n")}\nstatic u64 run(u32 function, const u64* p) { switch (function) { ${cases.join("\n")} } return 0; }\n`;
}

/** Compiled once for each state of the generated C and the flags. */
async function library(): Promise<string> {
  const own = new Set(["-fno-pic", "-mcmodel=small"]);
  const flags = [...(await compilerFlags("machine")).filter((flag) => !own.has(flag)), "-fPIC", "-I", "build/gen"];
  const calls = callsInC();
  const hash = createHash("sha256").update(flags.join()).update(calls);
  for (const path of ["build/gen/machine.c", "build/gen/machine.h", "test/native/compare.c"]) hash.update(readFileSync(path));
  const folder = `build/test/native-${hash.digest("hex").slice(0, 16)}`;
  const made = join(folder, "compare.so");
  if (existsSync(made)) return made;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "calls.inc"), calls);
  const layout = [`-DPAGE_BYTES=${InstancePage.Bytes}`, `-DINSTANCE=${InstancePage.Instance}`, `-DMEMORY_BYTES=${Layout.End}`];
  const runtime = flags.filter((flag) => flag.startsWith("-DWASM") || flag === "-I" || flag === "build/gen");
  const parts = ["machine", "compare"].map((name) => join(folder, `${name}-${process.pid}.o`)) as [string, string];
  gcc([...flags, "-c", "build/gen/machine.c", "-o", parts[0]]);
  gcc(["-O2", "-fPIC", ...runtime, ...layout, "-I", folder, "-c", "test/native/compare.c", "-o", parts[1]]);
  gcc(["-shared", ...parts, "-o", `${made}-${process.pid}`]);
  renameSync(`${made}-${process.pid}`, made);
  return made;
}

function gcc(args: readonly string[]): void {
  const { status, stderr, error } = spawnSync("gcc", args, { encoding: "utf8" });
  if (status !== 0) throw error ?? new Error(`gcc ${args.join(" ")}: ${stderr}`);
}

const koffi = createRequire(import.meta.url)("koffi") as typeof Koffi;
const native = koffi.load(await library());
const reset = native.func("int compare_reset()");
const step = native.func(
  "int compare_step(uint32_t function, const uint64_t *given, const uint8_t *before, uint32_t from, uint32_t bytes, " +
    "const uint8_t *calls, uint32_t count, uint64_t expected, const uint8_t *after)",
);
const where = native.func("uint32_t compare_where()");

/** The native machine of the moment: there is one. */
export class Twin {
  readonly #calls = Buffer.alloc(CALLS * CALL_BYTES);
  readonly #view = new DataView(this.#calls.buffer, this.#calls.byteOffset);
  #count = 0;
  /** calls of the machine that were compared */
  compared = 0;

  /** Writes down what V8's machine calls. */
  imports(real: WebAssembly.ModuleImports): WebAssembly.ModuleImports {
    return Object.fromEntries(imports.map(({ name, signature }, index) => [name, this.#recorder(real[name] as never, index, signature)]));
  }

  #recorder(real: (...args: (number | bigint)[]) => unknown, index: number, signature: string): WebAssembly.ImportValue {
    const answers = signature.slice(signature.indexOf("->") + 2).trim();
    return (...args: (number | bigint)[]) => {
      const at = this.#count++ * CALL_BYTES;
      if (this.#count > CALLS) throw new Error("more calls of imports than are written down");
      const result = real(...args);
      this.#word(at, index);
      for (let place = 0; place < ARGUMENTS; place++) this.#word(at + 8 + place * 8, args[place] ?? 0);
      this.#word(at + CALL_BYTES - 8, answers === "" ? 0 : answers === "i64" ? (result as bigint) : Number(result));
      return result;
    };
  }

  /** V8's i32 are signed, and C's unsigned. */
  #word(at: number, value: number | bigint): void {
    if (typeof value === "bigint") this.#view.setBigUint64(at, value, true);
    else {
      this.#view.setUint32(at, value, true);
      this.#view.setUint32(at + 4, 0, true);
    }
  }

  /** The same machine, each call of which is compared. Throws when something differs. */
  exports(machine: Machine): Machine {
    if (!reset()) throw new Error("no address space for a native machine");
    const memory = new Uint8Array(machine.memory.buffer);
    const before = Buffer.alloc(BYTES);
    const given = new BigUint64Array(EXPORT_ARGUMENTS);
    const compared = (name: string, index: number) => {
      const real = (machine as unknown as Record<string, (...args: (number | bigint)[]) => number | bigint | undefined>)[name];
      return (...args: (number | bigint)[]) => {
        before.set(memory.subarray(FROM, FROM + BYTES));
        this.#count = 0;
        const result = real?.(...args);
        for (const [place, value] of args.entries()) given[place] = BigInt(value);
        const expected = typeof result === "bigint" ? BigInt.asUintN(64, result) : (result ?? 0) >>> 0;
        const outcome: Outcome = step(index, given, before, FROM, BYTES, this.#calls, this.#count, expected, memory);
        if (outcome !== Outcome.Same) throw new Error(`${name}: ${this.#difference(outcome, where())}`);
        this.compared++;
        return result;
      };
    };
    const functions = Object.fromEntries(exports.map(({ name }, index) => [name, compared(name, index)]));
    return { memory: machine.memory, ...functions } as unknown as Machine;
  }

  #difference(outcome: Outcome, at: number): string {
    if (outcome === Outcome.OtherMemory) return `the memories differ from ${at.toString(16)} on`;
    if (outcome === Outcome.OtherResult) return "the results differ";
    if (outcome === Outcome.Trapped) return `the native code traps (${at})`;
    const name = at < this.#count ? imports[this.#view.getUint32(at * CALL_BYTES, true)]?.name : "no call";
    return `call ${at} of an import is not V8's, ${name}`;
  }
}
