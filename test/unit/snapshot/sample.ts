// A snapshot of a guest that never was, for tests: its state, its layout table, its header, and the bytes of its file.
import type { SavedState } from "../../../control/src/hypervisor/saved.js";
import { BLOCK_BYTES, type Layout, type SnapshotHeader } from "../../../control/src/snapshot/format.js";
import type { Source } from "../../../control/src/snapshot/reader.js";
import { SnapshotWriter } from "../../../control/src/snapshot/writer.js";
import { Register } from "../../../protocol/state.js";

export const MIB = 2 ** 20;

export function sampleLayout(): Layout {
  return {
    identity: "0123456789abcdef",
    region: { start: 0x100, end: 0x4000 },
    records: [
      {
        record: "vcpu",
        class: "VcpuRecord",
        address: 0x100,
        bytes: 144,
        fields: [
          { name: "gpr", offset: 0, type: "u64", count: 16 },
          { name: "rip", offset: 128, type: "u64", count: 1 },
          { name: "cr8", offset: 136, type: "u64", count: 1 },
        ],
      },
      {
        record: "timer",
        class: "TimerRecord",
        address: 0x190,
        bytes: 13,
        fields: [
          { name: "deadline", offset: 0, type: "u64", count: 1 },
          { name: "mode", offset: 8, type: "u8", count: 1 },
          { name: "latch", offset: 10, type: "u8", count: 3 },
        ],
      },
    ],
  };
}

export function sampleState(): SavedState {
  return {
    registers: Array.from({ length: Register.Count }, (_, index) => BigInt(index) * 0x0101_0101_0101n),
    inject: 0x8000_0020n,
    injectLength: 2,
    halted: true,
    events: 5,
    clockNs: 123_456_789_012n,
    tscKhz: 1_000_000,
    cpuModel: "portable",
    cpuid: [
      { leaf: 0, subleaf: 0, eax: 0x15, ebx: 0x6874_7541, ecx: 0x444d_4163, edx: 0x6974_6e65 },
      { leaf: 1, subleaf: 0, eax: 0x663, ebx: 0x800, ecx: 0x8000_0201, edx: 0x078b_a97f },
    ],
    fpu: Uint8Array.from({ length: 832 }, (_, index) => index & 255),
    region: Uint8Array.from({ length: 157 }, (_, index) => (index >= 153 && index < 154 ? 0 : (index * 3 + 1) & 255)),
    consoleInput: [Buffer.from("ls\n"), Buffer.alloc(0)],
  };
}

export function sampleHeader(memoryBytes = 4 * MIB): SnapshotHeader {
  const { cpuid, tscKhz, cpuModel } = sampleState();
  return {
    name: "sample",
    description: "",
    createdAt: "2026-01-02T03:04:05.678Z",
    guest: { id: "00112233aabb", name: "web", lineage: "00112233aabb" },
    image: { reference: "linux", name: "linux", kind: "linux", append: "a=b", added: [] },
    engine: { name: "qemu", accel: "tcg", vendor: "AMD SVM", build: "hvkit test" },
    memoryBytes,
    layout: sampleLayout().identity,
    cpu: { model: cpuModel, tscKhz, cpuid: cpuid.map(({ leaf, subleaf, eax, ebx, ecx, edx }) => [leaf, subleaf, eax, ebx, ecx, edx]) },
  };
}

/** RAM with zero pages, text, and bytes that do not shrink. */
export function sampleRam(bytes = 4 * MIB): Buffer {
  const ram = Buffer.alloc(bytes);
  ram.write("the first page", 0);
  for (let at = 0; at < 64 * 1024; at += 64) ram.write(`line ${at} of a kernel's log that is much like others\n`, MIB + at);
  let seed = 1;
  for (let at = 2 * MIB; at < 2 * MIB + 3 * 4096; at += 4) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    ram.writeUInt32LE((seed ^ (seed >>> 15)) >>> 0, at);
  }
  ram[bytes - 1] = 7;
  return ram;
}

/** The file, as the writer makes it. */
export async function sampleFile(
  change: { header?: SnapshotHeader; state?: SavedState; layout?: Layout; ram?: Buffer } = {},
): Promise<Buffer> {
  const ram = change.ram ?? sampleRam();
  const parts: Uint8Array[] = [];
  const writer = await SnapshotWriter.begin(
    async (bytes) => void parts.push(Buffer.from(bytes)),
    change.header ?? sampleHeader(ram.length),
  );
  await writer.state(change.state ?? sampleState(), change.layout ?? sampleLayout());
  for (let at = 0; at < ram.length; at += BLOCK_BYTES) await writer.ram(at, ram.subarray(at, at + BLOCK_BYTES));
  await writer.end();
  return Buffer.concat(parts);
}

export function sourceOf(file: Buffer): Source {
  const readSync = (at: number, into: Uint8Array): void => {
    if (at + into.length > file.length) throw new Error("a read beyond the file's end");
    into.set(file.subarray(at, at + into.length));
  };
  return { bytes: file.length, read: async (at, into) => readSync(at, into), readSync };
}
