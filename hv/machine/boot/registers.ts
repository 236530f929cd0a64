// The vCPU's registers at a guest's first instruction: reset values first, then real, 32-bit or 64-bit mode. A write that the
// privileged layer refuses is a mistake here, and traps.

import { Register } from "../../../protocol/state";
import * as guest from "../guest";
import { setGpr, setRip } from "../vcpu";

/** ET and NE (an #MF is an exception, not IRQ 13) */
const CR0_RESET: u64 = 0x30;
const CR0_PE: u64 = 1;
const CR0_PG: u64 = 0x80000000;
const CR4_PAE: u64 = 0x20;
const EFER_LME: u64 = 0x100;
/** SDM vol. 3, table 10-1 */
const PAT_RESET: u64 = 0x0007040600070406;
const DR6_RESET: u64 = 0xffff0ff0;
const DR7_RESET: u64 = 0x400;

/** Present, type 3 data or 11 code (accessed), S; then granularity, D or L. */
const REAL_CODE: u64 = 0x9b;
const REAL_DATA: u64 = 0x93;
const FLAT_CODE32: u64 = 0xc09b;
const FLAT_DATA32: u64 = 0xc093;
const FLAT_CODE64: u64 = 0xa09b;
const BUSY_TSS: u64 = 0x8b;
const LDT: u64 = 0x82;

function set(field: u32, value: u64): void {
  assert(guest.write(field, value));
}

function segment(register: u32, selector: u64, base: u64, limit: u64, attributes: u64): void {
  set(register, selector);
  set(register + 1, base);
  set(register + 2, limit);
  set(register + 3, attributes);
}

function segments(codeSelector: u64, dataSelector: u64, limit: u64, code: u64, data: u64): void {
  segment(Register.CsSelector, codeSelector, 0, limit, code);
  segment(Register.EsSelector, dataSelector, 0, limit, data);
  segment(Register.SsSelector, dataSelector, 0, limit, data);
  segment(Register.DsSelector, dataSelector, 0, limit, data);
  segment(Register.FsSelector, dataSelector, 0, limit, data);
  segment(Register.GsSelector, dataSelector, 0, limit, data);
}

/** All that does not depend on the mode; interrupts off. */
function reset(entry: u64, stack: u64): void {
  for (let index: u32 = Register.Rax; index <= <u32>Register.R15; index++) {
    if (index != Register.Rsp) setGpr(index, 0);
  }
  setRip(entry);
  set(Register.Rsp, stack);
  set(Register.Rflags, 2);
  set(Register.Cr2, 0);
  set(Register.Cr3, 0);
  set(Register.Cr8, 0);
  set(Register.Dr6, DR6_RESET);
  set(Register.Dr7, DR7_RESET);
  set(Register.Pat, PAT_RESET);
  segment(Register.LdtrSelector, 0, 0, 0xffff, LDT);
  segment(Register.TrSelector, 0, 0, 0x67, BUSY_TSS);
  table(0, 0xffff);
  set(Register.IdtrBase, 0);
  set(Register.IdtrLimit, 0xffff);
}

function table(base: u64, limit: u64): void {
  set(Register.GdtrBase, base);
  set(Register.GdtrLimit, limit);
}

/** Real mode, all segments 0. */
export function startReal(entry: u64, stack: u64): void {
  reset(entry, stack);
  set(Register.Efer, 0);
  set(Register.Cr4, 0);
  set(Register.Cr0, CR0_RESET);
  segments(0, 0, 0xffff, REAL_CODE, REAL_DATA);
  set(Register.IdtrLimit, 0x3ff);
}

/** Flat 32-bit protected mode without paging. The GDT holds what the selectors were loaded from. */
export function startProtected(entry: u64, stack: u64, gdt: u64): void {
  reset(entry, stack);
  set(Register.Efer, 0);
  set(Register.Cr4, 0);
  set(Register.Cr0, CR0_RESET | CR0_PE);
  segments(CODE_SELECTOR, DATA_SELECTOR, 0xffffffff, FLAT_CODE32, FLAT_DATA32);
  writeGdt(gdt, FLAT_CODE32);
}

/** Flat 64-bit mode with the page tables at `root`. */
export function startLong(entry: u64, stack: u64, gdt: u64, root: u64): void {
  reset(entry, stack);
  // LME and PAE before PG; PG makes LMA of it.
  set(Register.Efer, EFER_LME);
  set(Register.Cr4, CR4_PAE);
  set(Register.Cr3, root);
  set(Register.Cr0, CR0_RESET | CR0_PE | CR0_PG);
  segments(CODE_SELECTOR, DATA_SELECTOR, 0xffffffff, FLAT_CODE64, FLAT_DATA32);
  writeGdt(gdt, FLAT_CODE64);
}

/** Linux' __BOOT_CS and __BOOT_DS (Documentation/arch/x86/boot.rst). */
const CODE_SELECTOR: u64 = 0x10;
const DATA_SELECTOR: u64 = 0x18;
const GDT_BYTES: u64 = 0x20;

function writeGdt(gdt: u64, code: u64): void {
  guest.ramFill(gdt, 0, GDT_BYTES);
  guest.ramStore64(gdt + CODE_SELECTOR, descriptor(code));
  guest.ramStore64(gdt + DATA_SELECTOR, descriptor(FLAT_DATA32));
  table(gdt, GDT_BYTES - 1);
}

/** Base 0, limit FFFFFFFFh: attributes are bits 55:40 of the descriptor, with the limit's bits 19:16 among them. */
function descriptor(attributes: u64): u64 {
  return (attributes << 40) | 0x000f00000000ffff;
}
