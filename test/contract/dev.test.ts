// `hvkit dev` in a copy of the checkout: a save is built and seen to run; a broken one is told, and leaves all alone.
import { execFile } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { DevEvent } from "../../control/src/api/dev.js";
import { devEvent } from "../../control/src/api/dev.js";
import { DevCopy } from "../../scripts/lib/bench/devcopy.mjs";
import { nightly } from "../support/scale.js";
import { within } from "./support/suite.js";
import { onEachEngine } from "./support/targets.js";

onEachEngine("dev", (target) => {
  // What it does does not depend on the engine; on Bochs it takes minutes.
  if (target.name !== "qemu" && !nightly) {
    test.skip("every night", () => {});
    return;
  }
  let copy: DevCopy;
  const isA =
    (kind: DevEvent["event"]) =>
    ({ event }: DevEvent): boolean =>
      event === kind;
  const says =
    (text: string) =>
    (event: DevEvent): boolean =>
      event.event === "output" && event.text.endsWith(text);
  const seconds = (time: number): number => time * target.patience;
  const hvkit = (...args: string[]): Promise<string> =>
    new Promise((resolve, reject) => {
      execFile(process.execPath, [copy.main, ...args], { env: copy.env }, (error, stdout) => (error ? reject(error) : resolve(stdout)));
    });

  beforeAll(
    async () => {
      copy = new DevCopy();
      copy.start(["hello64", "--engine", target.engine, ...(target.engine === "qemu" ? ["--accel", target.accel] : [])]);
      await copy.event(isA("started"), seconds(80));
      await copy.event(isA("watching"), seconds(80));
    },
    within(target, 90),
  );
  afterAll(() => copy?.remove(), 60_000);

  test(
    "a device that is saved is built, booted, and the guest runs on it with its options",
    async () => {
      await hvkit("run", "hello64", "--name", "second", "-d", "--append", "ticks=1 hz=20");
      const before = copy.events.find(isA("up"));
      const from = copy.events.length;
      const device = copy.path("hv/machine/devices/port61.ts");
      writeFileSync(device, readFileSync(device, "utf8").replace("REFRESH_NS: u64 = 15085", "REFRESH_NS: u64 = 15086"));
      expect(await copy.event(isA("changed"), seconds(20), from)).toMatchObject({ files: ["hv/machine/devices/port61.ts"] });
      const up = await copy.event(isA("up"), seconds(80), from);
      if (up.event !== "up" || before?.event !== "up") throw new Error("not up");
      expect(up.identity).not.toBe(before.identity); // of another build
      await copy.event(says("hello64: long mode"), seconds(40), from);
      await copy.event(says(" ticks=1 hz=20"), seconds(40), from);
      const first = await copy.event(isA("first-output"), seconds(40), from);
      expect(first).toMatchObject({ msAfterSave: expect.any(Number) });
      for (const event of copy.events) devEvent.parse(event);
    },
    within(target, 150),
  );

  test(
    "a build that fails is told, and what runs stays; put right, it goes on",
    async () => {
      const file = copy.path("hv/machine/devices/port61.ts");
      const whole = readFileSync(file, "utf8");
      const { pid } = JSON.parse(await hvkit("status", "--json")) as { pid: number };
      const from = copy.events.length;
      writeFileSync(file, `${whole}\nexport let broken: nothing = 1;\n`);
      const failed = await copy.event(isA("failed"), seconds(60), from);
      expect(failed).toMatchObject({ what: "build", text: expect.stringContaining("port61.ts") });
      expect(JSON.parse(await hvkit("status", "--json"))).toMatchObject({ pid, state: "running" });

      writeFileSync(file, whole.replace("\n\n", "\n\n\n"));
      const image = copy.path("images/hello64/hello64.asm");
      writeFileSync(image, readFileSync(image, "utf8").replace("hello64: long mode", "hello64: saved again"));
      await copy.event(says("hello64: saved again"), seconds(90), from);
    },
    within(target, 180),
  );

  test(
    "^C ends it and the hypervisor",
    async () => {
      expect(await copy.interrupt()).toBe(0);
      expect(JSON.parse(await hvkit("status", "--json"))).toEqual({ state: "down" });
      expect(readdirSync(join(copy.folder, "run"))).toEqual([]);
    },
    within(target, 40),
  );

  test(
    "with --live a guest goes over to the machine that is saved, and goes on; what cannot be is told",
    async () => {
      const machine = copy.path("hv/machine/devices/port61.ts");
      const save = (path: string, from: string | RegExp, to: string): number => {
        const before = copy.events.length;
        const text = readFileSync(path, "utf8");
        expect(text.replace(from, to)).not.toBe(text);
        writeFileSync(path, text.replace(from, to));
        return before;
      };
      const inspected = async () => {
        const [guest] = JSON.parse(await hvkit("inspect", "hello64")) as { id: string; restarts: number; module: { identity: string } }[];
        if (!guest) throw new Error("not there");
        return guest;
      };
      if (copy.child.exitCode === null) await copy.interrupt(); // by itself (-t)
      copy.start(["hello64", "--live", "--engine", target.engine, ...(target.engine === "qemu" ? ["--accel", target.accel] : [])]);
      await copy.event(isA("watching"), seconds(80));
      await copy.event(says("tick 1"), seconds(40));
      const before = await inspected();

      const refresh = /REFRESH_NS: u64 = (\d+)/.exec(readFileSync(machine, "utf8"))?.[1] ?? "";
      let from = save(machine, /REFRESH_NS: u64 = \d+/, "REFRESH_NS: u64 = 15087");
      const swapped = await copy.event(isA("swapped"), seconds(80), from);
      expect(swapped).toMatchObject({ slot: 1, newGuests: true, guests: [{ guest: "hello64", error: null }] });
      const after = await inspected();
      expect(after).toMatchObject({ id: before.id, restarts: 0, module: { slot: 1, identity: (swapped as { module: string }).module } });
      expect(after.module.identity).not.toBe(before.module.identity);
      expect(JSON.parse(await hvkit("status", "--json"))).toMatchObject({ hypervisor: { module: after.module } });
      expect(await hvkit("status")).toContain(`${after.module.identity}, loaded into place 1`);

      // The sources as they were: their machine is that of the boot image, which is there.
      from = save(machine, "REFRESH_NS: u64 = 15087", `REFRESH_NS: u64 = ${refresh}`);
      expect(await copy.event(isA("swapped"), seconds(80), from)).toMatchObject({ slot: 0, guests: [{ guest: "hello64", error: null }] });
      expect((await inspected()).module).toEqual(before.module);
      const told = (await hvkit("events")).split("\n").filter((line) => line.includes("guest.swapped"));
      expect(told.map((line) => line.replace(/.*: on/, "on"))).toEqual([
        `on machine ${after.module.identity} now, in place 1`,
        `on machine ${before.module.identity} now, in place 0`,
      ]);

      from = save(copy.path("hv/asm/crc.asm"), "\n\n", "\n\n; \n");
      expect(await copy.event(isA("restart-needed"), seconds(80), from)).toMatchObject({ files: ["hv/asm/crc.asm"] });
      for (const event of copy.events) devEvent.parse(event);
      expect((await inspected()).id).toBe(before.id);
      expect(await copy.interrupt()).toBe(0);
    },
    within(target, 240),
  );
});
