// hvkit/vitest in a run of its own, as a project has it: tests that pass, fail, hang, and run at the same time on one hypervisor (a fake).
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { projectRoot } from "../../../control/src/api/root.js";
import { Harness } from "../daemon/harness.js";

const root = projectRoot();
let harness: Harness;
let folder: string;
beforeAll(async () => {
  harness = await Harness.start();
  mkdirSync(join(root, "build"), { recursive: true });
  // Inside hvkit's own folder its name is found.
  folder = mkdtempSync(join(root, "build/test-vitest-"));
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await harness.stop();
});

const SUITE = `
import { test } from "hvkit/vitest";
import { describe, expect } from "vitest";

describe.concurrent("group", () => {
  test("passes", async ({ guests }) => {
    await guests.run("sector", { name: "passing" });
  });
  test("fails", async ({ guests, hvkit }) => {
    await guests.run("sector", { name: "failing" });
    expect((await hvkit.ps()).map(({ name }) => name)).toContain("nobody");
  });
  test("hangs", { timeout: 5000 }, async ({ guests }) => {
    await (await guests.run("sector", { name: "hanging" })).waitFor("never");
  });
});
`;

test("guests go, and those of tests that failed leave their artifacts", { timeout: 120_000 }, async () => {
  writeFileSync(join(folder, "suite.test.js"), SUITE);
  const config = { test: { provide: { hvkit: { runtimeFolder: harness.folder } }, testTimeout: 60_000 } };
  writeFileSync(join(folder, "vitest.config.js"), `export default ${JSON.stringify(config)};\n`);
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  const { code, output } = await new Promise<{ code: number; output: string }>((resolve) => {
    const env = { ...process.env, NO_COLOR: "1" };
    execFile(process.execPath, [vitest, "run", "--root", folder], { cwd: folder, env }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code ?? -1) : 0, output: stdout + stderr });
    });
  });
  expect(code, output).toBe(1);
  expect(output).toMatch(/Tests +2 failed \| 1 passed/);
  const artifacts = join(folder, "hvkit-artifacts");
  const kept = ["fails", "hangs"].map((name) => `suite.test.js-group-${name}`);
  expect(readdirSync(artifacts).sort()).toEqual(kept);
  for (const name of kept) expect(output).toContain(join(artifacts, name));
  expect(readdirSync(join(artifacts, kept[0] ?? "", "failing"))).toEqual(
    expect.arrayContaining(["console.log", "exits.json", "guest.json", "registers.json", "snapshot.hvsnap"]),
  );
  expect(readdirSync(join(artifacts, kept[1] ?? ""))).toEqual(["hanging"]);
  expect(harness.hypervisor.creations).toBe(3);
  expect(harness.hypervisor.guests.size).toBe(0);
});
