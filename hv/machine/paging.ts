// The guest's own page walk: linear to guest-physical, in every paging mode (SDM vol. 3, chapter 4). Stands between decode.ts and
// strings.ts, which have linear addresses, and guest RAM. Sets accessed and dirty bits as the CPU does.
// Known limit: PAE's four PDPTEs are read from memory, as AMD's nested paging does, not remembered from the last MOV CR3.

import { Register } from "../../protocol/state";
import { Flag, Table } from "./exit";
import * as guest from "./guest";
import { CR0_PG, CR0_WP, CR4_PAE, CR4_PSE, CR4_SMAP, CR4_SMEP, EFER_LMA, EFER_NXE } from "./vcpu";

/** What is done with the address: bits of a #PF's error code (4.7). Present is only ever a result. */
export enum Access {
  Read = 0,
  Present = 1,
  Write = 2,
  User = 4,
  Reserved = 8,
  Fetch = 16,
  /** not of the error code: only the translation is asked for, of what the CPU has just used */
  Translate = 0x100,
}

export enum WalkResult {
  Ok,
  /** Walk.error is the #PF's error code */
  Fault,
  /** a paging entry at Walk.physical lies outside of RAM */
  Unbacked,
}

export abstract class Walk {
  static physical: u64 = 0;
  static error: u32 = 0;
  /** paging entries that the walk used: 0..4; their addresses and values are in Table.Walk */
  static entries: u32 = 0;
  /** bytes of the page */
  static pageBytes: u64 = 0;
}

const P: u64 = 1;
const RW: u64 = 2;
const US: u64 = 4;
const A: u64 = 0x20;
const D: u64 = 0x40;
const PS: u64 = 0x80;
const NX: u64 = 1 << 63;
const ADDRESS: u64 = 0x000ffffffffff000;

/** bits 51:MAXPHYADDR */
let physicalReserved: u64 = 0;
let gigabytePages: bool = false;

export function pagingInit(): void {
  const bits = <u32>guest.cpuidAB(0x80000008, 0) & 0xff;
  physicalReserved = 0x000fffffffffffff & ~(((<u64>1) << bits) - 1);
  gigabytePages = (guest.cpuidCD(0x80000001, 0) & ((<u64>1) << 58)) != 0;
}

export function entryAddress(index: u32): u64 {
  return load<u64>(Table.Walk + (index << 3));
}
export function entryValue(index: u32): u64 {
  return load<u64>(Table.Walk + 32 + (index << 3));
}

/** Translates `linear` (canonical, or below 4 GiB) for `access`. */
export function walk(linear: u64, access: u32): WalkResult {
  Walk.entries = 0;
  const cr0 = guest.read(Register.Cr0);
  if (!(cr0 & CR0_PG)) {
    Walk.physical = linear;
    Walk.pageBytes = 0x1000;
    return WalkResult.Ok;
  }
  const cr3 = guest.read(Register.Cr3);
  const cr4 = guest.read(Register.Cr4);
  const efer = guest.read(Register.Efer);
  if (efer & EFER_LMA) return descend(linear, cr3 & ADDRESS, 3, access, cr0, cr4, efer);
  if (!(cr4 & CR4_PAE)) return descend32(linear, cr3 & 0xfffff000, access, cr0, cr4);
  return descendPae(linear, cr3, access, cr0, cr4, efer);
}

/** A PDPTE of PAE paging has no rights; its reserved bits are 2:1, 8:5 and those above MAXPHYADDR (table 4-8). Bit 5 is let through: QEMU's
 *  own walk sets it there, as if it were an accessed bit. */
function descendPae(linear: u64, cr3: u64, access: u32, cr0: u64, cr4: u64, efer: u64): WalkResult {
  const address = (cr3 & 0xffffffe0) + ((linear >> 30) << 3);
  if (!take(address, 8)) return WalkResult.Unbacked;
  const entry = entryValue(0);
  if (!(entry & P)) return fault(access);
  if (entry & (0xfff00000000001c6 | physicalReserved)) return fault(access | Access.Present | Access.Reserved);
  return descend(linear, entry & ADDRESS, 1, access, cr0, cr4, efer);
}

