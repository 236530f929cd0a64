// CPUID: one policy table, made at init from the physical CPU's answers, so that an exit is a look-up. What is offered is what the
// machine backs: a bit not named here reads 0. Leaves that depend on a subleaf or on the guest's own registers: dynamic().
//
// Rows of the table (Table.Cpuid), 16 bytes each, EAX, EBX, ECX, EDX:
//    0..31   leaves 00000000h..1Fh          32..63  leaves 40000000h..4000001Fh
//   64..95   leaves 80000000h..8000001Fh    96..127 zeros: what is out of range, C0000000h.. among it
//  128..131  leaf 4, subleaves 0..3         132     leaf 0Dh, subleaf 1        133  leaf 0Dh, subleaf 2

import { Register } from "../../protocol/state";
import { Table } from "./exit";
import * as guest from "./guest";
import { CR4_OSXSAVE, EFER_LMA, EFER_LME, EFER_NXE, EFER_SCE, gpr, setGpr } from "./vcpu";

const EMPTY: u32 = 96;
const CACHES: u32 = 128;
const CACHE_LEVELS: u32 = 4;
const XSAVE_EXTENSIONS: u32 = 132;
const XSAVE_AVX: u32 = 133;
const ALL: u32 = 0xffffffff;

/** Leaves 1, 4, 7 and 0Dh; their namesakes 40000001h, 80000004h, ... too, which dynamic() gives back. */
const DYNAMIC: u32 = (1 << 1) | (1 << 4) | (1 << 7) | (1 << 13);

const OSXSAVE: u32 = 1 << 27;
const LEGACY_XSAVE_BYTES: u32 = 576;
const XCR0_AVX: u32 = 4;

let xcr0Mask: u32 = 0;
let avxBytes: u32 = 0;
let cr4Mask: u64 = 0;
let eferMask: u64 = 0;

/** Bits that the guest may set. */
export function xcr0Offered(): u64 {
  return xcr0Mask;
}
export function cr4Offered(): u64 {
  return cr4Mask;
}
export function eferOffered(): u64 {
  return eferMask;
}

/** CPUID: EAX leaf, ECX subleaf; answers in EAX, EBX, ECX, EDX, upper halves zero. */
// @ts-ignore: decorator
@inline
export function cpuid(): void {
  const leaf = <u32>gpr(Register.Rax);
  let row = leaf & 0x3fffffe0 ? EMPTY : ((leaf >>> 30) << 5) | (leaf & 31);
  if ((DYNAMIC >>> (leaf & 31)) & 1) row = dynamic(row);
  const at: usize = Table.Cpuid + (row << 4);
  const eax = <u64>load<u32>(at);
  const ebx = <u64>load<u32>(at, 4);
  const ecx = <u64>load<u32>(at, 8);
  const edx = <u64>load<u32>(at, 12);
  setGpr(Register.Rax, eax);
  setGpr(Register.Rbx, ebx);
  setGpr(Register.Rcx, ecx);
  setGpr(Register.Rdx, edx);
}

/** The row that serves, brought up to date. */
function dynamic(row: u32): u32 {
  const subleaf = <u32>gpr(Register.Rcx);
  switch (row) {
    case 1: {
      // OSXSAVE shows the guest's own CR4.
      const ecx = load<u32>(Table.Cpuid + 16, 8) & ~OSXSAVE;
      store<u32>(Table.Cpuid + 16, guest.read(Register.Cr4) & CR4_OSXSAVE ? ecx | OSXSAVE : ecx, 8);
      return row;
    }
    case 4:
      return subleaf < CACHE_LEVELS ? CACHES + subleaf : EMPTY;
    case 7:
      return subleaf == 0 ? row : EMPTY;
    case 13:
      return xsave(subleaf);
    default:
      return row;
  }
}

/** Leaf 0Dh: EBX of subleaves 0 and 1 is the size for what XCR0 has enabled. */
function xsave(subleaf: u32): u32 {
  if (!xcr0Mask || subleaf > 2) return EMPTY;
  if (subleaf == 2) return XSAVE_AVX;
  const row: u32 = subleaf == 0 ? 13 : XSAVE_EXTENSIONS;
  store<u32>(Table.Cpuid + (row << 4), guest.read(Register.Xcr0) & XCR0_AVX ? avxBytes : LEGACY_XSAVE_BYTES, 4);
  return row;
}

function set(row: u32, eax: u32, ebx: u32, ecx: u32, edx: u32): void {
  const at: usize = Table.Cpuid + (row << 4);
  store<u32>(at, eax);
  store<u32>(at, ebx, 4);
  store<u32>(at, ecx, 8);
  store<u32>(at, edx, 12);
}

