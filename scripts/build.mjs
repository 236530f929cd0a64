#!/usr/bin/env node
// npm run build: brings build/ up to date. `--variant hostile|boot` builds a test's image; `wasm`, `hv`, `js` build a part.
import { parseArgs } from "node:util";
import { BuildError, build, targets } from "./lib/build.mjs";

const usage = `usage: npm run build -- [--variant NAME] [${targets.join("] [")}]`;

async function main() {
  const { values, positionals } = parseArgs({ options: { variant: { type: "string" } }, allowPositionals: true });
  if (positionals.some((target) => !targets.includes(target))) throw new BuildError(usage);
  const start = performance.now();
  const only = positionals.length > 0 ? positionals : targets;
  const ran = await build({ variant: values.variant, only, log: (line) => console.log(line) });
  const seconds = ((performance.now() - start) / 1000).toFixed(2);
  console.log(ran === 0 ? `build: up to date (${seconds} s)` : `build: done in ${seconds} s`);
}

main().catch((error) => {
  const wrongUse = error.code?.startsWith("ERR_PARSE_ARGS");
  console.error(wrongUse ? `${error.message}\n${usage}` : error instanceof BuildError ? `build: ${error.message}` : error);
  process.exitCode = wrongUse ? 2 : 1;
});
