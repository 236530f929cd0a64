// The library's hypervisor, as programs bring it up: at once, with other wishes, and bound to a program that ends as it likes.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { connect, down, up } from "hvkit";
import { afterEach, beforeEach, expect, test } from "vitest";
import { isAlive, markOf } from "../../control/src/native/process.js";
import { root } from "./support/machine.js";
import { within } from "./support/suite.js";
import { onEachEngine } from "./support/targets.js";

onEachEngine("the library", (target) => {
  // One engine is enough: what is tested is on this side of it.
  const here = test.skipIf(target.name !== "qemu");
  const machine = {
    engine: target.engine,
    memory: "64M",
    ...(target.accel === "kvm" || target.accel === "tcg" ? { accel: target.accel } : {}),
  };
  let runtimeFolder = "";
  beforeEach(() => {
    runtimeFolder = mkdtempSync(join(tmpdir(), "hvkit-lib-"));
  });
  afterEach(async () => {
    await down({ runtimeFolder });
    rmSync(runtimeFolder, { recursive: true, force: true });
  }, 60_000);

  here(
    "of several that want it at once one boots it, and all have it",
    async () => {
      const all = await Promise.all([1, 2, 3].map(() => up({ ...machine, runtimeFolder })));
      const pids = await Promise.all(all.map(async (each) => (await each.status()).pid));
      expect(new Set(pids).size).toBe(1);
      for (const each of all) await each.close();
    },
    within(target, 90),
  );

  here(
    "one that is up, and another one than is asked for, is not taken for it",
    async () => {
      const first = await up({ ...machine, cpus: 1, runtimeFolder });
      await (await up({ runtimeFolder })).close();
      await (await up({ ...machine, cpus: 1, runtimeFolder })).close();
      const wish = up({ engine: "bochs", memory: "128M", cpus: 4, runtimeFolder });
      await expect(wish).rejects.toMatchObject({
        code: "E_ALREADY_UP",
        message: expect.stringMatching(/on qemu, not on bochs; it has 1 CPUs, not 4; its machine has 64 MiB of memory, not 128 MiB$/),
      });
      await expect(up({ engnie: "bochs", runtimeFolder } as object)).rejects.toMatchObject({
        code: "E_OPTION",
        hint: expect.stringContaining("'engine'"),
      });
      await expect(up({ engine: "bosch" as "bochs", runtimeFolder })).rejects.toMatchObject({ code: "E_USAGE" });
      await expect(connect({ runtimeFolder, instance: "two" })).rejects.toMatchObject({ code: "E_NOT_UP" });
      await expect(connect({ runtimeFolder, instance: "" })).rejects.toMatchObject({ code: "E_NAME" });
      await first.close();
    },
    within(target, 90),
  );

  here(
    "one that is bound ends with its program, which is killed: no process, no folder",
    async () => {
      const library = pathToFileURL(join(root, "build/js/control/src/client/index.js")).href;
      const program = join(runtimeFolder, "program.mjs");
      const options = { ...machine, runtimeFolder, instance: "bound", bound: true };
      writeFileSync(
        program,
        `const { up } = await import(${JSON.stringify(library)});
const hvkit = await up(${JSON.stringify(options)});
const { pid, engine } = await hvkit.status();
console.log(JSON.stringify([pid, engine.pid]));
setInterval(() => {}, 1000);
`,
      );
      const child = spawn(process.execPath, [program], { stdio: ["ignore", "pipe", "inherit"] });
      const [line] = (await once(child.stdout, "data")) as [Buffer];
      const marks = (JSON.parse(line.toString()) as number[]).map((pid) => markOf(pid));
      expect(marks.map(isAlive)).toEqual([true, true]);
      child.kill("SIGKILL");
      await expect.poll(() => marks.map(isAlive), { timeout: within(target, 30) }).toEqual([false, false]);
      await expect.poll(() => existsSync(join(runtimeFolder, "hvkit-bound")), { timeout: within(target, 10) }).toBe(false);
    },
    within(target, 90),
  );
});
