import { fc, test } from "@fast-check/vitest";
import { describe, expect, it } from "vitest";
import { type BootFiles, type BootPlan, planBoot } from "../../../control/src/images/plan.js";
import { BootBlock, BootLimit, BootModule } from "../../../protocol/boot.js";
import { GuestKind } from "../../../protocol/messages.js";

const MIB = 2 ** 20;
const linux = (kernel: number, initrd?: number, commandLine = "console=ttyS0"): BootFiles => ({
  kind: GuestKind.Linux,
  kernel: new Uint8Array(kernel),
  modules: initrd === undefined ? [] : [{ data: new Uint8Array(initrd), commandLine: "" }],
  commandLine,
});

function block(plan: BootPlan) {
  const bytes = Buffer.from(plan.placements.find(({ what }) => what === "boot block")?.bytes ?? []);
  const word = (index: number): number => Number(bytes.readBigUInt64LE(index * 8));
  const text = (address: number, length: number): string => bytes.toString("utf8", address - plan.block, address - plan.block + length);
  return { word, text };
}

describe("the boot plan", () => {
  it("puts a Linux kernel at 14 MiB, the initrd high, the block at the end", () => {
    const plan = planBoot(linux(8 * MIB, 1_000_001), 128 * MIB);
    expect(plan.placements.map(({ what, address }) => [what, address])).toEqual([
      ["kernel", 14 * MIB],
      ["initrd", Math.floor((128 * MIB - 65536 - 1_000_001) / 4096) * 4096],
      ["boot block", 128 * MIB - 65536],
    ]);
  });

  it("writes the block as protocol/boot.ts says", () => {
    const plan = planBoot(linux(5000, 3000, "quiet ünïcode"), 64 * MIB);
    const { word, text } = block(plan);
    expect(word(BootBlock.Magic)).toBe(BootLimit.Magic);
    expect(word(BootBlock.Kernel)).toBe(14 * MIB);
    expect(word(BootBlock.KernelBytes)).toBe(5000);
    expect(text(word(BootBlock.CommandLine), word(BootBlock.CommandLineBytes))).toBe("quiet ünïcode");
    expect(word(BootBlock.Modules)).toBe(1);
    expect(word(BootBlock.Words + BootModule.Bytes)).toBe(3000);
    expect(word(BootBlock.Words + BootModule.NameBytes)).toBe(0);
  });

  it("gives multiboot modules their names", () => {
    const modules = [
      { data: new Uint8Array(10), commandLine: "first" },
      { data: new Uint8Array(5000), commandLine: "second one" },
    ];
    const plan = planBoot({ kind: GuestKind.Multiboot, kernel: new Uint8Array(9000), modules, commandLine: "a=b" }, 16 * MIB);
    const { word, text } = block(plan);
    const second = BootBlock.Words + BootModule.Words;
    expect(text(word(second + BootModule.Name), word(second + BootModule.NameBytes))).toBe("second one");
    expect(plan.placements.map(({ what }) => what)).toEqual(["module 0", "module 1", "kernel", "boot block"]);
    expect(word(BootBlock.Kernel) % 4096).toBe(0);
  });

  it("fits a boot sector into the smallest guest", () => {
    const plan = planBoot({ kind: GuestKind.BootSector, kernel: new Uint8Array(512), modules: [], commandLine: "" }, 2 * MIB);
    expect(plan.placements[0]?.address).toBe(2 * MIB - 65536 - 4096);
  });

  it.each([
    ["E_KERNEL_TOO_LARGE", () => planBoot(linux(60 * MIB), 64 * MIB)],
    ["E_KERNEL_TOO_LARGE", () => planBoot(linux(1000), 8 * MIB)],
    ["E_INITRD_TOO_LARGE", () => planBoot(linux(8 * MIB, 120 * MIB), 128 * MIB)],
    ["E_KERNEL_TOO_LARGE", () => planBoot({ ...linux(2 * MIB), kind: GuestKind.Multiboot }, 2 * MIB)],
    ["E_MODULE_TOO_LARGE", () => planBoot({ ...linux(1, 9 * MIB), kind: GuestKind.Multiboot }, 8 * MIB)],
    ["E_COMMAND_LINE_TOO_LONG", () => planBoot(linux(1, 1, "x".repeat(2048)), 64 * MIB)],
    [
      "E_TOO_MANY_MODULES",
      () => planBoot({ ...linux(1), modules: Array.from({ length: 17 }, () => ({ data: new Uint8Array(1), commandLine: "" })) }, 64 * MIB),
    ],
    ["E_MEMORY_SIZE", () => planBoot(linux(1), 3 * MIB)],
    ["E_MEMORY_SIZE", () => planBoot(linux(1), 0)],
    ["E_MEMORY_SIZE", () => planBoot(linux(1), 4096 * MIB)],
  ])("refuses what does not fit: %s", (code, plan) => {
    expect(plan).toThrow(expect.objectContaining({ code }));
  });

  test.prop({
    kind: fc.constantFrom(GuestKind.Linux, GuestKind.Multiboot),
    memory: fc.integer({ min: 1, max: 12 }).map((blocks) => blocks * 2 * MIB),
    kernel: fc.integer({ min: 1, max: MIB }),
    modules: fc.array(fc.integer({ min: 1, max: MIB }), { maxLength: 4 }),
  })("never lets two things overlap, nor leave RAM", ({ kind, memory, kernel, modules }) => {
    let plan: BootPlan;
    try {
      const data = (kind === GuestKind.Linux ? modules.slice(0, 1) : modules).map((bytes) => ({
        data: new Uint8Array(bytes),
        commandLine: "m",
      }));
      plan = planBoot({ kind, kernel: new Uint8Array(kernel), modules: data, commandLine: "c" }, memory);
    } catch (error) {
      expect((error as { code: string }).code).toMatch(/_TOO_LARGE$/);
      return;
    }
    const ranges = plan.placements.map(({ address, bytes }) => [address, address + bytes.length] as const).sort(([a], [b]) => a - b);
    ranges.forEach(([start, end], index) => {
      expect(start).toBeGreaterThanOrEqual(MIB);
      expect(end).toBeLessThanOrEqual(ranges[index + 1]?.[0] ?? memory);
    });
  });
});
