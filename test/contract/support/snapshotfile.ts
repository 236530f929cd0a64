// A snapshot's file, taken apart and written again with another layout table: as another build would have made it.
import { readFile, writeFile } from "node:fs/promises";
import type { SavedState } from "../../../control/src/hypervisor/saved.js";
import { BLOCK_BYTES, type Layout, registerNames } from "../../../control/src/snapshot/format.js";
import { readRam, readSnapshot, type Source } from "../../../control/src/snapshot/reader.js";
import { SnapshotWriter } from "../../../control/src/snapshot/writer.js";

/** The identity of a table that was changed. */
const IDENTITY = "0123456789abcdef";

export async function withLayout(from: string, to: string, change: (layout: Layout) => Layout): Promise<void> {
  const file = await readFile(from);
  const readSync = (at: number, into: Uint8Array): void => void file.copy(into, 0, at, at + into.length);
  const source: Source = { bytes: file.length, read: async (at, into) => readSync(at, into), readSync };
  const snapshot = await readSnapshot(source);
  const { header, entry, region, fpu, consoleInput } = snapshot;
  const ram = Buffer.alloc(header.memoryBytes);
  await readRam(source, snapshot, async (address, bytes) => void ram.set(bytes, address));
  const registers = registerNames.map((name) => snapshot.registers[name] ?? 0n);
  const parts: Buffer[] = [];
  const writer = await SnapshotWriter.begin(async (bytes) => void parts.push(Buffer.from(bytes)), { ...header, layout: IDENTITY });
  const layout = { ...change(structuredClone(snapshot.layout)), identity: IDENTITY };
  const cpu: Pick<SavedState, "tscKhz" | "cpuModel" | "cpuid"> = { tscKhz: header.cpu.tscKhz, cpuModel: header.cpu.model, cpuid: [] };
  await writer.state({ ...entry, ...cpu, registers, region, fpu, consoleInput }, layout);
  for (let at = 0; at < ram.length; at += BLOCK_BYTES) await writer.ram(at, ram.subarray(at, at + BLOCK_BYTES));
  await writer.end();
  await writeFile(to, Buffer.concat(parts));
}
