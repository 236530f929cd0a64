// The state region's bytes as records with named fields, by a layout table (build/layout.json, or the one that a snapshot keeps): never by
// offsets that stand anywhere else.
import type { Layout, LayoutField } from "../snapshot/format.js";
import type { Field, Records } from "./view.js";

type Read = (view: DataView, at: number) => bigint;

const READ: Record<LayoutField["type"], { bytes: number; read: Read }> = {
  u8: { bytes: 1, read: (view, at) => BigInt(view.getUint8(at)) },
  i8: { bytes: 1, read: (view, at) => BigInt(view.getInt8(at)) },
  bool: { bytes: 1, read: (view, at) => BigInt(view.getUint8(at)) },
  u16: { bytes: 2, read: (view, at) => BigInt(view.getUint16(at, true)) },
  i16: { bytes: 2, read: (view, at) => BigInt(view.getInt16(at, true)) },
  u32: { bytes: 4, read: (view, at) => BigInt(view.getUint32(at, true)) },
  i32: { bytes: 4, read: (view, at) => BigInt(view.getInt32(at, true)) },
  usize: { bytes: 4, read: (view, at) => BigInt(view.getUint32(at, true)) },
  u64: { bytes: 8, read: (view, at) => view.getBigUint64(at, true) },
  i64: { bytes: 8, read: (view, at) => view.getBigInt64(at, true) },
};

/** @param region from the region's start on; a field that it does not reach reads 0 */
export function readRecords(layout: Layout, region: Uint8Array): Records {
  const view = new DataView(region.buffer, region.byteOffset, region.byteLength);
  const value = (at: number, { bytes, read }: { bytes: number; read: Read }): bigint => (at + bytes <= region.length ? read(view, at) : 0n);
  return Object.fromEntries(
    layout.records.map(({ record, address, fields }) => [
      record,
      Object.fromEntries(
        fields.map(({ name, offset, type, count }): [string, Field] => {
          const kind = READ[type];
          const at = (index: number): number => address - layout.region.start + offset + index * kind.bytes;
          return [name, count === 1 ? value(at(0), kind) : Array.from({ length: count }, (_, index) => value(at(index), kind))];
        }),
      ),
    ]),
  );
}
