// From one layout table of the state region to another: each field of the new table is looked up by the names of record and field, and moves when
// its type and count are the same, wherever it lay. A field that the old table does not have starts with 0 where the new one says that it may
// (@zero, scripts/lib/layout.mjs); one that the new table does not have may go when it is 0. Whatever else differs is named. What is restored goes
// this way (migrate.ts), and what is carried over to another module while the guest runs (daemon/modules.ts).
import type { RegionMove } from "../hypervisor/modules.js";
import { damaged } from "./errors.js";
import type { Layout, LayoutField } from "./format.js";

const TYPE_BYTES: Record<LayoutField["type"], number> = { u8: 1, i8: 1, bool: 1, u16: 2, i16: 2, u32: 4, i32: 4, usize: 4, u64: 8, i64: 8 };

/** A field with its place in the region's bytes. */
interface Place {
  name: string;
  at: number;
  bytes: number;
  form: string;
  zero: boolean;
}

export interface Moves {
  /** offsets from the start of the region, in the order of the new one */
  moves: { from: number; to: number; bytes: number }[];
  /** fields of the old table that the new one does not have: they may go when they are 0 */
  gone: { name: string; from: number; bytes: number }[];
  /** what keeps the state from being moved at all */
  differences: string[];
}

/** @param length of the old region, if it may be another one than the table's */
export function planMoves(from: Layout, to: Layout, length = regionBytes(from)): Moves {
  const there = places(from, length);
  const wanted = places(to, regionBytes(to));
  const plan: Moves = { moves: [], gone: [], differences: [] };
  for (const { name, at, bytes, form, zero } of wanted.values()) {
    const found = there.get(name);
    if (!found) {
      if (!zero) plan.differences.push(`${name} is missing`);
    } else if (found.form !== form) plan.differences.push(`${name} is ${found.form}, not ${form}`);
    else plan.moves.push({ from: found.at, to: at, bytes });
  }
  for (const { name, at, bytes } of there.values()) if (!wanted.has(name)) plan.gone.push({ name, from: at, bytes });
  return plan;
}

/** As the hypervisor carries a state over: first what must be 0; what lies side by side in both regions goes at once. */
export function regionMoves({ moves, gone }: Moves): RegionMove[] {
  const joined: { from: number; to: number; bytes: number }[] = [];
  for (const move of moves) {
    const last = joined.at(-1);
    if (last && last.from + last.bytes === move.from && last.to + last.bytes === move.to) last.bytes += move.bytes;
    else joined.push({ ...move });
  }
  return [...gone.map(({ from, bytes }) => ({ from, to: undefined, bytes })), ...joined];
}

export const notZero = (name: string): string => `${name} is not known here, and not 0`;

/** To the end of the last record. */
export function regionBytes({ region, records }: Layout): number {
  return Math.max(...records.map(({ address, bytes }) => address + bytes)) - region.start;
}

/** Every field, by "record.field". A table whose records do not lie within `length` bytes, or have a name twice, is no table. */
export function places({ region, records }: Layout, length: number): Map<string, Place> {
  const found = new Map<string, Place>();
  if (region.end < region.start || length > region.end - region.start)
    throw damaged("the state region is longer than its layout table says", 0);
  for (const { record, address, bytes: recordBytes, fields } of records) {
    const base = address - region.start;
    if (base < 0 || base + recordBytes > length) throw damaged(`record ${record} of the layout table is outside the state region`, 0);
    for (const { name, offset, type, count, zero } of fields) {
      const bytes = TYPE_BYTES[type] * count;
      const full = `${record}.${name}`;
      if (offset + bytes > recordBytes) throw damaged(`field ${full} of the layout table is outside its record`, 0);
      if (found.has(full)) throw damaged(`field ${full} of the layout table is there twice`, 0);
      found.set(full, { name: full, at: base + offset, bytes, form: count === 1 ? type : `${type}[${count}]`, zero: zero === true });
    }
  }
  return found;
}
