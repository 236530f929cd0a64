#!/usr/bin/env node
// Makes the guest images: images/NAME -> build/images/NAME, and the guests of tests, test/guests/NAME -> build/test/guests/NAME.
// `node scripts/images.mjs [NAME...]`; all of them without names. What is made already and whose sources did not change stays.
import { BuildError } from "./lib/build.mjs";
import { buildImages } from "./lib/images/images.mjs";

async function main() {
  const start = performance.now();
  const ran = await buildImages({ only: process.argv.slice(2), log: (line) => console.log(line) });
  const seconds = ((performance.now() - start) / 1000).toFixed(2);
  console.log(ran === 0 ? `images: up to date (${seconds} s)` : `images: done in ${seconds} s`);
}

main().catch((error) => {
  console.error(error instanceof BuildError ? `images: ${error.message}` : error);
  process.exitCode = 1;
});
