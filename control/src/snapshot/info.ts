// What is told of a snapshot: the header, in the form of the JSON-RPC surface. Used by the daemon, and by commands when none is up.
import type { SavedDetail, SnapshotCheck, SnapshotDetail, SnapshotEntry, SnapshotSummary } from "../api/schemas.js";
import { HvkitError } from "../errors.js";
import { hex } from "../hex.js";
import { findObstacles, type Target } from "./check.js";
import { ofFile } from "./errors.js";
import type { SnapshotHeader } from "./format.js";
import { openSnapshot, readSnapshot, type Snapshot } from "./reader.js";
import type { SnapshotStore, StoredSnapshot } from "./store.js";

/** Errors that are an answer to whether a snapshot can go on. */
const OBSTACLES: Record<string, { code: "damaged" | "format" | "cpu-feature"; target: string } | undefined> = {
  E_SNAPSHOT_DAMAGED: { code: "damaged", target: "any" },
  E_SNAPSHOT_FORMAT: { code: "format", target: "any" },
  /** the hypervisor cannot give any guest the snapshot's CPU model */
  E_HV_CPU_LACKS: { code: "cpu-feature", target: "this hypervisor" },
};

export function summaryOf({ guest, image, cpu, ...header }: SnapshotHeader, path: string, bytes: number): SnapshotSummary {
  const { name, createdAt, description, memoryBytes, engine } = header;
  return {
    name,
    path,
    bytes,
    createdAt,
    description,
    guest: { id: guest.id, name: guest.name },
    image: image.name,
    kind: image.kind,
    memoryBytes,
    engine,
    cpuModel: cpu.model,
    tscKhz: cpu.tscKhz,
  };
}

export function detailOf(header: SnapshotHeader, path: string, bytes: number): SnapshotDetail {
  return {
    ...summaryOf(header, path, bytes),
    append: header.image.append,
    added: header.image.added,
    affinity: header.affinity ?? null,
    layout: header.layout,
    cpuid: header.cpu.cpuid.map(([leaf, subleaf, eax, ebx, ecx, edx]) => ({
      leaf: hex(leaf),
      subleaf: hex(subleaf),
      eax: hex(eax),
      ebx: hex(ebx),
      ecx: hex(ecx),
      edx: hex(edx),
    })),
  };
}

/** The guest, as the file has it. */
export function savedDetailOf({ header, entry, registers, consoleInput, bytes }: Snapshot, path: string): SavedDetail {
  return {
    ...detailOf(header, path, bytes),
    state: "saved",
    lineage: header.guest.lineage,
    idle: entry.halted,
    clockNs: String(entry.clockNs),
    clockAt: header.clockAt ?? null,
    inputBytes: consoleInput.map(({ length }) => length),
    rip: hex(registers.rip ?? 0n),
  };
}

export async function listSnapshots(store: SnapshotStore): Promise<SnapshotEntry[]> {
  return (await store.list()).map(entryOf);
}

export async function inspectSnapshot(store: SnapshotStore, reference: string): Promise<SnapshotDetail> {
  const { source, path, close } = await store.open(reference);
  try {
    return detailOf(await ofFile(path, openSnapshot(source)), path, source.bytes);
  } finally {
    await close();
  }
}

/** Reads all of the file, and names what is in the way of going on at the target. */
export async function checkSnapshot(
  store: SnapshotStore,
  reference: string,
  targetFor: (header: SnapshotHeader) => Promise<Target>,
): Promise<SnapshotCheck> {
  const { source, path, close } = await store.open(reference);
  try {
    const snapshot = await readSnapshot(source);
    const target = await targetFor(snapshot.header);
    const obstacles = findObstacles(snapshot, target);
    return { path, target: target.title, ok: obstacles.every(({ severity }) => severity !== "error"), obstacles };
  } catch (error) {
    const known = error instanceof HvkitError ? OBSTACLES[error.code] : undefined;
    if (known === undefined) throw error;
    return {
      path,
      target: known.target,
      ok: false,
      obstacles: [{ code: known.code, severity: "error", text: (error as HvkitError).message }],
    };
  } finally {
    await close();
  }
}

function entryOf({ name, path, bytes, header, problem }: StoredSnapshot): SnapshotEntry {
  return {
    name,
    path,
    bytes,
    snapshot: header && summaryOf(header, path, bytes),
    problem: problem && { code: problem.code, message: problem.message },
  };
}
