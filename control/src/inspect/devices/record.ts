// One record of the state region, read by its fields' names.
import type { Records } from "../view.js";

export interface RecordReader {
  number(field: string): number;
  big(field: string): bigint;
  /** of a field that is an array of u64: its bytes, little endian; `count` bytes, with zeros for what is not there */
  bytes(field: string, count: number): Uint8Array;
}

/** A field that the layout does not have reads 0: it may be of another build. */
export function recordOf(records: Records, record: string): RecordReader {
  const big = (field: string): bigint => {
    const value = records[record]?.[field];
    return typeof value === "bigint" ? value : 0n;
  };
  return {
    big,
    number: (field) => Number(big(field)),
    bytes: (field, count) => {
      const value = records[record]?.[field];
      const words = BigUint64Array.from(typeof value === "object" ? value : []);
      const found = new Uint8Array(count);
      found.set(new Uint8Array(words.buffer).subarray(0, count));
      return found;
    },
  };
}

/** Indices of the bits that are set. */
export const bitsOf = (value: number): number[] => Array.from({ length: 8 }, (_, bit) => bit).filter((bit) => (value >> bit) & 1);
