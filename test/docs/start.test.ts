// `npm start` as a newcomer types it, in a private run folder: without a terminal it shows Linux come up and ends all; on one (script(1)
// makes it) it leaves the user on Linux' own shell.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findProgram } from "../../control/src/engines/probe.js";

const ESCAPE = "\x1d";
let runtime = "";

beforeEach(() => {
  runtime = mkdtempSync(join(tmpdir(), "hvkit-start-"));
});
afterEach(() => rmSync(runtime, { recursive: true, force: true }));

interface Run {
  code: number | null;
  output: string;
}

/** `typed`: what is typed when its pattern has come, one after the other. */
function run(command: string[], typed: [RegExp, string][] = []): Promise<Run> {
  const [program = "", ...args] = command;
  const env = { ...process.env, XDG_RUNTIME_DIR: runtime, NO_COLOR: "1", TERM: "dumb" };
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env, stdio: ["pipe", "pipe", "pipe"] });
    let output = "";
    let from = 0;
    const take = (bytes: Buffer): void => {
      output += bytes.toString("latin1");
      const [next] = typed;
      const match = next?.[0].exec(output.slice(from));
      if (!next || !match) return;
      from += match.index + match[0].length;
      typed.shift();
      child.stdin.write(next[1]);
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, output }));
    if (typed.length === 0) child.stdin.end();
  });
}

test("without a terminal: Linux comes up, the tour is printed, nothing is left", async () => {
  const { code, output } = await run(["npm", "start"]);
  expect({ code, output }).toMatchObject({ code: 0 });
  for (const landmark of [
    /up +(AMD SVM|Intel VMX) on (qemu|bochs)/,
    /hvkit: user space reached/,
    /hvkit: kernel 6\.1\.0-\d+-cloud-amd64/,
    /^\w{12} +linux +linux +128 MiB .* running/m,
    /^\w{12} +hello +hello64 .* running/m,
    /^RAX=[0-9a-f]{16}/im,
    /^cpuid +\d+/m,
    /^ +boot +\d+\.\d s$/m,
    /npx hvkit doctor/,
  ]) {
    expect(output).toMatch(landmark);
  }
  const status = await run([process.execPath, "build/js/control/src/cli/main.js", "status"]);
  expect(status.output).toMatch(/not up|down/);
}, 150_000);

test.skipIf(findProgram("script") === undefined)(
  "on a terminal: it leaves the user on Linux' shell, and ^] leaves that",
  async () => {
    const { code, output } = await run(
      ["script", "-qec", "npm start", "/dev/null"],
      [
        [/what to type next[\s\S]*\/root# /, "echo $((6 * 7)) answers\n"],
        [/42 answers/, ESCAPE],
      ],
    );
    expect({ code, output }).toMatchObject({ code: 0 });
    expect(output).toContain("The hypervisor goes on.");
    const down = await run([process.execPath, "build/js/control/src/cli/main.js", "down"]);
    expect(down).toMatchObject({ code: 0 });
  },
  150_000,
);
