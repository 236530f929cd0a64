#!/usr/bin/env node
// npm run check: formatting and lint (Biome), type-aware lint (ESLint), types (tsc), of all that is written here. Seconds; CI runs it first.
// AssemblyScript's types are asc's, in the build. `--fix` writes what can be mended by machine.
import { parseArgs } from "node:util";
import { checkAssemblyScript } from "./lib/assemblyscript.mjs";
import { BuildError, runNode } from "./lib/run.mjs";

const { values } = parseArgs({ options: { fix: { type: "boolean" } } });

const checks = [
  ["biome", () => runNode("@biomejs/biome/bin/biome", ["check", ...(values.fix ? ["--write"] : []), "--max-diagnostics=50", "."])],
  ["biome, AssemblyScript", () => checkAssemblyScript(values)],
  // The tests' project has the control plane in it: one program for both.
  ["tsc", () => runNode("typescript/bin/tsc", ["-p", "test/tsconfig.json", "--incremental", "--tsBuildInfoFile", "build/stamps/tsc.json"])],
  ["eslint", () => runNode("eslint/bin/eslint.js", ["--max-warnings=0", ...(values.fix ? ["--fix"] : []), "."])],
];

let failed = 0;

async function check([name, run]) {
  const start = performance.now();
  try {
    await run();
    console.log(`${name}: ok (${((performance.now() - start) / 1000).toFixed(1)} s)`);
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    console.error(`${name}: ${error.message}`);
    failed++;
  }
}

// Two at a time, the next one as soon as one is done.
const waiting = checks.values();
async function worker() {
  for (const next of waiting) await check(next);
}
await Promise.all([worker(), worker()]);
process.exitCode = failed > 0 ? 1 : 0;
