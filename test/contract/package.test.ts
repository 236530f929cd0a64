// The package that `npm pack` makes, installed where no clone is near: it has all that it needs but Node and an engine, and boots a guest.
// Nothing is fetched: what hvkit depends on at run time, and only that, lies there already, copied from this clone.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findProgram } from "../../control/src/engines/probe.js";
import { root } from "./support/machine.js";
import { within } from "./support/suite.js";
import { onEachEngine } from "./support/targets.js";

const npm = findProgram("npm");
if (npm === undefined) process.stderr.write("package: npm is not in PATH: skipped\n");

/** Standard output; throws when it fails. */
function run(program: string, args: string[], cwd: string, env: Record<string, string> = {}): string {
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd,
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1", ...env },
    maxBuffer: 2 ** 26,
  });
  if (status !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${status}:\n${stderr}${stdout}`);
  return stdout;
}

interface Packed {
  filename: string;
  files: { path: string }[];
}

describe.skipIf(npm === undefined)("npm pack", () => {
  let folder = "";
  let elsewhere = "";
  let packed: Packed = { filename: "", files: [] };

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "hvkit-pack-"));
    elsewhere = join(folder, "elsewhere");
    run(process.execPath, ["scripts/types.mjs"], root); // of what `prepack` makes, the one that a build does not
    const told = JSON.parse(run("npm", ["pack", "--ignore-scripts", "--pack-destination", folder, "--json"], root)) as Packed[];
    packed = told[0] ?? packed;
    mkdirSync(elsewhere);
    writeFileSync(join(elsewhere, "package.json"), '{"private": true}');
    const needed = run("npm", ["ls", "--omit=dev", "--all", "--parseable"], root).trim().split("\n").slice(1);
    expect(needed.length).toBeGreaterThan(5);
    for (const path of needed) cpSync(path, join(elsewhere, relative(root, path)), { recursive: true });
    run("npm", ["install", "--offline", "--no-audit", "--no-fund", join(folder, packed.filename)], elsewhere);
  }, 180_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("has what is needed at run time, and no sources of it", () => {
    const paths = packed.files.map(({ path }) => path);
    for (const path of [
      "build/hv.img",
      "build/hv.elf32",
      "build/machine.wasm",
      "build/images/linux/vmlinuz",
      "build/js/control/src/daemon/main.js",
    ]) {
      expect(paths).toContain(path);
    }
    expect(
      paths.filter((path) => /(?<!\.d)\.ts$|^(hv|test|scripts|bench|protocol)\/|^build\/(obj|gen|stamps|downloads|test)\//.test(path)),
    ).toEqual([]);
  });

  test("brings nothing that is only for development", () => {
    const installed = readdirSync(join(elsewhere, "node_modules"));
    expect(installed).toContain("hvkit");
    for (const name of ["typescript", "assemblyscript", "vitest", "@biomejs"]) expect(installed).not.toContain(name);
  });

  test("has its types", () => {
    for (const name of ["@types", "undici-types", "vitest", "@vitest"])
      cpSync(join(root, "node_modules", name), join(elsewhere, "node_modules", name), { recursive: true });
    const program = (options: string) => `import { up, type Guest } from "hvkit";
import { test } from "hvkit/vitest";
const hvkit = await up(${options});
const guest: Guest = await hvkit.run("linux");
export const { code }: { code: number } = await guest.exec(["true"]);
test("typed", async ({ guests }) => void (await guests.run("linux")));
`;
    writeFileSync(join(elsewhere, "right.mts"), program('{ engine: "qemu", bound: true }'));
    writeFileSync(join(elsewhere, "wrong.mts"), program('{ engnie: "qemu" }'));
    const tsc = (name: string) =>
      spawnSync(
        process.execPath,
        [
          join(root, "node_modules/typescript/bin/tsc"),
          ...["--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", "--target", "esnext", "--types", "node", name],
        ],
        { cwd: elsewhere, encoding: "utf8" },
      ).stdout;
    expect(tsc("right.mts")).toBe("");
    expect(tsc("wrong.mts")).toMatch(/^wrong\.mts\(3,\d+\): error TS2561: .*engnie/);
  }, 120_000);

  onEachEngine("the installed package", (target) => {
    // One engine is enough: the same files boot in each.
    test.skipIf(target.name !== "qemu")(
      "boots a guest without a build",
      () => {
        const runtime = join(folder, target.name);
        mkdirSync(runtime);
        const env = { XDG_RUNTIME_DIR: runtime };
        const hvkit = (...args: string[]): string => run(join(elsewhere, "node_modules/.bin/hvkit"), args, elsewhere, env);
        try {
          const accel = target.engine === "qemu" ? ["--accel", target.accel] : [];
          expect(hvkit("up", "--engine", target.engine, ...accel, "--memory", "128M")).toContain(target.vendor);
          expect(hvkit("images")).toMatch(/^hello64 +multiboot/m);
          const id = hvkit("run", "hello64", "-d").trim();
          const until = Date.now() + within(target, 60);
          while (!hvkit("logs", id).includes("hello64: tick 1"))
            if (Date.now() > until) throw new Error(`hello64 says: ${hvkit("logs", id)}`);
        } finally {
          hvkit("down");
        }
      },
      within(target, 120),
    );
  });
});
