// An example as its reader runs it: a project of its own, which has hvkit among its packages. The copy lies in build/, so that what it downloads
// is there the next time.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { root } from "../contract/support/machine.js";
import { engineProblem } from "../contract/support/targets.js";

/** Of what builds a module: without it the examples would skip their tests, and say so. Undefined: all is there. */
export function exampleProblem(): string | undefined {
  const absent = ["/usr/bin/apt-get", "/usr/bin/gcc-12", "/usr/bin/make"].filter((path) => !existsSync(path));
  return absent.length > 0 ? `not here: ${absent.join(", ")}` : engineProblem("qemu");
}

/** Where the copy is. */
export function copyExample(name: string): string {
  const copy = join(root, "build/examples", name);
  mkdirSync(join(copy, "node_modules"), { recursive: true });
  cpSync(join(root, "examples", name), copy, { recursive: true });
  for (const [link, target] of [
    ["hvkit", root],
    ["vitest", join(root, "node_modules/vitest")],
  ] as const) {
    rmSync(join(copy, "node_modules", link), { force: true });
    symlinkSync(target, join(copy, "node_modules", link));
  }
  return copy;
}

export interface ExampleRun {
  status: number | null;
  passed: number;
  total: number;
  /** what it printed besides the report */
  stdout: string;
  stderr: string;
  /** why it skipped its tests */
  skipped: string | undefined;
}

/** `npm test` in the copy. */
export function runExample(folder: string, timeout: number, env: Record<string, string> = {}): ExampleRun {
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  const report = join(folder, "report.json");
  rmSync(report, { force: true });
  const words = [vitest, "run", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`, "--maxWorkers=2"];
  const { status, stdout, stderr } = spawnSync(process.execPath, words, {
    cwd: folder,
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1", ...env },
    timeout,
  });
  const { numPassedTests = 0, numTotalTests = 0 } = existsSync(report)
    ? (JSON.parse(readFileSync(report, "utf8")) as { numPassedTests?: number; numTotalTests?: number })
    : {};
  return { status, passed: numPassedTests, total: numTotalTests, stdout, stderr, skipped: /: skipped: (.*)/.exec(stderr)?.[1] };
}
