// The boot files as the product has them, up to a guest that runs: hv.img as a disk on each engine; on QEMU, which boots the kernel
// file by itself in every other suite, the kernel file through GRUB from a CD, and a machine with memory above 4 GiB.
import { execFileSync } from "node:child_process";
import { statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { grubDisc, inFolder } from "../boot/machine.js";
import { Machine, root } from "./support/machine.js";
import { within } from "./support/suite.js";
import { onEachEngine } from "./support/targets.js";

test("hv.img is at most 96 KiB", () => {
  expect(statSync(join(root, "build/hv.img")).size).toBeLessThanOrEqual(96 * 1024);
});

onEachEngine("boot", (target) => {
  const runs = async (machine: Machine): Promise<void> => {
    try {
      const guest = await machine.run("hello64", { append: "ticks=1" });
      await guest.shows("hello64: done", 30);
    } finally {
      await machine.clear();
      await machine.stop();
    }
  };

  test("hv.img boots as a disk", async () => runs(await Machine.start(target, { bootFrom: "disk" })), within(target, 90));

  test.runIf(target.name === "qemu")(
    "GRUB boots the kernel file by multiboot2",
    () => inFolder(async (folder) => runs(await Machine.start(target, { disc: await grubDisc(folder, join(root, "build/hv.elf32")) }))),
    within(target, 90),
  );

  test.runIf(target.name === "qemu")(
    "memory above 4 GiB is guests' too",
    async () => {
      const machine = await Machine.start(target, { memoryMiB: 5 * 1024 });
      try {
        // QEMU's PC has 3 GiB below 4 GiB, a little of which is the hypervisor's: a guest of 3 GiB must have some from above.
        expect(machine.hypervisor.hello.memoryBytes).toBeGreaterThan(4.75 * 2 ** 30);
        const guest = await machine.run("hello64", { memory: "3G", append: "ticks=1" });
        await guest.shows("hello64: done", 30);
      } finally {
        await machine.clear();
        await machine.stop();
      }
    },
    within(target, 90),
  );

  test.runIf(target.name === "qemu")(
    "what the CPU lacks is named, one line a control, before the hypervisor gives up",
    async () => {
      const start = Machine.start(target, { extra: ["-cpu", "max,-npt"] });
      const message = await start.then(
        async (machine) => machine.stop().then(() => "it came up"),
        (error: Error) => error.message,
      );
      expect(message).toMatch(/^hvkit: .*MISSING$/m);
      expect(message).toMatch(/^hvkit: .*\bok$/m);
    },
    within(target, 90),
  );

  test.runIf(target.name === "qemu")(
    "a shutdown powers the machine off",
    async () => {
      const machine = await Machine.start(target);
      const exited = new Promise((resolve) => machine.engine.onExit(resolve));
      await machine.hypervisor.shutdown();
      await exited;
      await machine.stop();
    },
    within(target, 60),
  );
});

test("the kernel file is multiboot and multiboot2, as GRUB sees it", () => {
  const file = join(root, "build/hv.elf32");
  for (const kind of ["--is-x86-multiboot", "--is-x86-multiboot2"]) execFileSync("grub-file", [kind, file]);
});
