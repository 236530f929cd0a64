// A guest's own page walk in TypeScript: from a linear address through its tables to the guest-physical one, level by level (SDM vol. 3,
// chapter 4; APM vol. 2, 5.3). It changes nothing: no accessed or dirty bit is set. Stands between the tools that have linear addresses
// and a source of physical memory; hv/machine/paging.ts is the machine's walk, which does set them.
import { HvkitError } from "../errors.js";

/** Where tables are read from: a live guest's RAM, a snapshot's. */
export interface PhysicalMemory {
  /** guest-physical addresses 0 to bytes - 1 are RAM */
  readonly bytes: number;
  /** Bytes of a range that lies in RAM. */
  read(address: number, length: number): Promise<Uint8Array>;
}

/** The registers that decide how a linear address is translated. */
export interface PagingRegisters {
  cr0: bigint;
  cr3: bigint;
  cr4: bigint;
  efer: bigint;
}

export type PagingMode = "none" | "32-bit" | "pae" | "4-level";
export type WalkLevel = "PML4" | "PDPT" | "PD" | "PT";
/** Bits of an entry that are set, in words; "large": it maps a page itself, above the last level. */
export type EntryFlag =
  | "present"
  | "writable"
  | "user"
  | "write-through"
  | "cache-disabled"
  | "accessed"
  | "dirty"
  | "large"
  | "global"
  | "NX";

export interface WalkEntry {
  level: WalkLevel;
  /** guest-physical, of the entry */
  address: number;
  /** eight bytes; four in 32-bit paging */
  value: bigint;
  flags: EntryFlag[];
}

/** Why there is no translation: "address" (not canonical, or beyond 4 GiB outside of 64-bit mode), an entry that is not present or has
 *  reserved bits, a table outside of RAM. */
export type WalkFaultKind = "address" | "not-present" | "reserved-bits" | "outside-ram";

export interface WalkFault {
  kind: WalkFaultKind;
  /** the entry that has no translation; for "outside-ram" the one that cannot be read; null: the address itself */
  level: WalkLevel | null;
  /** guest-physical, of that entry */
  address: number | null;
}

/** What all levels together allow. A supervisor's write to a page that is not writable goes through while CR0.WP is 0. */
export interface WalkRights {
  writable: boolean;
  user: boolean;
  executable: boolean;
}

export interface Walk {
  mode: PagingMode;
  linear: bigint;
  entries: WalkEntry[];
  /** guest-physical; undefined: there is a fault */
  physical: number | undefined;
  /** bytes of the page; without paging 4096 */
  pageBytes: number | undefined;
  rights: WalkRights | undefined;
  fault: WalkFault | undefined;
}

const CR0_PG = 1n << 31n;
const CR4_PSE = 1n << 4n;
const CR4_PAE = 1n << 5n;
const CR4_LA57 = 1n << 12n;
const EFER_LMA = 1n << 10n;
const EFER_NXE = 1n << 11n;

const P = 1n;
const RW = 2n;
const US = 4n;
const PS = 0x80n;
const NX = 1n << 63n;
/** bits 51:12. Which of them are beyond MAXPHYADDR is the guest's CPUID's to say; such an address is outside of RAM in any case. */
const ADDRESS = 0x000f_ffff_ffff_f000n;
const BELOW_4G = 0xffff_ffffn;
const ALL: WalkRights = { writable: true, user: true, executable: true };

const LOW_FLAGS: [bigint, EntryFlag][] = [
  [P, "present"],
  [RW, "writable"],
  [US, "user"],
  [8n, "write-through"],
  [0x10n, "cache-disabled"],
  [0x20n, "accessed"],
];

/** How the guest translates addresses now. Errors: E_PAGING_MODE for five-level paging. */
export function pagingMode({ cr0, cr4, efer }: PagingRegisters): PagingMode {
  if (!(cr0 & CR0_PG)) return "none";
  if (!(cr4 & CR4_PAE)) return "32-bit";
  if (!(efer & EFER_LMA)) return "pae";
  if (!(cr4 & CR4_LA57)) return "4-level";
  throw new HvkitError("E_PAGING_MODE", "the guest uses five-level paging (CR4.LA57), which the walk does not know", {
    hint: "Use guest-physical addresses: --physical.",
  });
}

/** Walks the tables for `linear`, any 64-bit value. A fault is a result; errors are those of `memory` and of pagingMode. */
export async function walkPages(memory: PhysicalMemory, registers: PagingRegisters, linear: bigint): Promise<Walk> {
  const mode = pagingMode(registers);
  const descent = new Descent(memory, registers, linear, mode);
  const legal = mode === "4-level" ? BigInt.asUintN(64, BigInt.asIntN(48, linear)) === linear : linear <= BELOW_4G;
  if (!legal) return descent.fault("address", null, null);
  if (mode === "none") return descent.done(Number(linear), 0x1000, ALL);
  if (mode === "32-bit") return descent.narrow();
  if (mode === "pae") return descent.pae();
  return descent.wide(registers.cr3 & ADDRESS, 3, ALL);
}

const LEVELS: readonly WalkLevel[] = ["PT", "PD", "PDPT", "PML4"];

class Descent {
  readonly #entries: WalkEntry[] = [];

  constructor(
    private readonly memory: PhysicalMemory,
    private readonly registers: PagingRegisters,
    private readonly linear: bigint,
    private readonly mode: PagingMode,
  ) {}

