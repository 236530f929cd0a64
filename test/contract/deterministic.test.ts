// `hvkit run --deterministic`: two runs of the same guests are alike to the byte, on each engine; what is not the same is seen.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runScripted, type ScriptedImage, type ScriptedRun } from "../../control/src/scripted/run.js";
import { root } from "./support/machine.js";
import { within } from "./support/suite.js";
import { onEachEngine } from "./support/targets.js";

const MAIN = join(root, "build/js/control/src/cli/main.js");

onEachEngine("a deterministic run", (target) => {
  // KVM runs at the processor's pace.
  const live = test.skipIf(target.name === "kvm");
  const run = (...images: ScriptedImage[]): Promise<ScriptedRun> => runScripted({ engine: target.engine, images, root });
  const guests = [
    { image: "hello64", append: "ticks=2" },
    { image: "hello16" },
    // It tells how long each exit takes by its TSC: any difference in time is seen.
    { image: "exits" },
  ];

  live(
    "is the same to the byte as the one before, with three guests on one CPU",
    async () => {
      const [one, two] = await Promise.all([run(...guests), run(...guests)]);
      expect(one.guests.map(({ end }) => end.code)).toEqual(["power-off", "power-off", "power-off"]);
      expect(one.guests.map(({ console }) => console.toString().trim().split("\n").at(-1))).toEqual([
        "hello64: done",
        "hello16: done",
        "exits: done",
      ]);
      expect(one.guests[2]?.console.toString()).toMatch(/exit\.cpuid \d+/);
      expect(one.line.length).toBeGreaterThan(1000);
      expect(two.line.equals(one.line)).toBe(true);
    },
    within(target, 120),
  );

  live(
    "is another one with another command line",
    async () => {
      const [one, two] = [await run({ image: "hello64", append: "ticks=1" }), await run({ image: "hello64", append: "ticks=1 x" })];
      expect(two.line.equals(one.line)).toBe(false);
      expect(one.guests[0]?.console.toString()).toMatchInlineSnapshot(`
        "hello64: long mode
        hello64: command line: hz=100 ticks=1
        hello64: tick 1
        hello64: done
        "
      `);
    },
    within(target, 120),
  );

  live(
    "that never ends is broken off by ^C, and its engine with it",
    async () => {
      const ran = await new Promise<{ code: number | null; stderr: string }>((resolve) => {
        const args = [MAIN, "run", "hello64", "--deterministic", "--engine", target.engine];
        const child = execFile(process.execPath, args, (_error, _stdout, stderr) => resolve({ code: child.exitCode, stderr }));
        child.stdout?.once("data", () => child.kill("SIGINT"));
      });
      expect(ran).toMatchObject({ code: 130, stderr: expect.stringContaining("E_INTERRUPTED") as string });
    },
    within(target, 60),
  );
});
