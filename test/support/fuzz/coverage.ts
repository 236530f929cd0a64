// Which ways a Wasm module's decisions went. The binary becomes text, every `if`, `br_if`, `br_table` and `select` first shows its operand
// to an import, and the text becomes a binary again (wabt, which the build needs too). Nothing else changes: the memory keeps its bounds.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Coverage {
  module: WebAssembly.Module;
  /** to be given to each instance */
  imports: WebAssembly.ModuleImports;
  /** an operation begins: it may take MOST_DECISIONS */
  begin(): void;
  /** outcomes that were reached for the first time since the last call */
  fresh(): number;
  /** outcomes reached so far, of `outcomes` */
  reached(): number;
  outcomes: number;
}

/** The host ends a machine that does not come back; what takes this many decisions would not. String I/O takes the most, far less. */
const MOST_DECISIONS = 1_000_000;

const DECISION = /^( *)(if|br_if|br_table|select)\b(.*)$/;
const IMPORT = '  (import "coverage" "decide" (func $decide (param i32 i32 i32) (result i32)))';

export function withCoverage(wasm: Uint8Array): Coverage {
  const { text, outcomes } = instrument(convert("wasm2wat", wasm, ["--generate-names"]).toString());
  const module = new WebAssembly.Module(convert("wat2wasm", Buffer.from(text), []) as BufferSource);
  const hit = new Uint8Array(outcomes);
  let reached = 0;
  let looked = 0;
  let decisions = 0;
  const decide = (value: number, first: number, last: number): number => {
    if (++decisions > MOST_DECISIONS) throw new Error("it does not come back");
    const outcome = first + Math.min(value >>> 0, last);
    if (hit[outcome] === 0) {
      hit[outcome] = 1;
      reached++;
    }
    return value;
  };
  const fresh = (): number => {
    const news = reached - looked;
    looked = reached;
    return news;
  };
  const begin = (): void => {
    decisions = 0;
  };
  return { module, imports: { decide }, begin, fresh, reached: () => reached, outcomes };
}

/** A decision has two outcomes, a table as many as it has targets. */
function instrument(wat: string): { text: string; outcomes: number } {
  let outcomes = 0;
  let imported = false;
  const lines = wat.split("\n").flatMap((line) => {
    const [, indent = "", opcode, rest = ""] = DECISION.exec(line) ?? [];
    if (opcode !== undefined) {
      const last = opcode === "br_table" ? rest.trim().split(/ +/).length - 1 : 1;
      const first = outcomes;
      outcomes += last + 1;
      return [`${indent}i32.const ${first}`, `${indent}i32.const ${last}`, `${indent}call $decide`, line];
    }
    // Imports come first of all, behind the types.
    if (imported || line === "(module" || line.startsWith("  (type ")) return [line];
    imported = true;
    return [IMPORT, line];
  });
  return { text: lines.join("\n"), outcomes };
}

function convert(tool: string, input: Uint8Array, options: readonly string[]): Buffer {
  const folder = mkdtempSync(join(tmpdir(), "hvkit-coverage-"));
  try {
    const [from, to] = [join(folder, "from"), join(folder, "to")];
    writeFileSync(from, input);
    const { status, stderr, error } = spawnSync(tool, [from, ...options, "-o", to], { encoding: "utf8" });
    if (status !== 0) throw error ?? new Error(`${tool}: ${stderr}`);
    return readFileSync(to);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
