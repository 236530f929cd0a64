#!/usr/bin/env node
// npm run types: the library's declarations (.d.ts) beside its scripts in build/js, for those who use it from TypeScript. `npm pack` makes them;
// the tests here read the sources instead (test/tsconfig.json), so that a build need not wait for them.
import { BuildError, runNode } from "./lib/run.mjs";

try {
  const only = ["--noEmit", "false", "--declaration", "--emitDeclarationOnly", "--sourceMap", "false"];
  await runNode("typescript/bin/tsc", ["-p", "tsconfig.json", ...only, "--outDir", "build/js"]);
} catch (error) {
  if (!(error instanceof BuildError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
