// What each command prints with --json, held against its schema in schemas/, with guests that run, on the first engine that is there.
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fromJSONSchema, type ZodType } from "zod";
import { outputs } from "../../control/src/api/outputs.js";
import { root } from "./support/machine.js";
import { within } from "./support/suite.js";
import { onEachEngine } from "./support/targets.js";

const MAIN = join(root, "build/js/control/src/cli/main.js");
/** what a person ends */
const ENDLESS = ["bridge", "dev", "debug"];

function schemaOf(name: string): ZodType {
  const text = readFileSync(join(root, "schemas", `${name.replaceAll(" ", "-")}.json`), "utf8");
  return fromJSONSchema(JSON.parse(text) as Parameters<typeof fromJSONSchema>[0]);
}

let first: string | undefined;

onEachEngine("--json", (target) => {
  first ??= target.name;
  // One engine is enough: the hypervisor's answers are the same on all.
  const live = test.skipIf(target.name !== first);
  const seen = new Set<string>();
  let folder = "";

  const hvkit = (args: string[]): Promise<{ code: number; stdout: string; stderr: string }> =>
    new Promise((resolve) => {
      const env = { ...process.env, XDG_RUNTIME_DIR: folder, XDG_DATA_HOME: folder };
      const done = (error: { code?: unknown } | null, stdout: string, stderr: string): void =>
        resolve({ code: error ? Number(error.code ?? 1) : 0, stdout, stderr });
      execFile(process.execPath, [MAIN, ...args], { env, maxBuffer: 2 ** 27 }, done);
    });
  /** The command's output is what its schema says; `lines`: an object a line. */
  const fits = async (line: string, { lines = false, code = 0 } = {}): Promise<unknown[]> => {
    const words = line.split(" ");
    const name = Object.hasOwn(outputs, `${words[0]} ${words[1]}`) ? `${words[0]} ${words[1]}` : (words[0] ?? "");
    const end = words.includes("--") ? words.indexOf("--") : words.length;
    const ran = await hvkit([...words.slice(0, end), "--json", ...words.slice(end)]);
    expect({ line, code: ran.code, stderr: code === ran.code ? "" : ran.stderr }).toEqual({ line, code, stderr: "" });
    const values = (lines ? ran.stdout.trim().split("\n") : [ran.stdout]).map((text) => JSON.parse(text) as unknown);
    for (const value of values) expect(schemaOf(name).safeParse(value), line).toMatchObject({ success: true });
    seen.add(name);
    return values;
  };

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "hvkit-json-"));
  });
  afterAll(async () => {
    if (target.name === first) await hvkit(["down"]);
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  live("of an error is what schemas/error.json says", async () => {
    for (const args of [["ps"], ["frob"], ["run"], ["snapshot", "check", "nowhere"], ["mem", "web", "zero"]]) {
      const { code, stdout, stderr } = await hvkit([...args, "--json"]);
      expect([code > 0, stdout]).toEqual([true, ""]);
      expect(schemaOf("error").safeParse(JSON.parse(stderr)), args.join(" ")).toMatchObject({ success: true });
    }
  });

  live(
    "of each command is what schemas/ says",
    async () => {
      await fits("status");
      await fits("doctor");
      await fits("version");
      const accel = target.engine === "qemu" ? ` --accel ${target.accel}` : "";
      await fits(`up --engine ${target.engine}${accel} --memory 256M`);
      await fits("run hello64 -d --name clock --trace");
      await fits("run hello16 -d");
      for (const line of ["status", "images", "ps", "inspect clock", "logs clock", "regs clock", "mem clock 0x100000 64"]) await fits(line);
      await fits(`mem clock 0 4K -o ${join(folder, "ram")}`);
      for (const line of ["cpu clock", "machine clock", "disasm clock", "walk clock rip --nested", "why clock", "stats clock"])
        await fits(line);
      await fits("walk clock 0xffff800000000000");
      await fits("explain clock");
      await fits(`dump clock -o ${join(folder, "core")}`);
      await fits("top -i 0.2 -n 2", { lines: true });
      for (const line of ["trace clock -n 3", "trace clock --off", "trace clock --on"]) await fits(line);
      const file = join(folder, "exits");
      await fits(`trace clock -o ${file}`);
      await fits(`trace --diff ${file} ${file}`);
      await fits("snapshot create clock one");
      for (const line of ["snapshot ls", "snapshot inspect one", "snapshot check one"]) await fits(line);
      for (const line of ["regs", "cpu", "machine", "walk", "why"]) await fits(`${line} snapshot:one${line === "walk" ? " rip" : ""}`);
      await fits("open one -c irq -c take -c machine -c reload", { lines: true });
      writeFileSync(join(folder, "hvkit/snapshots/bad.hvsnap"), "not one");
      await fits("snapshot ls");
      await fits("snapshot check bad", { code: 1 });
      await fits("clone clock --count 2");
      await fits("run --from one --name copy --count 2");
      await fits("rm -f clock-1 clock-2 copy-1 copy-2");
      for (const line of ["restore one --name two", "revert clock one", "pause clock", "inspect clock", "unpause clock"]) await fits(line);
      for (const line of ["reset clock", "stop two", "kill clock", "ps", "regs clock", "why clock", "rm clock two"]) await fits(line);
      await fits("snapshot rm one bad");
      await fits("events");
      await fits("run linux -d --name web");
      await fits("exec web -- uname -r");
      await fits("dmesg web");
      await fits("down");
      expect(Object.keys(outputs).filter((name) => !seen.has(name))).toEqual(ENDLESS);
    },
    within(target, 240),
  );

  live("a schema refuses what is not as it says", () => {
    expect(schemaOf("down").safeParse({ was: "up", more: 1 }).success).toBe(false);
    expect(schemaOf("ps").safeParse([{ id: "x" }]).success).toBe(false);
    expect(schemaOf("mem").safeParse({ guest: "a", address: 0, linear: null, length: 1 }).success).toBe(false);
  });
});