/** Tables of 512 eight-byte entries, from `level` (3: PML4, 2: PDPT, 1: PD, 0: PT) down (4.4.2, 4.5.4). */
function descend(linear: u64, table: u64, level: u32, access: u32, cr0: u64, cr4: u64, efer: u64): WalkResult {
  const first = Walk.entries;
  const always = physicalReserved | (efer & EFER_NXE ? 0 : NX) | (efer & EFER_LMA ? 0 : 0x7ff0000000000000);
  let rights = RW | US;
  let nx: u64 = 0;
  while (true) {
    const shift = 12 + 9 * level;
    if (!take(table + (((linear >> shift) & 511) << 3), 8)) return WalkResult.Unbacked;
    const entry = entryValue(Walk.entries - 1);
    if (!(entry & P)) return fault(access);
    rights &= entry;
    nx |= entry & NX;
    const large = level > 0 && (entry & PS) != 0;
    const offset = ((<u64>1) << shift) - 1;
    let reserved = always;
    // A large page's address has zeros below its size, but for PAT at bit 12; 512 GiB pages are not there.
    if (large) reserved |= level < 2 + <u32>gigabytePages ? offset & 0xffffffffffffe000 : PS;
    if (entry & reserved) return fault(access | Access.Present | Access.Reserved);
    if (large || level == 0) {
      Walk.physical = (entry & ADDRESS & ~offset) | (linear & offset);
      Walk.pageBytes = offset + 1;
      return permit(access, rights, nx, cr0, cr4, first);
    }
    table = entry & ADDRESS;
    level--;
  }
}

/** Tables of 1024 four-byte entries; PSE pages of 4 MiB with PSE-36's address bits (4.3). */
function descend32(linear: u64, table: u64, access: u32, cr0: u64, cr4: u64): WalkResult {
  if (!take(table + ((linear >> 22) << 2), 4)) return WalkResult.Unbacked;
  const directory = entryValue(0);
  if (!(directory & P)) return fault(access);
  if (directory & PS && cr4 & CR4_PSE) {
    const address = (directory & 0xffc00000) | ((directory & 0x1fe000) << 19);
    if (directory & 0x200000 || address & physicalReserved) return fault(access | Access.Present | Access.Reserved);
    Walk.physical = address | (linear & 0x3fffff);
    Walk.pageBytes = 0x400000;
    return permit(access, directory, 0, cr0, cr4, 0);
  }
  if (!take((directory & 0xfffff000) + (((linear >> 12) & 1023) << 2), 4)) return WalkResult.Unbacked;
  const entry = entryValue(1);
  if (!(entry & P)) return fault(access);
  Walk.physical = (entry & 0xfffff000) | (linear & 0xfff);
  Walk.pageBytes = 0x1000;
  return permit(access, directory & entry, 0, cr0, cr4, 0);
}

/** Reads and remembers a paging entry. */
function take(address: u64, bytes: u32): bool {
  Walk.physical = address;
  if (address + bytes > guest.ramSize()) return false;
  const at = Table.Walk + (Walk.entries++ << 3);
  store<u64>(at, address);
  store<u64>(at + 32, bytes == 8 ? guest.ramLoad64(address) : <u64>guest.ramLoad32(address));
  return true;
}

function fault(error: u32): WalkResult {
  Walk.error = error;
  return WalkResult.Fault;
}

/** Access rights (4.6.1), then accessed and dirty (4.8) in the entries from `first` on. */
function permit(access: u32, rights: u64, nx: u64, cr0: u64, cr4: u64, first: u32): WalkResult {
  if (access & Access.Translate) return WalkResult.Ok;
  const user = (access & Access.User) != 0;
  let allowed = true;
  if (user) allowed = (rights & US) != 0;
  else if (rights & US) {
    if (access & Access.Fetch) allowed = !(cr4 & CR4_SMEP);
    else if (cr4 & CR4_SMAP) allowed = (guest.read(Register.Rflags) & Flag.AC) != 0;
  }
  if (access & Access.Write && !(rights & RW) && (user || cr0 & CR0_WP)) allowed = false;
  if (access & Access.Fetch && nx) allowed = false;
  if (!allowed) return fault(access | Access.Present);
  const last = Walk.entries - 1;
  for (let index = first; index <= last; index++) {
    mark(index, index == last && access & Access.Write ? A | D : A);
  }
  return WalkResult.Ok;
}

function mark(index: u32, bits: u64): void {
  const value = entryValue(index);
  if ((value & bits) == bits) return;
  store<u64>(Table.Walk + 32 + (index << 3), value | bits);
  // The low byte has both, in entries of either size.
  guest.ramStore8(entryAddress(index), <u32>(value | bits) & 0xff);
}
