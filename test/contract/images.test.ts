// Every guest of ours on each engine: what its manifest says it shows and how it ends; then what each can do beyond that.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { endReasonCode } from "../../control/src/hypervisor/texts.js";
import { nestedPath } from "../../control/src/inspect/nested.js";
import { EndReason, GuestKind, Vendor } from "../../protocol/messages.js";
import { root } from "./support/machine.js";
import { useMachine, within } from "./support/suite.js";
import { onEachEngine } from "./support/targets.js";

const MIB = 2 ** 20;
const ours = readdirSync(join(root, "images")).filter((name) => name !== "linux" && existsSync(join(root, "images", name, "image.json")));

onEachEngine("images", (target) => {
  const machine = useMachine(target);

  test("the hypervisor's vendor is the engine's", () => {
    expect(machine().hypervisor.hello.vendor).toBe(target.vendor === "Intel VMX" ? Vendor.Vmx : Vendor.Svm);
  });

  test.each(ours)(
    "%s",
    async (name) => {
      const { manifest } = await machine().image(name);
      const expected = manifest.expect;
      if (!expected) throw new Error(`images/${name}/image.json says not what to expect`);
      const guest = await machine().run(name);
      let from = 0;
      for (const text of expected.console) {
        const match = await guest.shows(text, expected.seconds, from);
        from += match.index + match[0].length;
      }
      if (expected.end !== undefined) {
        const end = await guest.ends(expected.seconds);
        expect(endReasonCode(end.reason)).toBe(expected.end);
        if (expected.value !== undefined) expect(end.value).toBe(BigInt(expected.value));
      }
      expect(guest.console).not.toContain("FAIL");
    },
    within(target, 90),
  );

  test("a guest's nested tables lead to the memory that it was given, and nowhere else", async () => {
    const { hypervisor } = machine();
    const { guest, runs } = await hypervisor.guestCreate({ memoryBytes: 6 * MIB, wallSeconds: 0 });
    try {
      for (const address of [0, 2 * MIB + 0x1234, 6 * MIB - 1]) {
        const run = runs.find(({ guestPhysical, bytes }) => address >= guestPhysical && address < guestPhysical + bytes);
        const { root, entries } = await hypervisor.guestNested(guest, address);
        const path = nestedPath(address, BigInt(root), entries);
        expect(path.entries.at(-1)?.flags).toEqual(expect.arrayContaining(["read", "write", "execute", "large"]));
        expect(path.physical).toBe(BigInt((run?.hostPhysical ?? 0) + address - (run?.guestPhysical ?? 0)));
      }
      for (const address of [6 * MIB, 2 ** 30, 2 ** 47, 2 ** 48 - 1]) {
        const { root, entries } = await hypervisor.guestNested(guest, address);
        expect(nestedPath(address, BigInt(root), entries).physical).toBeUndefined();
      }
    } finally {
      await hypervisor.guestDestroy(guest);
    }
  });

  test(
    "hello64 gets its command line, and halts for good when told so",
    async () => {
      const guest = await machine().run("hello64", { append: "nonce=6f1d ticks=1 end=halt" });
      await guest.shows("hello64: command line: hz=100 nonce=6f1d ticks=1 end=halt\n");
      const end = await guest.ends();
      expect(end.reason).toBe(EndReason.HaltedForever);
      expect(guest.console).toContain("hello64: done");
    },
    within(target, 30),
  );

  test(
    "multiboot modules and memory arrive as they were given",
    async () => {
      const { filesFolder } = await machine().image("multiboot");
      const { readFile } = await import("node:fs/promises");
      const kernel = await readFile(join(filesFolder, "multiboot"));
      const data = Buffer.from(Array.from({ length: 5000 }, (_, index) => (index * 7) & 0xff));
      const modules = [
        { data, commandLine: "first one" },
        { data: Buffer.from([1, 2, 3]), commandLine: "second" },
      ];
      const guest = await machine().runFiles("multiboot", { kind: GuestKind.Multiboot, kernel, modules, commandLine: "" }, 8);
      await guest.ends();
      const sum = data.reduce((total, byte) => total + byte, 0);
      expect(guest.console).toContain(`multiboot: module 5000 sum ${sum} first one\n`);
      expect(guest.console).toContain("multiboot: module 3 sum 6 second\n");
      const memory = /multiboot: memory (\d+)/.exec(guest.console);
      expect(Number(memory?.[1])).toBeGreaterThan(7 * 2 ** 20);
      expect(Number(memory?.[1])).toBeLessThanOrEqual(8 * 2 ** 20);
    },
    within(target, 30),
  );

  test(
    "the registers and the memory of a guest can be read",
    async () => {
      const guest = await machine().run("spin");
      await guest.shows("spin: interrupts off");
      const counter = async (): Promise<bigint> =>
        Buffer.from(await machine().hypervisor.guestGet(guest.slot, 0x200000, 8)).readBigUInt64LE();
      const first = await counter();
      await expect.poll(counter, { timeout: within(target, 10) }).toBeGreaterThan(first);
      await machine().hypervisor.guestPause(guest.slot);
      const paused = await counter();
      const registers = await machine().hypervisor.guestRegisters(guest.slot);
      const { Register } = await import("../../protocol/state.js");
      expect(registers[Register.Rip]).toBeGreaterThan(0x100000n);
      expect(registers[Register.Rip]).toBeLessThan(0x200000n);
      expect((registers[Register.Rflags] ?? 0n) & 0x200n).toBe(0n);
      expect((registers[Register.Efer] ?? 0n) & 0x500n).toBe(0x500n);
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(await counter()).toBe(paused);
      await machine().hypervisor.guestResume(guest.slot);
      await expect.poll(counter, { timeout: within(target, 10) }).toBeGreaterThan(paused);
    },
    within(target, 40),
  );
});
