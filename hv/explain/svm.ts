// AMD SVM: the consistency checks of VMRUN, in the manual's order (APM vol. 2, 15.5.1, 15.20, 15.25; 24593 rev. 3.41). Mirrors vmx.ts.
// Not checked: AVIC, encrypted state and shadow stacks, whose controls this kit never sets; docs/explain.md.

import { SvmRule } from "../../protocol/rules";
import { SvmField } from "../../protocol/vcb";
import { check, get, only, pat } from "./state";

const INTERCEPT_VMRUN: u64 = 1;
/** Bytes of the permission maps (15.10.1, 15.11). */
const IOPM_BYTES: u64 = 0x3000;
const MSRPM_BYTES: u64 = 0x2000;
const OFFSET: u64 = 0xfff;
const NESTED: u64 = 1;
const CR0_PE: u64 = 1;
const CR0_WP: u64 = 0x10000;
const CR0_NW: u64 = 0x20000000;
const CR0_CD: u64 = 0x40000000;
const CR0_PG: u64 = 0x80000000;
const CR4_PAE: u64 = 0x20;
const CR4_CET: u64 = 0x800000;
/** VME PVI TSD DE PSE PAE MCE PGE PCE OSFXSR OSXMMEXCPT */
const CR4_ALWAYS: u64 = 0x7ff;
/** SCE LME LMA SVME LMSLE */
const EFER_ALWAYS: u64 = 0x3501;
const EFER_LME: u64 = 0x100;
const EFER_LMA: u64 = 0x400;
const EFER_SVME: u64 = 0x1000;
const EXTENDED_LONG: u64 = 0x20000000;
/** Segment attributes, as the VMCB has them: L 9, D/B 10. */
const LONG_DEFAULT: u64 = 0x600;
const EVENT_VALID: u64 = 0x80000000;
/** of types 0 to 7: external interrupt, NMI, exception, software interrupt */
const EVENT_TYPES: u64 = 0x1d;
const EVENT_NMI: u64 = 2;
const EVENT_EXCEPTION: u64 = 3;

/** Physical-address bits that no address may have. */
let beyond: u64 = 0;

export function svm(): void {
  beyond = -1 << (get(SvmField.AddressBits) & 255);
  control();
  event();
  registers();
  nested();
}

function control(): void {
  check(SvmRule.InterceptVmrun, SvmField.Intercepts2, (get(SvmField.Intercepts2) & INTERCEPT_VMRUN) != 0);
  check(SvmRule.Asid, SvmField.Asid, get(SvmField.Asid) != 0);
  map(SvmRule.IopmAddress, SvmField.IopmBase, IOPM_BYTES);
  map(SvmRule.MsrpmAddress, SvmField.MsrpmBase, MSRPM_BYTES);
}

/** All of a map lies within the physical-address width; bits 11:0 of its address do not count. */
function map(rule: u32, field: u32, bytes: u64): void {
  const base = get(field) & ~OFFSET;
  check(rule, field, ((base | (base + bytes - 1)) & beyond) == 0);
}

/** The event that the entry injects (15.20). */
function event(): void {
  const info = get(SvmField.EventInjection);
  if (!(info & EVENT_VALID)) return;
  const type = (info >> 8) & 7;
  const vector = info & 255;
  check(SvmRule.EventType, SvmField.EventInjection, ((EVENT_TYPES >> type) & 1) != 0);
  check(SvmRule.EventVector, SvmField.EventInjection, type != EVENT_EXCEPTION || (vector < 32 && vector != EVENT_NMI));
}

/** Bit `to` of CR4 or EFER exists where CPUID has bit `from`. */
function feature(word: u32, from: u32, to: u32): u64 {
  return ((get(word) >> from) & 1) << to;
}

function registers(): void {
  const efer = get(SvmField.Efer);
  const cr0 = get(SvmField.Cr0);
  const cr4 = get(SvmField.Cr4);
  check(SvmRule.EferSvme, SvmField.Efer, (efer & EFER_SVME) != 0);
  // NXE, FFXSR, TCE
  const extensions = feature(SvmField.FeaturesExtended, 20, 11) | feature(SvmField.FeaturesExtended, 25, 14);
  only(SvmRule.EferReserved, SvmField.Efer, EFER_ALWAYS | extensions | feature(SvmField.FeaturesExtendedC, 17, 15));
  const extended = (get(SvmField.FeaturesExtended) & EXTENDED_LONG) != 0;
  check(SvmRule.EferLongMode, SvmField.Efer, extended || !(efer & (EFER_LME | EFER_LMA)));
  check(SvmRule.Cr0Cache, SvmField.Cr0, (cr0 & (CR0_CD | CR0_NW)) != CR0_NW);
  only(SvmRule.Cr0High, SvmField.Cr0, 0xffffffff);
  const paged = (efer & EFER_LME) != 0 && (cr0 & CR0_PG) != 0;
  if (paged) only(SvmRule.Cr3Reserved, SvmField.Cr3, ~beyond);
  let have = CR4_ALWAYS;
  // UMIP, LA57, FSGSBASE, PCIDE, OSXSAVE, SMEP, SMAP, PKE, CET, PKS
  have |= feature(SvmField.Features7C, 2, 11) | feature(SvmField.Features7C, 16, 12) | feature(SvmField.Features7B, 0, 16);
  have |= feature(SvmField.Features1, 17, 17) | feature(SvmField.Features1, 26, 18) | feature(SvmField.Features7B, 7, 20);
  have |= feature(SvmField.Features7B, 20, 21) | feature(SvmField.Features7C, 3, 22) | feature(SvmField.Features7C, 7, 23);
  have |= feature(SvmField.Features7C, 31, 24);
  only(SvmRule.Cr4Reserved, SvmField.Cr4, have);
  only(SvmRule.Dr6High, SvmField.Dr6, 0xffffffff);
  only(SvmRule.Dr7High, SvmField.Dr7, 0xffffffff);
  check(SvmRule.LongNeedsPae, SvmField.Cr4, !paged || (cr4 & CR4_PAE) != 0);
  check(SvmRule.LongNeedsProtection, SvmField.Cr0, !paged || (cr0 & CR0_PE) != 0);
  const both = (~get(SvmField.CsAccess) & LONG_DEFAULT) == 0;
  check(SvmRule.LongCs, SvmField.CsAccess, !paged || !(cr4 & CR4_PAE) || !both);
  check(SvmRule.CetNeedsWriteProtect, SvmField.Cr0, !(cr4 & CR4_CET) || (cr0 & CR0_WP) != 0);
}

function nested(): void {
  if (!(get(SvmField.NestedControl) & NESTED)) return;
  only(SvmRule.NestedCr3, SvmField.NestedCr3, ~beyond);
  pat(SvmRule.Pat, SvmField.Pat);
}
