// The way of a guest-physical address through the nested tables, level by level in words: NestedBit's form is the same for EPT and NPT.
import { NestedBit } from "../../../protocol/state.js";

export type NestedFlag = "read" | "write" | "execute" | "accessed" | "dirty" | "large";

export interface NestedEntry {
  level: "PML4" | "PDPT" | "PD" | "PT";
  /** host-physical, of the entry */
  address: bigint;
  /** in NestedBit's form */
  value: bigint;
  flags: NestedFlag[];
}

export interface NestedPath {
  /** guest-physical */
  address: number;
  entries: NestedEntry[];
  /** host-physical; undefined: nothing is mapped */
  physical: bigint | undefined;
  pageBytes: number | undefined;
}

const LEVELS = ["PML4", "PDPT", "PD", "PT"] as const;
const ADDRESS = 0x000f_ffff_ffff_f000n;
const FLAGS: [NestedBit, NestedFlag][] = [
  [NestedBit.Read, "read"],
  [NestedBit.Write, "write"],
  [NestedBit.Execute, "execute"],
  [NestedBit.Accessed, "accessed"],
  [NestedBit.Dirty, "dirty"],
  [NestedBit.Large, "large"],
];

/** @param root host-physical, of the PML4 @param values from the PML4's entry on, as the hypervisor sends them */
export function nestedPath(address: number, root: bigint, values: readonly bigint[]): NestedPath {
  const entries: NestedEntry[] = [];
  let table = root;
  for (const [index, value] of values.entries()) {
    const level = LEVELS[index];
    if (level === undefined) break;
    const shift = BigInt(39 - 9 * index);
    const flags = FLAGS.filter(([bit]) => value & BigInt(bit)).map(([, flag]) => flag);
    entries.push({ level, address: table + ((BigInt(address) >> shift) & 511n) * 8n, value, flags });
    table = value & ADDRESS;
    const mapped = flags.some((flag) => flag === "read" || flag === "write" || flag === "execute");
    if (!mapped) break;
    if (level === "PT" || flags.includes("large")) {
      const offset = (1n << shift) - 1n;
      return { address, entries, physical: (table & ~offset) | (BigInt(address) & offset), pageBytes: Number(offset + 1n) };
    }
  }
  return { address, entries, physical: undefined, pageBytes: undefined };
}
