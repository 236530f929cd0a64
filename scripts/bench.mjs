#!/usr/bin/env node
// npm run bench: measures what docs/bench.md describes, on each engine of this machine. `--json` prints one JSON array, an object for each
// engine; without it a table with targets. `--engine NAME` takes one engine alone, `--only a,b` some metrics.
import { parseArgs } from "node:util";
import { benchEngines } from "./lib/bench/engines.mjs";
import { showTable } from "./lib/bench/table.mjs";
import { build } from "./lib/build.mjs";
import { buildImages } from "./lib/images/images.mjs";

const options = { json: { type: "boolean" }, engine: { type: "string" }, only: { type: "string" } };

async function main() {
  const { values } = parseArgs({ options });
  const note = (line) => console.error(`bench: ${line}`);
  await build({ log: note });
  await buildImages({ log: note });
  // After the build: these import what it makes.
  const { measureEngine } = await import("./lib/bench/measure.mjs");
  const only = values.only?.split(",");
  const results = [];
  for (const engine of await benchEngines()) {
    if (values.engine !== undefined && values.engine !== engine.engine) continue;
    results.push(await measureEngine(engine, { only, note: (line) => note(`${engine.engine} ${engine.accel}: ${line}`) }));
  }
  console.log(values.json ? JSON.stringify(results, null, 2) : showTable(results));
}

main().catch((error) => {
  console.error(
    error.code?.startsWith?.("ERR_PARSE_ARGS")
      ? `${error.message}\nusage: npm run bench -- [--json] [--engine qemu|bochs] [--only METRIC,...]`
      : error,
  );
  process.exitCode = 1;
});
