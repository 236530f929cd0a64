// The engines as they were recorded: what `snapshot check --engine` holds a snapshot against when another engine is up, or none. What
// emulators give depends on their versions alone; test/contract/snapshots.test.ts holds the tables against the engines themselves.

import { projectRoot } from "../api/root.js";
import type { SnapshotCheck } from "../api/schemas.js";
import type { CpuidRow, CpuModel } from "../hypervisor/saved.js";
import type { Target } from "./check.js";
import type { Layout } from "./format.js";
import { checkSnapshot } from "./info.js";
import { readLayout } from "./layout.js";
import type { SnapshotStore } from "./store.js";

type RecordedEngine = "qemu" | "bochs";

/** leaf, subleaf, EAX, EBX, ECX, EDX, in hexadecimal: the rows that check.ts looks at */
const TABLES: Record<CpuModel, Record<RecordedEngine, string>> = {
  portable: { qemu: "", bochs: "" },
  host: { qemu: "", bochs: "" },
};

const ENGINES: Record<RecordedEngine, { title: string; tscScaling: boolean }> = {
  qemu: { title: "qemu (tcg), AMD SVM", tscScaling: false },
  bochs: { title: "bochs (emulated), Intel VMX", tscScaling: true },
};

export function recordedTarget(engine: RecordedEngine, model: CpuModel, layout: Layout): Target {
  return { ...ENGINES[engine], layout, cpuid: recordedCpuid(engine, model), tscKhz: null, freeBytes: null };
}

/** With this build's layout; no hypervisor is needed. */
export function checkRecorded(store: SnapshotStore, reference: string, engine: RecordedEngine): Promise<SnapshotCheck> {
  const layout = readLayout(projectRoot());
  return checkSnapshot(store, reference, async ({ cpu }) => recordedTarget(engine, cpu.model, layout));
}

export function recordedCpuid(engine: RecordedEngine, model: CpuModel): CpuidRow[] {
  return TABLES[model][engine]
    .trim()
    .split("\n")
    .map((line) => {
      const [leaf = 0, subleaf = 0, eax = 0, ebx = 0, ecx = 0, edx = 0] = line
        .trim()
        .split(" ")
        .map((word) => Number.parseInt(word, 16));
      return { leaf, subleaf, eax, ebx, ecx, edx };
    });
}
