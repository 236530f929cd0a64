// Images that are wrong: each is refused with a stable code, by the boot plan or by the machine, and everything else goes on.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { BootFiles } from "../../control/src/images/plan.js";
import { GuestKind, RunState } from "../../protocol/messages.js";
import { elf32, MULTIBOOT_HEADER, type Segment } from "./support/elf.js";
import { root } from "./support/machine.js";
import { startNeighbour } from "./support/neighbour.js";
import { useMachine, within } from "./support/suite.js";
import { onEachEngine } from "./support/targets.js";

const vmlinuz = (): Buffer => readFileSync(join(root, "build/images/linux/vmlinuz"));
const changed = (bytes: Buffer, offset: number, value: number[]): Buffer => {
  const copy = Buffer.from(bytes);
  copy.set(value, offset);
  return copy;
};
const linux = (kernel: Uint8Array): BootFiles => ({ kind: GuestKind.Linux, kernel, modules: [], commandLine: "" });
const multiboot = (kernel: Uint8Array): BootFiles => ({ kind: GuestKind.Multiboot, kernel, modules: [], commandLine: "" });
const sector = (kernel: Uint8Array): BootFiles => ({ kind: GuestKind.BootSector, kernel, modules: [], commandLine: "" });

const MIB = 2 ** 20;
const code: Segment = { address: MIB, bytes: Buffer.from([0xf4]), memory: 4096 };
const elf = (...segments: Segment[]): BootFiles => multiboot(elf32(segments, MIB));
/** the highest 64 KiB hold the boot block */
const TOP = 32 * MIB;

const cases: [what: string, files: () => BootFiles, memoryMiB: number, code: string][] = [
  ["a truncated bzImage", () => linux(vmlinuz().subarray(0, 3 * MIB)), 128, "E_HV_LINUX_TRUNCATED"],
  ["a bzImage that ends in its header", () => linux(vmlinuz().subarray(0, 0x210)), 128, "E_HV_LINUX_TRUNCATED"],
  ["a file that is no bzImage", () => linux(Buffer.alloc(65536, 0x90)), 128, "E_HV_LINUX_NO_MAGIC"],
  ["a kernel of an old boot protocol", () => linux(changed(vmlinuz(), 0x206, [0x04, 0x02])), 128, "E_HV_LINUX_TOO_OLD"],
  ["a kernel without a 64-bit entry", () => linux(changed(vmlinuz(), 0x236, [0, 0])), 128, "E_HV_LINUX_NOT_64_BIT"],
  ["a kernel that needs more memory to unpack", () => linux(vmlinuz()), 64, "E_HV_LINUX_NO_ROOM"],
  ["a kernel larger than the guest", () => linux(vmlinuz()), 16, "E_KERNEL_TOO_LARGE"],
  [
    "an initrd larger than the guest",
    () => ({ ...linux(vmlinuz()), modules: [{ data: Buffer.alloc(140 * MIB), commandLine: "" }] }),
    128,
    "E_INITRD_TOO_LARGE",
  ],
  [
    "an initrd that leaves the kernel no room",
    () => ({ ...linux(vmlinuz()), modules: [{ data: Buffer.alloc(90 * MIB, 1), commandLine: "" }] }),
    128,
    "E_HV_INITRD_NO_ROOM",
  ],
  ["a multiboot kernel without its header", () => multiboot(Buffer.alloc(9000)), 32, "E_HV_MULTIBOOT_NO_HEADER"],
  [
    "a multiboot header with a wrong checksum",
    () => multiboot(changed(elf32([code], MIB), MULTIBOOT_HEADER + 8, [1])),
    32,
    "E_HV_MULTIBOOT_NO_HEADER",
  ],
  [
    "a truncated ELF",
    () => multiboot(elf32([{ ...code, bytes: Buffer.alloc(8192), memory: 8192 }], MIB).subarray(0, 4096)),
    32,
    "E_HV_ELF_TRUNCATED",
  ],
  ["an ELF for another machine", () => multiboot(changed(elf32([code], MIB), 18, [62])), 32, "E_HV_ELF_BAD"],
  ["segments that overlap", () => elf(code, { address: MIB + 2048, bytes: Buffer.alloc(64), memory: 4096 }), 32, "E_HV_ELF_OVERLAP"],
  [
    "a segment that wraps around 4 GiB",
    () => elf(code, { address: 0xfffff000, bytes: Buffer.alloc(16), memory: 0x2000 }),
    32,
    "E_HV_ELF_OVERFLOW",
  ],
  [
    "a segment beyond the guest's memory",
    () => elf(code, { address: 64 * MIB, bytes: Buffer.alloc(16), memory: 16 }),
    32,
    "E_HV_ELF_NO_ROOM",
  ],
  [
    "a segment whose zeros end beyond the memory",
    () => elf(code, { address: 2 * MIB, bytes: Buffer.alloc(16), memory: TOP }),
    32,
    "E_HV_ELF_NO_ROOM",
  ],
  ["an entry outside of all segments", () => multiboot(elf32([code], 5 * MIB)), 32, "E_HV_ELF_ENTRY_OUTSIDE"],
  ["a boot sector of 511 bytes", () => sector(Buffer.alloc(511)), 2, "E_HV_BOOT_SECTOR_SIZE"],
  ["a boot sector without its signature", () => sector(Buffer.alloc(512)), 2, "E_HV_BOOT_SECTOR_NO_SIGNATURE"],
];

