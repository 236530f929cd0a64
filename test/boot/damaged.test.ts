// A boot file that was damaged on its way is named, whatever the damage is, on CPUs with and without an instruction for the CRC.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test, vi } from "vitest";
import { parseSymbols } from "../../control/src/hypervisor/symbols.js";
import { build } from "../../scripts/lib/build.mjs";
import { bochs, built, type Ended, inFolder, qemu } from "./machine.js";

const stoppedByPort = 255; // isa-debug-exit: 7Fh << 1 | 1
const message = "hvkit: stop: the boot image is damaged: build it again, or write it to the disk again";

vi.setConfig({ testTimeout: 60_000 });
beforeAll(() => build({ variant: "boot", only: ["hv"] }), 60_000);

/** Where the packed part begins, with its length, in a boot file: where the same bytes stand as at its link address. */
function packedAt(file: Buffer): number {
  const symbols = parseSymbols(readFileSync(join(built, "hv.elf")));
  const [start, end] = ["__image_start", "__plain_end"].map((name) => Number(symbols.find((symbol) => symbol.name === name)?.address));
  const plain = readFileSync(join(built, "obj/hv.bin")).subarray(0, end - start);
  const at = file.indexOf(plain);
  expect(at).toBeGreaterThan(0);
  return at + plain.length;
}

/** A copy of a boot file, changed from its packed part on. */
function damaged(folder: string, name: string, change: (packed: Buffer) => void): string {
  const file = readFileSync(join(built, name));
  change(file.subarray(packedAt(file)));
  const path = join(folder, name);
  writeFileSync(path, file);
  return path;
}

function expectNamed({ lines, code }: Ended) {
  expect(lines).toEqual([message]);
  expect(code).toBe(stoppedByPort);
}

const flip = (packed: Buffer) => {
  packed[1000] ^= 0x10;
};

test.each<[string, string, (packed: Buffer) => void]>([
  ["a bit", "max", flip],
  ["a bit, on a CPU without the CRC's instruction", "qemu64", flip],
  ["no length", "max", (packed) => packed.writeUInt32LE(0, 0)],
  ["a length that is too large", "max", (packed) => packed.writeUInt32LE(0xfffffff8, 0)],
  ["a length that is 8 too small", "max", (packed) => packed.writeUInt32LE(packed.readUInt32LE(0) - 8, 0)],
  ["zeros all over", "max", (packed) => packed.fill(0)],
])("QEMU, the kernel file: %s", async (_, cpu, change) => {
  expectNamed(await inFolder((folder) => qemu(["-kernel", damaged(folder, "hv.elf32", change), "-m", "64"], cpu)));
});

test("QEMU, the disk: a sector that was lost", async () => {
  const lost = (packed: Buffer) => packed.fill(0, 1024, 1024 + 512);
  const drive = (folder: string) => `file=${damaged(folder, "hv.img", lost)},format=raw,if=ide`;
  expectNamed(await inFolder((folder) => qemu(["-drive", drive(folder), "-m", "64"])));
});

test("Bochs, the disk: a bit", async () => {
  const ended = await inFolder((folder) => bochs("corei7_skylake_x", damaged(folder, "hv.img", flip)));
  expect(ended.lines).toEqual([message]);
});
