#!/usr/bin/env node
// npm test: sets up all that is missing, then runs every test, on every engine that is there. Arguments go to vitest.
import { spawn } from "node:child_process";
import { Report } from "./lib/setup/report.mjs";
import { fail, root, setup } from "./setup.mjs";

try {
  await setup(new Report());
} catch (error) {
  fail(error);
}
const vitest = spawn(process.execPath, ["node_modules/vitest/vitest.mjs", "run", ...process.argv.slice(2)], {
  cwd: root,
  stdio: ["ignore", "inherit", "inherit"],
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => vitest.kill(signal));
vitest.on("close", (code) => process.exit(code ?? 1));
