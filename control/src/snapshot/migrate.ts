// From the build that took a snapshot to the one that restores it: fields of the state region move by the names of record and field (moves.ts),
// registers by their names. Whatever does not fit is named, and nothing is restored.
import { HvkitError } from "../errors.js";
import { damaged } from "./errors.js";
import { type Layout, registerNames } from "./format.js";
import { notZero, places, planMoves, regionBytes } from "./moves.js";
import type { Snapshot } from "./reader.js";

export interface Migrated {
  region: Uint8Array;
  registers: bigint[];
}

/** Throws E_SNAPSHOT_LAYOUT with all that differs in `data.differences`. */
export function migrate(snapshot: Snapshot, to: Layout): Migrated {
  const differences: string[] = [];
  const region = moveRegion(snapshot, to, differences);
  const registers = moveRegisters(snapshot.registers, differences);
  if (differences.length > 0) {
    throw new HvkitError("E_SNAPSHOT_LAYOUT", `the snapshot's state does not fit this build: ${differences.join("; ")}`, {
      hint: `It was taken with build ${snapshot.header.engine.build}; restore it there.`,
      data: { differences, found: snapshot.header.layout, expected: to.identity },
    });
  }
  return { region, registers };
}

/** Throws E_SNAPSHOT_DAMAGED when the file's layout table is none of its state region. */
export function checkLayout({ layout, region, header }: Snapshot): void {
  checkIdentity(layout, header.layout);
  places(layout, region.length);
}

function checkIdentity({ identity }: Layout, named: string): void {
  if (identity !== named) throw damaged("the layout table is not the one that the header names", 0);
}

function moveRegion({ layout: from, region: old, header }: Snapshot, to: Layout, differences: string[]): Uint8Array {
  checkIdentity(from, header.layout);
  const plan = planMoves(from, to, old.length);
  const region = new Uint8Array(regionBytes(to));
  for (const { from: at, to: place, bytes } of plan.moves) region.set(old.subarray(at, at + bytes), place);
  differences.push(...plan.differences);
  for (const { name, from: at, bytes } of plan.gone)
    if (old.subarray(at, at + bytes).some((byte) => byte !== 0)) differences.push(notZero(name));
  return region;
}

function moveRegisters(registers: Record<string, bigint>, differences: string[]): bigint[] {
  for (const [name, value] of Object.entries(registers)) {
    if (!registerNames.includes(name) && value !== 0n) differences.push(`register ${name} is not known here, and not 0`);
  }
  return registerNames.map((name) => {
    const value = Object.hasOwn(registers, name) ? registers[name] : undefined;
    if (value === undefined) differences.push(`register ${name} is missing`);
    return value ?? 0n;
  });
}
