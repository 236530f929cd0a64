// The engines as they were recorded: what `snapshot check --engine` holds a snapshot against when another engine is up, or none. What
// emulators give depends on their versions alone; test/contract/snapshots.test.ts holds the tables against the engines themselves.

import { projectRoot } from "../api/root.js";
import type { SnapshotCheck } from "../api/schemas.js";
import type { CpuidRow } from "../hypervisor/saved.js";
import type { Target } from "./check.js";
import type { Layout } from "./format.js";
import { checkSnapshot } from "./info.js";
import { readLayout } from "./layout.js";
import type { SnapshotStore } from "./store.js";

type RecordedEngine = "qemu" | "bochs";

/** What guests of the CPU model `host` find: leaf, subleaf, EAX, EBX, ECX, EDX, in hexadecimal: the rows that check.ts looks at. */
const QEMU = `
  0 0 15 68747541 444d4163 69746e65
  1 0 60fb1 10800 f6d83203 78ba97d
  7 0 0 19803a9 204 0
  d 0 7 240 340 0
  d 1 5 0 0 0
  80000001 0 60fb1 0 61 e5d3a97d
  80000008 0 3028 0 0 0`;
const BOCHS = `
  0 0 15 756e6547 6c65746e 49656e69
  1 0 50654 10800 f6d83203 78ba97f
  7 0 0 19c23e9 0 0
  d 0 7 240 340 0
  d 1 7 0 0 0
  80000001 0 0 0 121 24100800
  80000007 0 0 0 0 100
  80000008 0 3028 0 0 0`;

const ENGINES: Record<RecordedEngine, { title: string; tscScaling: boolean; cpuid: string }> = {
  qemu: { title: "qemu (tcg), AMD SVM", tscScaling: false, cpuid: QEMU },
  bochs: { title: "bochs (emulated), Intel VMX", tscScaling: true, cpuid: BOCHS },
};

export function recordedTarget(engine: RecordedEngine, layout: Layout): Target {
  const { title, tscScaling } = ENGINES[engine];
  return { title, tscScaling, layout, cpuid: recordedCpuid(engine), tscKhz: null, freeBytes: null };
}

/** With this build's layout; no hypervisor is needed. */
export function checkRecorded(store: SnapshotStore, reference: string, engine: RecordedEngine): Promise<SnapshotCheck> {
  const layout = readLayout(projectRoot());
  return checkSnapshot(store, reference, () => Promise.resolve(recordedTarget(engine, layout)));
}

export function recordedCpuid(engine: RecordedEngine): CpuidRow[] {
  return ENGINES[engine].cpuid
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