/** The physical CPU's answer, as far as the masks let it through. */
function host(row: u32, leaf: u32, subleaf: u32, eax: u32, ebx: u32, ecx: u32, edx: u32): void {
  const ab = guest.cpuidAB(leaf, subleaf);
  const cd = guest.cpuidCD(leaf, subleaf);
  set(row, <u32>ab & eax, <u32>(ab >> 32) & ebx, <u32>cd & ecx, <u32>(cd >> 32) & edx);
}

function word(row: u32, register: u32): u32 {
  return load<u32>(Table.Cpuid + (row << 4) + (register << 2));
}
function clear(row: u32, register: u32, bits: u32): void {
  store<u32>(Table.Cpuid + (row << 4) + (register << 2), word(row, register) & ~bits);
}
const EBX: u32 = 1;
const ECX: u32 = 2;
const EDX: u32 = 3;

export function cpuidInit(): void {
  memory.fill(Table.Cpuid, 0, (XSAVE_AVX + 1) << 4);
  basicLeaves();
  xsaveLeaves();
  hypervisorLeaves();
  extendedLeaves();
  masks();
}

function basicLeaves(): void {
  const vendor = guest.cpuidAB(0, 0);
  const rest = guest.cpuidCD(0, 0);
  // Up to the TSC leaf, whatever the CPU has: guests need it most where the CPU lacks it.
  set(0, 0x15, <u32>(vendor >> 32), <u32>rest, <u32>(rest >> 32));
  // Signature; CLFLUSH size; one CPU with APIC ID 0.
  // ECX: SSE3, PCLMULQDQ, SSSE3, FMA, CX16, SSE4.1, SSE4.2, MOVBE, POPCNT, AES, XSAVE, AVX, F16C, RDRAND.
  //   Hidden: MONITOR (exits as #UD), VMX, SMX, EST, TM2, CNXT-ID, SDBG, xTPR, PDCM (their MSRs), PCID (pointless without INVPCID),
  //   DCA, x2APIC and TSC deadline (no APIC), DS (no debug store).
  // EDX: FPU, VME, DE, PSE, TSC, MSR, PAE, CX8, SEP, PGE, CMOV, PAT, PSE-36, CLFSH, MMX, FXSR, SSE, SSE2.
  //   Hidden: MCE, MCA (no banks), APIC, MTRR (PAT does it all), PSN, DS, ACPI, SS, HTT, TM, PBE (no MSRs or sensors behind them).
  host(1, 1, 0, ALL, 0xff00, 0x76d83203, 0x078ba97f);
  store<u32>(Table.Cpuid + 16, 0x10000 | (word(1, EBX) & 0xff00), 4);
  store<u32>(Table.Cpuid + 16, word(1, ECX) | 0x80000000, 8);
  // Cache and TLB descriptors: no state behind them.
  host(2, 2, 0, ALL, ALL, ALL, ALL);
  // Deterministic cache parameters, shared by one thread of one core (EAX 31:14 are zero).
  for (let level: u32 = 0; level < CACHE_LEVELS; level++) host(CACHES + level, 4, level, 0x3fff, ALL, ALL, 7);
  // 5 MWAIT, 6 power, 0Ah PMU, 0Bh x2APIC topology, 0Fh and 10h RDT, 12h SGX, 14h PT: not there.
  // Leaf 7, subleaf 0 only.
  // EBX: FSGSBASE, BMI1, AVX2, FDP_EXCPTN_ONLY, SMEP, BMI2, ERMS, FCS/FDS deprecation, RDSEED, ADX, SMAP, CLFLUSHOPT, CLWB, SHA.
  //   Hidden: TSC_ADJUST (MSR), SGX, HLE, RTM, INVPCID, PQM, PQE, MPX, PT, AVX-512 (XCR0 bits 2:0 only).
  // ECX: UMIP, GFNI, VAES, VPCLMULQDQ, MOVDIRI, MOVDIR64B. Hidden: PKU, OSPKE, WAITPKG, CET, LA57, RDPID (TSC_AUX is not backed).
  // EDX: fast short REP MOV. Hidden: AMX, IBRS, STIBP, SSBD, ARCH_CAPABILITIES (MSRs that are not there).
  host(7, 7, 0, 0, 0x219c23e9, 0x18000704, 0x10);
  // TSC = crystal * EBX / EAX: the crystal is the TSC itself.
  const hertz = <u64>guest.tscKhz() * 1000;
  if (hertz <= 0xffffffff) set(0x15, 1, 1, <u32>hertz, 0);
}

