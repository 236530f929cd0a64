// Whether a snapshot can go on at a certain host, and each thing in the way: what `snapshot check` prints, and what a restore asks
// before it changes anything. The file itself was checked by reader.ts before.
import { TscRate } from "../../../protocol/state.js";
import { HvkitError } from "../errors.js";
import { strangeLeaves } from "../hypervisor/cpuid.js";
import type { CpuidRow } from "../hypervisor/saved.js";
import { missingFeatures, vendorString } from "./cpuidbits.js";
import type { Layout } from "./format.js";
import { migrate } from "./migrate.js";
import type { Snapshot } from "./reader.js";

/** Where it shall go on. */
export interface Target {
  /** "qemu (tcg), AMD SVM" */
  title: string;
  layout: Layout;
  /** what a guest of the CPU model `host` finds there; null: nobody could ask, and the hypervisor decides when it comes to it */
  cpuid: readonly CpuidRow[] | null;
  /** of the host's TSC; null: it depends on the machine */
  tscKhz: number | null;
  tscScaling: boolean;
  /** for guests; null: it depends on `hvkit up --memory` */
  freeBytes: number | null;
}

export interface Obstacle {
  /** layout, cpu-feature, cpu-vendor, memory: it cannot go on; tsc: it can, but not quite as before */
  code: "layout" | "cpu-feature" | "cpu-vendor" | "memory" | "tsc";
  severity: "error" | "warning";
  text: string;
}

export function findObstacles(snapshot: Snapshot, target: Target): Obstacle[] {
  return [
    ...layoutObstacles(snapshot, target),
    ...cpuObstacles(snapshot, target),
    ...tscObstacles(snapshot, target),
    ...memoryObstacles(snapshot, target),
  ];
}

/** Throws E_SNAPSHOT_CPU where the CPU cannot do what the guest found at its boot; migrate() does the same for the layout. */
export function requireCpu(snapshot: Snapshot, target: Target): void {
  const errors = cpuObstacles(snapshot, target).filter(({ severity }) => severity === "error");
  if (errors.length === 0) return;
  throw new HvkitError("E_SNAPSHOT_CPU", `the snapshot cannot go on here: ${errors.map(({ text }) => text).join("; ")}`, {
    hint: "`hvkit snapshot check` names all that is in the way; guests with `--cpu portable` go on everywhere.",
    data: { obstacles: errors },
  });
}

function layoutObstacles(snapshot: Snapshot, { layout }: Target): Obstacle[] {
  try {
    migrate(snapshot, layout);
    return [];
  } catch (error) {
    if (!(error instanceof HvkitError) || error.code !== "E_SNAPSHOT_LAYOUT") throw error;
    const differences = error.data?.differences as string[];
    return differences.map((text) => ({ code: "layout", severity: "error", text: `state: ${text}` }));
  }
}

function cpuObstacles({ header }: Snapshot, { cpuid }: Target): Obstacle[] {
  const wanted = header.cpu.cpuid.map(([leaf, subleaf, eax, ebx, ecx, edx]) => ({ leaf, subleaf, eax, ebx, ecx, edx }));
  const obstacles: Obstacle[] = [
    ...strangeLeaves(wanted).map((leaf) => `no guest here has CPUID leaf ${leaf}`),
    ...missingFeatures(wanted, cpuid ?? wanted).map((name) => `the CPU lacks ${name}`),
  ].map((text) => ({ code: "cpu-feature", severity: "error", text }));
  if (!cpuid) return obstacles;
  const [saved, here] = [vendorString(wanted), vendorString(cpuid)];
  if (header.cpu.model === "host" && saved !== here) {
    obstacles.push({
      code: "cpu-vendor",
      severity: "error",
      text: `the guest has the CPU model 'host' of ${saved}, this is ${here}: system call instructions and MSRs differ`,
    });
  }
  return obstacles;
}

function tscObstacles({ header }: Snapshot, { tscKhz, tscScaling }: Target): Obstacle[] {
  const { tscKhz: wanted } = header.cpu;
  if (tscScaling || (tscKhz !== null && Math.abs(tscKhz - wanted) <= tscKhz >> TscRate.AlikeShift)) return [];
  const here = tscKhz === null ? "this engine's rate depends on the machine" : `this is ${tscKhz} kHz`;
  return [
    {
      code: "tsc",
      severity: "warning",
      text: `the guest's TSC runs at ${wanted} kHz, ${here}, and it cannot be scaled: where it differs, RDTSC is intercepted and takes longer`,
    },
  ];
}

function memoryObstacles({ header }: Snapshot, { freeBytes }: Target): Obstacle[] {
  if (freeBytes === null || header.memoryBytes <= freeBytes) return [];
  const mebibytes = (bytes: number): string => `${Math.floor(bytes / 2 ** 20)} MiB`;
  return [
    { code: "memory", severity: "error", text: `it needs ${mebibytes(header.memoryBytes)} of memory, ${mebibytes(freeBytes)} are free` },
  ];
}
