// examples/kernel-module as its reader runs it: a project of its own, which has hvkit among its packages. A copy in build/, so that what
// it downloads is there the next time.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { root } from "../contract/support/machine.js";
import { engineProblem } from "../contract/support/targets.js";

const copy = join(root, "build/examples/kernel-module");
/** of this machine's: without them the example would skip its tests, and say so */
const absent = ["/usr/bin/apt-get", "/usr/bin/gcc-12", "/usr/bin/make"].filter((path) => !existsSync(path));
const problem = absent.length > 0 ? `not here: ${absent.join(", ")}` : engineProblem("qemu");
if (problem !== undefined) process.stderr.write(`examples: kernel-module is skipped: ${problem}\n`);

test.skipIf(problem !== undefined)(
  "kernel-module: its tests pass, in guests; one of them panics",
  ({ skip }) => {
    mkdirSync(join(copy, "node_modules"), { recursive: true });
    cpSync(join(root, "examples/kernel-module"), copy, { recursive: true });
    for (const [name, target] of [
      ["hvkit", root],
      ["vitest", join(root, "node_modules/vitest")],
    ] as const) {
      rmSync(join(copy, "node_modules", name), { force: true });
      symlinkSync(target, join(copy, "node_modules", name));
    }
    const vitest = join(root, "node_modules/vitest/vitest.mjs");
    const { status, stdout, stderr } = spawnSync(process.execPath, [vitest, "run", "--reporter=json", "--maxWorkers=2"], {
      cwd: copy,
      encoding: "utf8",
      env: { ...process.env, NO_COLOR: "1" },
      timeout: 400_000,
    });
    // A package that the mirror has no more: the kernel here is older than the headers there.
    const [, reason] = /kernel-module: skipped: (.*)/.exec(stderr) ?? [];
    if (reason !== undefined) {
      process.stderr.write(`examples: kernel-module is skipped: ${reason}\n`);
      skip(reason);
    }
    const report = JSON.parse(stdout.slice(stdout.indexOf("{"))) as { numPassedTests: number; numTotalTests: number };
    expect({ status, passed: report.numPassedTests, stderr }).toMatchObject({ status: 0, passed: 3 });
    expect(report.numTotalTests).toBe(3);
  },
  420_000,
);
