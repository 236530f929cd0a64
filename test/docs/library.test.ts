// The programs of docs/library.md: they stand in examples/library, where `npm run check` compiles them, and run here as a user would run them.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { projectRoot } from "../../control/src/api/root.js";

const root = projectRoot();
const sources = join(root, "examples/library");
const blocks = [...readFileSync(join(root, "docs/library.md"), "utf8").matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, text]) => text);
/** In the package's own folder, so that it is found by its name. */
const made = join(root, "build/examples/library");

test("docs/library.md has the programs of examples/library", () => {
  const files = readdirSync(sources).map((name) => readFileSync(join(sources, name), "utf8"));
  expect(blocks.length).toBeGreaterThan(0);
  expect([...blocks].sort()).toEqual(files.sort());
});

describe("a program of docs/library.md", () => {
  let runtime = "";
  const node = (file: string, ...args: string[]): { status: number | null; stdout: string; stderr: string } => {
    const env = { ...process.env, XDG_RUNTIME_DIR: runtime, NO_COLOR: "1" };
    return spawnSync(process.execPath, [file, ...args], { encoding: "utf8", env, timeout: 100_000 });
  };
  const run = (name: string): string => {
    const { outputText } = ts.transpileModule(readFileSync(join(sources, `${name}.ts`), "utf8"), {
      compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
    });
    const file = join(made, `${name}.mjs`);
    writeFileSync(file, outputText);
    const { status, stdout, stderr } = node(file);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    return stdout;
  };

  beforeAll(() => {
    runtime = mkdtempSync(join(tmpdir(), "hvkit-docs-"));
    mkdirSync(made, { recursive: true });
  });
  afterAll(() => {
    node(join(root, "build/js/control/src/cli/main.js"), "down");
    rmSync(runtime, { recursive: true, force: true });
    rmSync(made, { recursive: true, force: true });
  });

  test("boots, runs a command in Linux and reads its console", () => {
    expect(run("command")).toMatch(/^0 6\.1\.\S+-cloud-amd64\n[\s\S]*hvkit: nonce 7\n/);
  });

  test("waits with a signal, and knows an error by its code", () => {
    expect(run("signals")).toMatch(/^exited .+\nE_GUEST_STATE .+\n$/);
  });
});
