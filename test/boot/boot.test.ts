// hv/boot by every way in, up to a hv_main of the test's (hv_main.asm), which tells what it found.
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { parseSymbols } from "../../control/src/hypervisor/symbols.js";
import { crc32c } from "../../control/src/link/crc32c.js";
import { build } from "../../scripts/lib/build.mjs";
import { bochs, built, bytesMiB, disk, type Ended, grubDisc, inFolder, qemu } from "./machine.js";

const exitedByPort = 255; // isa-debug-exit: 7Fh << 1 | 1
const svm = "0000000000000002";
const vmx = "0000000000000001";
const kernel = ["-kernel", join(built, "hv.elf32")];

const imageBytes = () => statSync(join(built, "hv.img")).size;

vi.setConfig({ testTimeout: 60_000 });
beforeAll(() => build({ variant: "boot", only: ["hv"] }), 60_000);

function addressOf(name: string): number {
  const symbol = parseSymbols(readFileSync(join(built, "hv.elf"))).find((each) => each.name === name);
  if (!symbol) throw new Error(`build/boot/hv.elf has no ${name}`);
  return Number(symbol.address);
}

/** The values behind `hvkit: test: NAME`. */
function said({ lines }: Ended, name: string): string[] {
  const line = lines.find((text) => text.startsWith(`hvkit: test: ${name} `));
  return line === undefined ? [] : (line.match(/[0-9a-f]{16}/g) ?? []);
}

function ranges({ lines }: Ended, name = "range"): { base: number; end: number }[] {
  return lines
    .filter((line) => line.startsWith(`hvkit: test: ${name} `))
    .map((line) => (line.match(/[0-9a-f]{16}/g) ?? []).map((digits) => Number(`0x${digits}`)))
    .map(([base = 0, length = 0]) => ({ base, end: base + length }));
}

/** What must hold after every way in. */
function expectHandedOver(ended: Ended, vendor: string, memoryBytes: number) {
  expect(ended.lines.at(-1)).toBe("hvkit: test: done");
  // what was packed is there as it is linked, and nothing is left of what it came from
  const linked = readFileSync(join(built, "obj/hv.bin"));
  const crc = crc32c(linked.subarray(0, addressOf("__rodata_end") - addressOf("__text_start")));
  expect(said(ended, "image")).toEqual([crc.toString(16).padStart(16, "0"), "0000000000000000"]);
  expect(said(ended, "vendor")).toEqual([vendor]);
  // text twice, rodata, null, data and the direct map's code fault; the plain accesses do not
  expect(said(ended, "faults")).toEqual(["000000000000003f"]);
  expect(said(ended, "direct")).toEqual(["000000000000005a"]);
  expect(said(ended, "apic")[0]).toMatch(/14$/);

  const found = ranges(ended);
  const total = found.reduce((sum, { base, end }) => sum + end - base, 0);
  expect(total).toBeGreaterThan(memoryBytes - 4 * bytesMiB);
  expect(total).toBeLessThan(memoryBytes);
  let last = bytesMiB;
  for (const { base, end } of found) {
    expect(base % 4096).toBe(0);
    expect(end % 4096).toBe(0);
    expect(base).toBeGreaterThan(last);
    expect(end).toBeGreaterThan(base);
    last = end;
  }
  const [frame, next] = said(ended, "frame").map((digits) => Number(`0x${digits}`));
  expect(frame).toBe(found[0]?.base);
  expect(next).toBe((frame ?? 0) + 4096);
}

describe("QEMU", () => {
  test("multiboot", async () => {
    const ended = await qemu([...kernel, "-m", "128"]);
    expect(ended.code).toBe(exitedByPort);
    expectHandedOver(ended, svm, 128 * bytesMiB);
  });

  test("multiboot with memory above 4 GiB, which the direct map reaches", async () => {
    const ended = await qemu([...kernel, "-m", "5G"]);
    expectHandedOver(ended, svm, 5 * 1024 * bytesMiB);
    expect(ranges(ended).at(-1)?.end).toBeGreaterThan(2 ** 32);
  });

  test("multiboot2 by GRUB", async () => {
    const ended = await inFolder(async (folder) => qemu(["-cdrom", await grubDisc(folder), "-m", "128"]));
    expectHandedOver(ended, svm, 128 * bytesMiB);
  });

  test("our disk, of exactly the image's size", async () => {
    const ended = await inFolder((folder) => qemu(["-drive", `file=${disk(folder, imageBytes())},format=raw,if=ide`, "-m", "128"]));
    expectHandedOver(ended, svm, 128 * bytesMiB);
  });

  test("our disk as a USB stick", async () => {
    const stick = ["-device", "qemu-xhci", "-device", "usb-storage,drive=stick", "-m", "128"];
    const ended = await inFolder((folder) => qemu(["-drive", `id=stick,file=${disk(folder, 8 * bytesMiB)},format=raw,if=none`, ...stick]));
    expectHandedOver(ended, svm, 128 * bytesMiB);
  });

  test("a map that is unsorted, overlaps and is not in pages", async () => {
    const ended = await qemu([...kernel, "-m", "64"]);
    expect(ranges(ended, "odd")).toEqual([
      { base: 0x800000, end: 0x1000000 },
      { base: 0x1002000, end: 0x1900000 },
      { base: 0x100000000, end: 0x120000000 },
      { base: 0x120001000, end: 0x140000000 },
    ]);
  });

  test("reset to hv_main costs little", async () => {
    const ended = await qemu([...kernel, "-m", "1G", "-icount", "shift=0,sleep=off"]);
    // SeaBIOS with its copying of the kernel takes about 6 million of them
    expect(Number(`0x${said(ended, "tsc")[0]}`)).toBeLessThan(8_000_000);
  });

  test("a disk that ends early is named", async () => {
    const ended = await inFolder((folder) => qemu(["-drive", `file=${disk(folder, 2048)},format=raw,if=ide`, "-m", "32"], "max", 3_000));
    expect(ended.code).toBeUndefined();
    expect(ended.lines).toEqual(["hvkit: stop: the drive cannot be read"]);
  });
});

describe("Bochs", () => {
  test("our disk", async () => {
    expectHandedOver(await bochs("corei7_skylake_x"), vmx, 64 * bytesMiB);
  });

  test("our disk on a CPU with SVM", async () => {
    expectHandedOver(await bochs("ryzen"), svm, 64 * bytesMiB);
  });
});

describe("the disk's first sector", () => {
  const sector = () => readFileSync(join(built, "hv.img")).subarray(0, 512);

  test("has one active partition over the rest, and the signature", () => {
    expect(sector().readUInt16LE(510)).toBe(0xaa55);
    const entries = [0, 1, 2, 3].map((index) => sector().subarray(446 + 16 * index, 462 + 16 * index));
    expect(entries.map((entry) => entry[0])).toEqual([0x80, 0, 0, 0]);
    expect(entries[0]?.readUInt32LE(8)).toBe(1);
    expect(entries[0]?.readUInt32LE(12)).toBe(imageBytes() / 512 - 1);
    for (const entry of entries.slice(1)) expect(entry.every((byte) => byte === 0)).toBe(true);
  });

  test("leaves room for what a BIOS writes into a parameter block", () => {
    expect(
      sector()
        .subarray(3, 90)
        .every((byte) => byte === 0),
    ).toBe(true);
  });
});
