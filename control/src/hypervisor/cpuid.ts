// A guest's CPUID table (hv/machine/cpuid.ts) as the hypervisor gives and takes it, and as rows by leaf. Used by state.ts, and by texts.ts
// for the bits that a CPU lacks.
import { CpuidTable } from "../../../hv/machine/layout.js";
import { HvkitError } from "../errors.js";
import type { CpuidRow } from "./saved.js";

const ROW_BYTES = 16;
export const CPUID_BYTES = CpuidTable.Rows * ROW_BYTES;

/** The leaf and subleaf of a row of CpuidTable. */
function leafOf(row: number): { leaf: number; subleaf: number } {
  if (row < CpuidTable.Empty) return { leaf: ((row >>> 2) | (row << 30)) >>> 0, subleaf: 0 };
  if (row < CpuidTable.XsaveExtensions) return { leaf: 4, subleaf: row - CpuidTable.Caches };
  if (row < CpuidTable.Kvm) return { leaf: 0xd, subleaf: row - CpuidTable.XsaveExtensions + 1 };
  return { leaf: 0x40000100 + row - CpuidTable.Kvm, subleaf: 0 };
}

export function decodeCpuid(table: Uint8Array): CpuidRow[] {
  const view = new DataView(table.buffer, table.byteOffset, table.length);
  return Array.from({ length: CpuidTable.Rows }, (_, row) => {
    const [eax, ebx, ecx, edx] = [0, 4, 8, 12].map((register) => view.getUint32(row * ROW_BYTES + register, true)) as RowValues;
    return { ...leafOf(row), eax, ebx, ecx, edx };
  }).filter(({ eax, ebx, ecx, edx }) => (eax | ebx | ecx | edx) !== 0);
}

type RowValues = [number, number, number, number];

const PLACES = new Map(
  Array.from({ length: CpuidTable.Rows }, (_, row) => {
    const { leaf, subleaf } = leafOf(row);
    return [`${leaf}.${subleaf}`, row];
  }),
);

/** The row for a leaf; undefined: no guest has it. */
function rowOf({ leaf, subleaf }: Pick<CpuidRow, "leaf" | "subleaf">): number | undefined {
  const row = PLACES.get(`${leaf}.${subleaf}`);
  return row === CpuidTable.Empty ? undefined : row;
}

/** Of these rows the leaves that no guest of this build has. */
export function strangeLeaves(rows: readonly CpuidRow[]): string[] {
  return rows
    .filter((row) => rowOf(row) === undefined)
    .map(({ leaf, subleaf }) => `${leaf.toString(16)}h${subleaf > 0 ? `.${subleaf}` : ""}`);
}

/** Throws E_STATE for a leaf that no guest has. */
export function encodeCpuid(rows: readonly CpuidRow[]): Uint8Array {
  const table = new Uint8Array(CpuidTable.Rows * ROW_BYTES);
  const view = new DataView(table.buffer);
  for (const { leaf, subleaf, eax, ebx, ecx, edx } of rows) {
    const row = rowOf({ leaf, subleaf });
    if (row === undefined) {
      throw new HvkitError("E_STATE", `The saved state does not fit: its CPUID has a leaf ${leaf.toString(16)}h that no guest has.`);
    }
    for (const [index, value] of [eax, ebx, ecx, edx].entries()) view.setUint32(row * ROW_BYTES + 4 * index, value, true);
  }
  return table;
}

/** A row of CpuidTable for people: `CPUID 7 EBX`. */
export function cpuidWord(row: number, register: number): string {
  const { leaf, subleaf } = leafOf(row);
  const name = ["EAX", "EBX", "ECX", "EDX"][register] ?? "?";
  return `CPUID ${leaf.toString(16).toUpperCase()}h${subleaf > 0 ? `.${subleaf}` : ""} ${name}`;
}