onEachEngine("bad images", (target) => {
  const machine = useMachine(target, { memoryMiB: 768 });

  test.each(cases)(
    "%s is refused",
    async (_what, files, memoryMiB, expected) => {
      await expect(machine().runFiles("bad", files(), memoryMiB)).rejects.toMatchObject({ code: expected });
      expect(await machine().slots()).toEqual([]);
    },
    within(target, 60),
  );

  test(
    "a neighbour goes on while images are refused",
    async () => {
      const neighbour = await startNeighbour(machine());
      for (const [, files, memoryMiB] of cases.slice(9))
        await machine()
          .runFiles("bad", files(), memoryMiB)
          .catch(() => undefined);
      await neighbour.isUntouched();
    },
    within(target, 60),
  );

  test(
    "requests that cannot be are refused",
    async () => {
      const { hypervisor } = machine();
      const create = (memoryBytes: number) => hypervisor.guestCreate({ memoryBytes, wallSeconds: 0 });
      await expect(create(2048 * MIB)).rejects.toMatchObject({ code: "E_HV_NO_MEMORY" });
      await expect(create(3 * MIB)).rejects.toMatchObject({ code: "E_HV_BAD_MEMORY_SIZE" });
      await expect(create(0)).rejects.toMatchObject({ code: "E_HV_BAD_MEMORY_SIZE" });
      await expect(create(2 ** 33)).rejects.toMatchObject({ code: "E_HV_BAD_MEMORY_SIZE" });
      await expect(hypervisor.guestState(7)).rejects.toMatchObject({ code: "E_HV_NO_SUCH_GUEST" });
      await expect(hypervisor.guestKill(100_000)).rejects.toMatchObject({ code: "E_HV_NO_SUCH_GUEST" });
      const { guest } = await create(4 * MIB);
      try {
        await expect(hypervisor.guestDigest(guest, 4 * MIB - 8, 16)).rejects.toMatchObject({ code: "E_HV_BAD_ADDRESS" });
        await expect(hypervisor.guestPause(guest)).rejects.toMatchObject({ code: "E_HV_BAD_STATE" });
        const start = hypervisor.guestStart({ guest, kind: GuestKind.Multiboot, block: 0x200000, blockBytes: 64 });
        await expect(start).rejects.toMatchObject({ code: "E_HV_BOOT_BLOCK_BAD" });
        const beyond = hypervisor.guestStart({ guest, kind: GuestKind.Multiboot, block: 2 ** 50, blockBytes: 64 });
        await expect(beyond).rejects.toMatchObject({ code: expect.stringMatching(/^E_HV_/) });
        const unknown = hypervisor.guestStart({ guest, kind: 9 as GuestKind, block: 0x200000, blockBytes: 64 });
        await expect(unknown).rejects.toMatchObject({ code: expect.stringMatching(/^E_HV_(KIND_UNKNOWN|BOOT_BLOCK_BAD)$/) });
        expect((await hypervisor.guestState(guest)).state).toBe(RunState.Created);
      } finally {
        await hypervisor.guestDestroy(guest);
      }
    },
    within(target, 60),
  );
});
