// From the build that took a snapshot to the one that restores it: fields of the state region move by the names of record and field,
// registers by their names. A field moves when type and count are the same. A field that the snapshot does not have starts with 0
// where this build's record says that it may (@zero, scripts/lib/layout.mjs); one that this build does not have may go when it is 0.
// Whatever else differs is named, and nothing is restored.
import { HvkitError } from "../errors.js";
import { damaged } from "./errors.js";
import { type Layout, type LayoutField, registerNames } from "./format.js";
import type { Snapshot } from "./reader.js";

const TYPE_BYTES: Record<LayoutField["type"], number> = { u8: 1, i8: 1, bool: 1, u16: 2, i16: 2, u32: 4, i32: 4, usize: 4, u64: 8, i64: 8 };

/** A field with its place in the region's bytes. */
interface Place {
  name: string;
  at: number;
  bytes: number;
  form: string;
  zero: boolean;
}

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
  ownPlaces(layout, region.length, header.layout);
}

function ownPlaces(layout: Layout, regionLength: number, identity: string): Map<string, Place> {
  if (layout.identity !== identity) throw damaged("the layout table is not the one that the header names", 0);
  return places(layout, regionLength);
}

function moveRegion({ layout: from, region: old, header }: Snapshot, to: Layout, differences: string[]): Uint8Array {
  const there = ownPlaces(from, old.length, header.layout);
  const region = new Uint8Array(regionBytes(to));
  const wanted = places(to, region.length);
  for (const { name, at, bytes, form, zero } of wanted.values()) {
    const found = there.get(name);
    if (!found) {
      if (!zero) differences.push(`${name} is missing`);
    } else if (found.form !== form) differences.push(`${name} is ${found.form}, not ${form}`);
    else region.set(old.subarray(found.at, found.at + bytes), at);
  }
  for (const { name, at, bytes } of there.values()) {
    if (!wanted.has(name) && old.subarray(at, at + bytes).some((byte) => byte !== 0))
      differences.push(`${name} is not known here, and not 0`);
  }
  return region;
}

/** To the end of the last record. */
export function regionBytes({ region, records }: Layout): number {
  return Math.max(...records.map(({ address, bytes }) => address + bytes)) - region.start;
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

/** Every field, by "record.field". A table whose records do not lie within `length` bytes, or whose fields overlap or have a name twice, is no
 *  table. */
function places({ region, records }: Layout, length: number): Map<string, Place> {
  const found = new Map<string, Place>();
  let total = 0;
  if (region.end < region.start || length > region.end - region.start)
    throw damaged("the state region is longer than its layout table says", 0);
  for (const { record, address, bytes: recordBytes, fields } of records) {
    const base = address - region.start;
    if (base < 0 || base + recordBytes > length) throw damaged(`record ${record} of the layout table is outside the state region`, 0);
    for (const { name, offset, type, count, zero } of fields) {
      const bytes = TYPE_BYTES[type] * count;
      const full = `${record}.${name}`;
      if (offset + bytes > recordBytes) throw damaged(`field ${full} of the layout table is outside its record`, 0);
      total += bytes;
      if (total > length) throw damaged("the fields of the layout table are more than its state region", 0);
      if (found.has(full)) throw damaged(`field ${full} of the layout table is there twice`, 0);
      found.set(full, { name: full, at: base + offset, bytes, form: count === 1 ? type : `${type}[${count}]`, zero: zero === true });
    }
  }
  return found;
}
