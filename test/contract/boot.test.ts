// The boot files: hv.img as a disk, and the kernel file through GRUB, both in QEMU (Bochs boots hv.img in every other suite). The limit
// of the image's size is the build's own.
import { execFileSync } from "node:child_process";
import { statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
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
