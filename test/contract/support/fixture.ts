// hvkit/vitest for contract tests: what a guest does is tested as a user would test it, by the library and its fixture. What the library does not
// show (the hypervisor's own operations, broken builds) is tested by suite.ts.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { type Hvkit, hvkitTest } from "hvkit/vitest";
import { root } from "./machine.js";
import type { Target } from "./targets.js";

type Test = ReturnType<typeof hvkitTest>;

const engines = {
  qemu: { engine: "qemu", accel: "tcg" },
  bochs: { engine: "bochs" },
  kvm: { engine: "qemu", accel: "kvm" },
} as const;

/** A `test` for each target. Each boots its hypervisor when the first test asks for it. To be called at the top of a file. */
export function testsOnEach(options: { memory?: string } = {}, cpuCounts: readonly number[] = [1]): (target: Target) => Test {
  const made = new Map<string, Test>();
  for (const [name, engine] of Object.entries(engines)) {
    for (const cpus of cpuCounts) {
      made.set(`${name} ${cpus}`, hvkitTest({ memory: "512M", ...engine, ...options, cpus, artifacts: join(root, "build/artifacts") }));
    }
  }
  return ({ name, cpus }) => {
    const test = made.get(`${name} ${cpus}`);
    if (!test) throw new Error(`no test was made for ${name} with ${cpus} CPUs`);
    return test;
  };
}

/** What a program writes; a failure has its words. */
export function said(program: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(program, args, { env, maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      if (error) reject(new Error(`${program} ${args.join(" ")}: ${stderr}${stdout}`));
      else resolve(stdout);
    });
  });
}

/** hvkit's command line, on the hypervisor of the library. */
export async function commandLine(hvkit: Hvkit, ...args: readonly string[]): Promise<string> {
  const { instance } = await hvkit.status();
  const main = join(root, "build/js/control/src/cli/main.js");
  return said(process.execPath, [main, ...args], { ...process.env, HVKIT_INSTANCE: instance ?? "", NO_COLOR: "1" });
}

/** The folder of an image of test/guests, for guests.run(). */
export const testGuest = (name: string): string => join(root, "build/test/guests", name);