  /** PAE's page-directory pointers have neither rights nor accessed bits: bits 2:1, 8:5 and those above 51 are reserved (table 4-8). Bit 5 is
   *  let through: QEMU's own walk sets it there. */
  async pae(): Promise<Walk> {
    const address = Number(this.registers.cr3 & 0xffff_ffe0n) + Number(this.linear >> 30n) * 8;
    const entry = await this.#take("PDPT", address, 8);
    if (entry === undefined) return this.fault("outside-ram", "PDPT", address);
    if (!(entry & P)) return this.fault("not-present", "PDPT", address);
    if (entry & 0xfff0_0000_0000_01c6n) return this.fault("reserved-bits", "PDPT", address);
    return this.wide(entry & ADDRESS, 1, ALL);
  }

  /** Tables of 512 eight-byte entries, from `top` (3: PML4, 1: PD) down (4.4.2, 4.5.4). */
  async wide(table: bigint, top: number, rights: WalkRights): Promise<Walk> {
    const { efer } = this.registers;
    const always = (efer & EFER_NXE ? 0n : NX) | (efer & EFER_LMA ? 0n : 0x7ff0_0000_0000_0000n);
    let allowed = rights;
    for (let level = top; ; level--) {
      const name = LEVELS[level] ?? "PT";
      const shift = 12n + 9n * BigInt(level);
      const address = Number(table) + Number((this.linear >> shift) & 511n) * 8;
      const entry = await this.#take(name, address, 8);
      if (entry === undefined) return this.fault("outside-ram", name, address);
      if (!(entry & P)) return this.fault("not-present", name, address);
      const large = level > 0 && (entry & PS) !== 0n;
      const offset = (1n << shift) - 1n;
      // A large page's address has zeros below its size, but for PAT at bit 12; pages of 512 GiB are not there.
      const reserved = !large ? 0n : level < 3 ? offset & ~0x1fffn : PS;
      if (entry & (always | reserved)) return this.fault("reserved-bits", name, address);
      allowed = {
        writable: allowed.writable && (entry & RW) !== 0n,
        user: allowed.user && (entry & US) !== 0n,
        executable: allowed.executable && (entry & NX) === 0n,
      };
      if (large || level === 0)
        return this.done(Number((entry & ADDRESS & ~offset) | (this.linear & offset)), Number(offset + 1n), allowed);
      table = entry & ADDRESS;
    }
  }

  /** Tables of 1024 four-byte entries; pages of 4 MiB with PSE-36's address bits (4.3). */
  async narrow(): Promise<Walk> {
    const { cr3, cr4 } = this.registers;
    const top = Number(cr3 & 0xffff_f000n) + Number(this.linear >> 22n) * 4;
    const directory = await this.#take("PD", top, 4);
    if (directory === undefined) return this.fault("outside-ram", "PD", top);
    if (!(directory & P)) return this.fault("not-present", "PD", top);
    if (directory & PS && cr4 & CR4_PSE) {
      if (directory & 0x20_0000n) return this.fault("reserved-bits", "PD", top);
      const page = (directory & 0xffc0_0000n) | ((directory & 0x1f_e000n) << 19n);
      return this.done(Number(page | (this.linear & 0x3f_ffffn)), 0x40_0000, narrowRights(directory));
    }
    const address = Number(directory & 0xffff_f000n) + Number((this.linear >> 12n) & 1023n) * 4;
    const entry = await this.#take("PT", address, 4);
    if (entry === undefined) return this.fault("outside-ram", "PT", address);
    if (!(entry & P)) return this.fault("not-present", "PT", address);
    return this.done(Number((entry & 0xffff_f000n) | (this.linear & 0xfffn)), 0x1000, narrowRights(directory & entry));
  }

  done(physical: number, pageBytes: number, rights: WalkRights): Walk {
    return this.#result({ physical, pageBytes, rights });
  }

  fault(kind: WalkFaultKind, level: WalkLevel | null, address: number | null): Walk {
    return this.#result({ fault: { kind, level, address } });
  }

  #result(found: Partial<Walk>): Walk {
    const none = { physical: undefined, pageBytes: undefined, rights: undefined, fault: undefined };
    return { mode: this.mode, linear: this.linear, entries: this.#entries, ...none, ...found };
  }

  async #take(level: WalkLevel, address: number, bytes: 4 | 8): Promise<bigint | undefined> {
    if (address + bytes > this.memory.bytes) return undefined;
    const data = await this.memory.read(address, bytes);
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    const value = bytes === 8 ? view.getBigUint64(0, true) : BigInt(view.getUint32(0, true));
    this.#entries.push({ level, address, value, flags: this.#flags(level, value) });
    return value;
  }

  #flags(level: WalkLevel, value: bigint): EntryFlag[] {
    const flags = LOW_FLAGS.filter(([bit]) => value & bit).map(([, flag]) => flag);
    const large = level !== "PT" && (value & PS) !== 0n && (this.mode !== "32-bit" || (this.registers.cr4 & CR4_PSE) !== 0n);
    if ((large || level === "PT") && value & 0x40n) flags.push("dirty");
    if (large) flags.push("large");
    if ((large || level === "PT") && value & 0x100n) flags.push("global");
    if (value & NX) flags.push("NX");
    return flags;
  }
}

function narrowRights(bits: bigint): WalkRights {
  return { writable: (bits & RW) !== 0n, user: (bits & US) !== 0n, executable: true };
}
