#!/usr/bin/env node
// npm test: sets up all that is missing, then runs every test, on every engine that is there. Arguments go to vitest.
// npm run test:nightly: the same with `--nightly`: random tests run for hours instead of seconds (test/support/scale.ts).
import { spawn } from "node:child_process";
import { Report } from "./lib/setup/report.mjs";
import { fail, root, setup } from "./setup.mjs";

const given = process.argv.slice(2);
const nightly = given.includes("--nightly");

try {
  await setup(new Report());
} catch (error) {
  fail(error);
}
const vitest = spawn(process.execPath, ["node_modules/vitest/vitest.mjs", "run", ...given.filter((word) => word !== "--nightly")], {
  cwd: root,
  env: nightly ? { ...process.env, HVKIT_NIGHTLY: "1" } : process.env,
  stdio: ["ignore", "inherit", "inherit"],
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => vitest.kill(signal));
vitest.on("close", (code) => process.exit(code ?? 1));
