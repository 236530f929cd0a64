#!/usr/bin/env node
// npm run check: formatting and lint (Biome) and types (tsc) of all that is written here. Seconds, and less when nothing changed.
// AssemblyScript's types are asc's, in the build. `--fix` writes what can be mended by machine.
import { parseArgs } from "node:util";
import { checkAssemblyScript } from "./lib/assemblyscript.mjs";
import { BuildError, runNode } from "./lib/run.mjs";
import { files, Steps } from "./lib/steps.mjs";

const { values } = parseArgs({ options: { fix: { type: "boolean" } } });
const begin = performance.now();
const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(1)} s`;

const steps = new Steps("build/stamps/check", () => {});
const types = {
  name: "tsc",
  inputs: () => [
    ...["tsconfig.json", "test/tsconfig.json", "package-lock.json", "scripts/check.mjs", "hv/machine/layout.ts"],
    ...["control/src", "protocol", "test"].flatMap((folder) => files(folder, ".ts")),
    ...files("scripts/lib", ".mjs"),
  ],
  outputs: ["build/stamps/check/tsc.json"],
  // The tests' project has the control plane in it: one program for both.
  run: () =>
    runNode("typescript/bin/tsc", ["-p", "test/tsconfig.json", "--incremental", "--tsBuildInfoFile", "build/stamps/check/tsc.json"]),
};

const checks = [
  ["tsc", () => steps.step(types)],
  ["biome", () => runNode("@biomejs/biome/bin/biome", ["check", ...(values.fix ? ["--write"] : []), "--max-diagnostics=50", "."])],
  ["biome, AssemblyScript", () => checkAssemblyScript(values)],
];

let failed = 0;

async function check([name, run]) {
  const start = performance.now();
  try {
    await run();
    console.log(`${name}: ok (${seconds(start)})`);
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
console.log(failed === 0 ? `check: ok (${seconds(begin)})` : `check: ${failed} of ${checks.length} failed (${seconds(begin)})`);
process.exitCode = failed > 0 ? 1 : 0;
