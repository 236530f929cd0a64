// The types of a Linux kernel as it keeps them for BPF (Linux, Documentation/bpf/btf.rst): sizes of structures, and where their fields are. Only these
// are read here.
//
//   header   magic u16 | version u8 | flags u8 | header bytes u32 | types at u32 | bytes u32 | strings at u32 | bytes u32
//   type     name u32 | vlen 15:0, kind 28:24, kind_flag 31 | size or type u32 | what the kind has more
//   member   name u32 | type u32 | bits from the structure's begin: all of them, or 23:0 with kind_flag

const MAGIC = 0xeb9f;
const HEADER_BYTES = 24;
const TYPE_BYTES = 12;
const STRUCT = 4;
const UNION = 5;
/** bytes behind a type, by its kind: as such, or for each of vlen */
const EXTRA: Readonly<Record<number, { fixed: number } | { each: number }>> = {
  1: { fixed: 4 }, // int
  3: { fixed: 12 }, // array
  [STRUCT]: { each: 12 },
  [UNION]: { each: 12 },
  6: { each: 8 }, // enum
  13: { each: 8 }, // function's prototype
  14: { fixed: 4 }, // variable
  15: { each: 12 }, // section
  17: { fixed: 4 }, // tag
  19: { each: 12 }, // enum of 64 bits
};
const KINDS = 20;

export interface Structure {
  size: number;
  /** in bytes, by name */
  fields: ReadonlyMap<string, number>;
}

/** The structures of these names, as far as they are there; undefined: this is no such table, or one that is cut. */
export function readBtf(data: Buffer, names: readonly string[]): Map<string, Structure> | undefined {
  if (data.length < HEADER_BYTES || data.readUInt16LE(0) !== MAGIC) return undefined;
  const [headerBytes, typesAt, typesBytes, stringsAt, stringsBytes] = [4, 8, 12, 16, 20].map((at) => data.readUInt32LE(at)) as Numbers;
  const types = data.subarray(headerBytes + typesAt, headerBytes + typesAt + typesBytes);
  const strings = data.subarray(headerBytes + stringsAt, headerBytes + stringsAt + stringsBytes);
  if (types.length !== typesBytes || strings.length !== stringsBytes) return undefined;
  const text = (at: number): string => {
    const end = strings.indexOf(0, at);
    return at < strings.length && end >= 0 ? strings.subarray(at, end).toString("latin1") : "";
  };
  const wanted = new Set(names);
  const found = new Map<string, Structure>();
  for (let at = 0; at < types.length; ) {
    if (at + TYPE_BYTES > types.length) return undefined;
    const info = types.readUInt32LE(at + 4);
    const [kind, count, flag] = [(info >>> 24) & 31, info & 0xffff, info >>> 31];
    if (kind === 0 || kind >= KINDS) return undefined;
    const extra = EXTRA[kind];
    const bytes = extra === undefined ? 0 : "fixed" in extra ? extra.fixed : extra.each * count;
    const next = at + TYPE_BYTES + bytes;
    if (next > types.length) return undefined;
    const name = kind === STRUCT ? text(types.readUInt32LE(at)) : "";
    if (wanted.has(name)) {
      const fields = new Map<string, number>();
      for (let member = at + TYPE_BYTES; member < next; member += 12) {
        const bits = types.readUInt32LE(member + 8);
        fields.set(text(types.readUInt32LE(member)), (flag ? bits & 0xff_ffff : bits) >>> 3);
      }
      found.set(name, { size: types.readUInt32LE(at + 8), fields });
    }
    at = next;
  }
  return found;
}

type Numbers = [number, number, number, number, number];