function xsaveLeaves(): void {
  const offered = <u32>guest.cpuidAB(0xd, 0) & 7;
  // Without XSAVE neither AVX nor what is encoded with VEX (FMA, F16C, AVX2, VAES, VPCLMULQDQ) can be used.
  xcr0Mask = word(1, ECX) & (1 << 26) && (offered & 3) == 3 ? offered : 0;
  if (!(xcr0Mask & XCR0_AVX) || !(word(1, ECX) & (1 << 28))) {
    xcr0Mask &= 3;
    clear(1, ECX, (1 << 12) | (1 << 28) | (1 << 29));
    clear(7, EBX, 1 << 5);
    clear(7, ECX, (1 << 9) | (1 << 10));
  }
  if (!xcr0Mask) {
    clear(1, ECX, 1 << 26);
    return;
  }
  // AVX state: EAX bytes at offset EBX of the standard form.
  host(XSAVE_AVX, 0xd, 2, ALL, ALL, 0, 0);
  if (!(xcr0Mask & XCR0_AVX)) set(XSAVE_AVX, 0, 0, 0, 0);
  avxBytes = xcr0Mask & XCR0_AVX ? word(XSAVE_AVX, 0) + word(XSAVE_AVX, EBX) : LEGACY_XSAVE_BYTES;
  set(13, xcr0Mask, LEGACY_XSAVE_BYTES, avxBytes, 0);
  // XSAVEOPT, XSAVEC, XGETBV with ECX = 1. Hidden: XSAVES (IA32_XSS is not backed).
  host(XSAVE_EXTENSIONS, 0xd, 1, 7, 0, 0, 0);
}

function hypervisorLeaves(): void {
  // Max leaf, then "hvkithvkit\0\0" in EBX, ECX, EDX.
  set(32, 0x40000010, 0x696b7668, 0x6b766874, 0x00007469);
  // Features: bit 0, hypercalls 0 and 1.
  set(33, 1, 0, 0, 0);
  // The TSC's kilohertz; no APIC bus.
  set(48, guest.tscKhz(), 0, 0, 0);
}

function extendedLeaves(): void {
  // Vendor string again, on AMD.
  host(64, 0x80000000, 0, 0, ALL, ALL, ALL);
  store<u32>(Table.Cpuid + (64 << 4), 0x80000008);
  // ECX: LAHF, ABM, SSE4A, misaligned SSE, 3DNow prefetch, XOP, FMA4, TBM.
  //   Hidden: CMP_LEGACY, SVM, extended APIC, CR8 by LOCK, IBS, OSVW, SKINIT, WDT, LWP, topology, performance counters (MSRs).
  // EDX: as leaf 1 where AMD repeats it (MCE, APIC, MTRR, MCA hidden), SYSCALL, NX, MMX extensions, 1 GiB pages, LM, 3DNow.
  //   Hidden: RDTSCP (TSC_AUX is not backed), FFXSR (its EFER bit is not).
  host(65, 0x80000001, 0, ALL, 0, 0x002109e1, 0xe5d3a97f);
  if (!(xcr0Mask & XCR0_AVX)) clear(65, ECX, (1 << 11) | (1 << 16));
  // The brand; caches and TLBs as AMD describes them: no state behind them.
  for (let leaf: u32 = 2; leaf <= 6; leaf++) host(64 + leaf, 0x80000000 + leaf, 0, ALL, ALL, ALL, ALL);
  // Invariant TSC. Hidden: all of power management.
  host(71, 0x80000007, 0, 0, 0, 0, 0x100);
  // Address sizes; CLZERO, XSAVE error pointers. One core. Hidden: IBPB and its like (MSRs).
  host(72, 0x80000008, 0, 0xffff, 5, 0, 0);
}

/** Control bits follow from what is offered; those of hidden features are reserved to the guest. */
function masks(): void {
  // VME, PVI, TSD, DE, PSE, PAE, MCE, PGE, PCE, OSFXSR, OSXMMEXCPT: on each CPU that runs us. MCE is only remembered.
  cr4Mask = 0x7ff;
  if (word(7, ECX) & (1 << 2)) cr4Mask |= 1 << 11;
  if (word(7, EBX) & 1) cr4Mask |= 1 << 16;
  if (xcr0Mask) cr4Mask |= CR4_OSXSAVE;
  if (word(7, EBX) & (1 << 7)) cr4Mask |= 1 << 20;
  if (word(7, EBX) & (1 << 20)) cr4Mask |= 1 << 21;
  eferMask = EFER_SCE | EFER_LME | EFER_LMA;
  if (word(65, EDX) & (1 << 20)) eferMask |= EFER_NXE;
}
