// All that a guest's page tables map: runs of linear addresses with the guest-physical ones behind them. walk.ts goes the way of one address;
// this goes every way, once, for the segments of a core file.
import { HvkitError } from "../errors.js";
import { type PagingMode, type PagingRegisters, type PhysicalMemory, pagingMode } from "./walk.js";

export interface Mapping {
  linear: bigint;
  physical: number;
  bytes: number;
  writable: boolean;
  executable: boolean;
}

/** A guest's tables may point back at themselves: more than this are no address space that anybody uses. */
const MOST_TABLES = 100_000;
const MOST_MAPPINGS = 60_000;
const TABLE_BYTES = 4096;

const ADDRESS = 0x000f_ffff_ffff_f000n;
const P = 1n;
const RW = 2n;
const PS = 0x80n;
const NX = 1n << 63n;

interface Shape {
  top: number;
  entryBytes: 4 | 8;
  /** bits of the address that a table of this level resolves */
  indexBits: bigint;
  large: (level: number) => boolean;
}

const SHAPES: Record<Exclude<PagingMode, "none">, Shape> = {
  "32-bit": { top: 1, entryBytes: 4, indexBits: 10n, large: (level) => level === 1 },
  pae: { top: 2, entryBytes: 8, indexBits: 9n, large: (level) => level === 1 },
  "4-level": { top: 3, entryBytes: 8, indexBits: 9n, large: (level) => level === 1 || level === 2 },
};

/** By linear address, neighbours joined; pages that lie outside of RAM are left out. Without paging RAM itself. Errors: E_PAGING_MODE, E_TABLES. */
export async function listMappings(memory: PhysicalMemory, registers: PagingRegisters): Promise<Mapping[]> {
  const mode = pagingMode(registers);
  if (mode === "none") return [{ linear: 0n, physical: 0, bytes: memory.bytes, writable: true, executable: true }];
  const shape = SHAPES[mode];
  const pse = mode !== "32-bit" || (registers.cr4 & 0x10n) !== 0n;
  const found: Mapping[] = [];
  let tables = 0;

  const add = (mapping: Mapping): void => {
    if (mapping.physical >= memory.bytes) return;
    const bytes = Math.min(mapping.bytes, memory.bytes - mapping.physical);
    const last = found.at(-1);
    const joins =
      last !== undefined &&
      last.linear + BigInt(last.bytes) === mapping.linear &&
      last.physical + last.bytes === mapping.physical &&
      last.writable === mapping.writable &&
      last.executable === mapping.executable;
    if (joins) last.bytes += bytes;
    else found.push({ ...mapping, bytes });
    if (found.length > MOST_MAPPINGS) throw tooMany(`${MOST_MAPPINGS} mappings`);
  };

  const descend = async (table: number, level: number, base: bigint, writable: boolean, executable: boolean): Promise<void> => {
    if (++tables > MOST_TABLES) throw tooMany(`${MOST_TABLES} tables`);
    const entries = mode === "pae" && level === 2 ? 4 : 1 << Number(shape.indexBits);
    if (table + entries * shape.entryBytes > memory.bytes) return;
    const data = await memory.read(table, Math.min(TABLE_BYTES, entries * shape.entryBytes));
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    const shift = 12n + shape.indexBits * BigInt(level);
    for (let index = 0; index < entries; index++) {
      const entry = shape.entryBytes === 8 ? view.getBigUint64(index * 8, true) : BigInt(view.getUint32(index * 4, true));
      if (!(entry & P)) continue;
      const linear = base | (BigInt(index) << shift);
      // PAE's pointers have no rights.
      const rights = {
        writable: writable && ((mode === "pae" && level === 2) || (entry & RW) !== 0n),
        executable: executable && (entry & NX) === 0n,
      };
      const large = level > 0 && pse && shape.large(level) && (entry & PS) !== 0n;
      if (level === 0 || large) {
        const bytes = 2 ** Number(shift);
        add({ linear: canonical(mode, linear), physical: pageAddress(mode, entry, large, bytes), bytes, ...rights });
      } else await descend(Number(entry & ADDRESS), level - 1, linear, rights.writable, rights.executable);
    }
  };

  const root = mode === "4-level" ? registers.cr3 & ADDRESS : registers.cr3 & (mode === "pae" ? 0xffff_ffe0n : 0xffff_f000n);
  await descend(Number(root), shape.top, 0n, true, true);
  return found;
}

const canonical = (mode: PagingMode, linear: bigint): bigint =>
  mode === "4-level" ? BigInt.asUintN(64, BigInt.asIntN(48, linear)) : linear;

function pageAddress(mode: PagingMode, entry: bigint, large: boolean, bytes: number): number {
  if (mode === "32-bit" && large) return Number((entry & 0xffc0_0000n) | ((entry & 0x1f_e000n) << 19n));
  const address = entry & ADDRESS & (mode === "32-bit" ? 0xffff_f000n : ADDRESS);
  return Number(address - (address % BigInt(bytes)));
}

function tooMany(what: string): HvkitError {
  return new HvkitError("E_TABLES", `the guest's page tables have more than ${what}: they are damaged, or point back at themselves`, {
    hint: "Write physical addresses instead: --physical.",
  });
}
