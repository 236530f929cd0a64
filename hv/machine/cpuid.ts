// CPUID: one policy table, made at init from the physical CPU's answers, so that an exit is a look-up. What is offered is what the
// machine backs: a bit not named here reads 0. Leaves that depend on a subleaf or on the guest's own registers: dynamic().
//
// A leaf's row (CpuidTable of layout.ts) is the leaf rotated left by 2, so that one comparison finds what is out of range.

import { CpuModel } from "../../protocol/messages";
import { Register } from "../../protocol/state";
import * as guest from "./guest";
import { CpuidTable } from "./layout";
import { CR4_OSXSAVE, EFER_LMA, EFER_LME, EFER_NXE, EFER_SCE, gpr, setGpr } from "./vcpu";

const EMPTY: u32 = CpuidTable.Empty;
const CACHES: u32 = CpuidTable.Caches;
const CACHE_LEVELS: u32 = 4;
const XSAVE_EXTENSIONS: u32 = CpuidTable.XsaveExtensions;
const XSAVE_AVX: u32 = CpuidTable.XsaveAvx;
const KVM: u32 = CpuidTable.Kvm;
const KVM_LEAVES: u32 = 2;
const KVM_FIRST_LEAF: u32 = 0x40000100;
const BYTES: u32 = CpuidTable.Rows << 4;
const ALL: u32 = 0xffffffff;

// @ts-ignore: decorator
@inline
export function rowOf(leaf: u32): u32 {
  return rotl<u32>(leaf, 2);
}

/** Rows 4, 16, 28 and 52: leaves 1, 4, 7 and 0Dh. And, as a shift counts modulo 64, leaves 11h, 14h, 17h and 1Dh: dynamic() gives them back. */
const DYNAMIC: u64 = (1 << 4) | (1 << 16) | (1 << 28) | (1 << 52);

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
export function cpuid(): void {
  const leaf = <u32>gpr(Register.Rax);
  const row = rowOf(leaf);
  answer(isFixed(row) ? row : row < EMPTY ? dynamic(row) : beyond(leaf));
}

/** The answer is in the table as it stands. */
// @ts-ignore: decorator
@inline
export function isFixed(row: u32): bool {
  return row < EMPTY && !((DYNAMIC >> row) & 1);
}

/** All loads first: after each store, generated code fetches the memory's base again. */
// @ts-ignore: decorator
@inline
export function answer(row: u32): void {
  const ab = load<u64>(row << 4, CpuidTable.At);
  const cd = load<u64>(row << 4, CpuidTable.At + 8);
  setGpr(Register.Rax, <u64>(<u32>ab));
  setGpr(Register.Rbx, ab >> 32);
  setGpr(Register.Rcx, <u64>(<u32>cd));
  setGpr(Register.Rdx, cd >> 32);
}

/** The row of a leaf that has none of its own. */
function beyond(leaf: u32): u32 {
  return leaf - KVM_FIRST_LEAF < KVM_LEAVES ? KVM + leaf - KVM_FIRST_LEAF : EMPTY;
}

/** The row that serves, brought up to date. */
function dynamic(row: u32): u32 {
  const subleaf = <u32>gpr(Register.Rcx);
  switch (row) {
    case 1 << 2:
      // OSXSAVE shows the guest's own CR4.
      change(1, ECX, OSXSAVE, guest.read(Register.Cr4) & CR4_OSXSAVE ? OSXSAVE : 0);
      return row;
    case 4 << 2:
      return subleaf < CACHE_LEVELS ? CACHES + subleaf : EMPTY;
    case 7 << 2:
      return subleaf == 0 ? row : EMPTY;
    case 13 << 2:
      return xsave(subleaf);
    default:
      return row;
  }
}

/** Leaf 0Dh: EBX of subleaves 0 and 1 is the size for what XCR0 has enabled. */
function xsave(subleaf: u32): u32 {
  if (!xcr0Mask || subleaf > 2) return EMPTY;
  if (subleaf == 2) return XSAVE_AVX;
  const row = subleaf == 0 ? rowOf(13) : XSAVE_EXTENSIONS;
  changeRow(row, EBX, ALL, guest.read(Register.Xcr0) & XCR0_AVX ? avxBytes : LEGACY_XSAVE_BYTES);
  return row;
}

const EAX: u32 = 0;
const EBX: u32 = 4;
const ECX: u32 = 8;
const EDX: u32 = 12;

function setRow(row: u32, eax: u32, ebx: u32, ecx: u32, edx: u32): void {
  const at: usize = CpuidTable.At + (row << 4);
  store<u32>(at, eax);
  store<u32>(at, ebx, EBX);
  store<u32>(at, ecx, ECX);
  store<u32>(at, edx, EDX);
}

/** The physical CPU's answer, as far as the masks let it through. */
function hostRow(row: u32, leaf: u32, subleaf: u32, eax: u32, ebx: u32, ecx: u32, edx: u32): void {
  const ab = guest.cpuidAB(leaf, subleaf);
  const cd = guest.cpuidCD(leaf, subleaf);
  setRow(row, <u32>ab & eax, <u32>(ab >> 32) & ebx, <u32>cd & ecx, <u32>(cd >> 32) & edx);
}

/** Bits `clear` go, bits `set` come. */
function changeRow(row: u32, register: u32, clear: u32, set: u32): void {
  const at: usize = CpuidTable.At + (row << 4) + register;
  store<u32>(at, (load<u32>(at) & ~clear) | set);
}

function set(leaf: u32, eax: u32, ebx: u32, ecx: u32, edx: u32): void {
  setRow(rowOf(leaf), eax, ebx, ecx, edx);
}
function host(leaf: u32, eax: u32, ebx: u32, ecx: u32, edx: u32): void {
  hostRow(rowOf(leaf), leaf, 0, eax, ebx, ecx, edx);
}
function change(leaf: u32, register: u32, clear: u32, set: u32): void {
  changeRow(rowOf(leaf), register, clear, set);
}
function word(leaf: u32, register: u32): u32 {
  return load<u32>(CpuidTable.At + (rowOf(leaf) << 4) + register);
}

/** 0, or in the form of Status.CpuLacks what the model has and this CPU lacks. */
export function cpuidInit(model: u32): u64 {
  memory.fill(CpuidTable.At, 0, BYTES);
  basicLeaves();
  xsaveLeaves();
  hypervisorLeaves();
  extendedLeaves();
  masks();
  noteHere();
  return model == CpuModel.Portable ? takePortable() : 0;
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
  host(1, ALL, 0xff00, 0x76d83203, 0x078ba97f);
  change(1, EBX, 0, 0x10000);
  change(1, ECX, 0, 0x80000000);
  // Cache and TLB descriptors: no state behind them.
  host(2, ALL, ALL, ALL, ALL);
  // Deterministic cache parameters, shared by one thread of one core (EAX 31:14 are zero).
  for (let level: u32 = 0; level < CACHE_LEVELS; level++) hostRow(CACHES + level, 4, level, 0x3fff, ALL, ALL, 7);
  // 5 MWAIT, 6 power, 0Ah PMU, 0Bh x2APIC topology, 0Fh and 10h RDT, 12h SGX, 14h PT: not there.
  // Leaf 7, subleaf 0 only.
  // EBX: FSGSBASE, BMI1, AVX2, FDP_EXCPTN_ONLY, SMEP, BMI2, ERMS, FCS/FDS deprecation, RDSEED, ADX, SMAP, CLFLUSHOPT, CLWB, SHA.
  //   Hidden: TSC_ADJUST (MSR), SGX, HLE, RTM, INVPCID, PQM, PQE, MPX, PT, AVX-512 (XCR0 bits 2:0 only).
  // ECX: UMIP, GFNI, VAES, VPCLMULQDQ, MOVDIRI, MOVDIR64B. Hidden: PKU, OSPKE, WAITPKG, CET, LA57, RDPID (TSC_AUX is not backed).
  // EDX: fast short REP MOV. Hidden: AMX, IBRS, STIBP, SSBD, ARCH_CAPABILITIES (MSRs that are not there).
  host(7, 0, 0x219c23e9, 0x18000704, 0x10);
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
    change(1, ECX, (1 << 12) | (1 << 28) | (1 << 29), 0);
    change(7, EBX, 1 << 5, 0);
    change(7, ECX, (1 << 9) | (1 << 10), 0);
  }
  if (!xcr0Mask) {
    change(1, ECX, 1 << 26, 0);
    return;
  }
  // AVX state: EAX bytes at offset EBX of the standard form.
  const avx = xcr0Mask & XCR0_AVX ? guest.cpuidAB(0xd, 2) : 0;
  setRow(XSAVE_AVX, <u32>avx, <u32>(avx >> 32), 0, 0);
  avxBytes = avx ? <u32>avx + <u32>(avx >> 32) : LEGACY_XSAVE_BYTES;
  set(13, xcr0Mask, LEGACY_XSAVE_BYTES, avxBytes, 0);
  // XSAVEOPT, XSAVEC, XGETBV with ECX = 1. Hidden: XSAVES (IA32_XSS is not backed).
  hostRow(XSAVE_EXTENSIONS, 0xd, 1, 7, 0, 0, 0);
}

function hypervisorLeaves(): void {
  // Max leaf, then "hvkithvkit\0\0" in EBX, ECX, EDX.
  set(0x40000000, 0x40000010, 0x696b7668, 0x6b766874, 0x00007469);
  // Features: bit 0, hypercalls 0 and 1; bit 1, 2 and 3.
  set(0x40000001, 3, 0, 0, 0);
  // The TSC's kilohertz; no APIC bus.
  set(0x40000010, guest.tscKhz(), 0, 0, 0);
  // The second hypervisor that guests look for, in steps of 100h: "KVMKVMKVM\0\0\0". A Linux that finds it does not calibrate its TSC
  // against the PIT (thousands of exits), and does not read the time from the CMOS.
  setRow(KVM, KVM_FIRST_LEAF + KVM_LEAVES - 1, 0x4b4d564b, 0x564b4d56, 0x4d);
  // CLOCKSOURCE2 (3): kvmclock.ts, by MSRs 4B564D00h and 4B564D01h. CLOCKSOURCE_STABLE (24): its flag of a stable TSC counts.
  //   Hidden: CLOCKSOURCE (0: the MSRs' old numbers), NOP_IO_DELAY (1: port 80h is there), MMU_OP (2), what has no hypercall, APIC
  //   or second CPU behind it (PV_EOI 6, PV_UNHALT 7, PV_TLB_FLUSH 9, PV_SEND_IPI 11, PV_SCHED_YIELD 13, MSI_EXT_DEST_ID 15),
  //   asynchronous page faults (4, 10, 14: no guest page is ever away), STEAL_TIME (5), POLL_CONTROL (12), memory encryption (16, 17).
  setRow(KVM + 1, (1 << 3) | (1 << 24), 0, 0, 0);
}

function extendedLeaves(): void {
  // Vendor string again, on AMD.
  host(0x80000000, 0, ALL, ALL, ALL);
  change(0x80000000, EAX, 0, 0x80000008);
  // ECX: LAHF, ABM, SSE4A, misaligned SSE, 3DNow prefetch, XOP, FMA4, TBM.
  //   Hidden: CMP_LEGACY, SVM, extended APIC, CR8 by LOCK, IBS, OSVW, SKINIT, WDT, LWP, topology, performance counters (MSRs).
  // EDX: as leaf 1 where AMD repeats it (MCE, APIC, MTRR, MCA hidden), SYSCALL, NX, MMX extensions, 1 GiB pages, LM, 3DNow.
  //   Hidden: RDTSCP (TSC_AUX is not backed), FFXSR (its EFER bit is not).
  host(0x80000001, ALL, 0, 0x002109e1, 0xe5d3a97f);
  if (!(xcr0Mask & XCR0_AVX)) change(0x80000001, ECX, (1 << 11) | (1 << 16), 0);
  // The brand; caches and TLBs as AMD describes them: no state behind them.
  for (let leaf: u32 = 2; leaf <= 6; leaf++) host(0x80000000 + leaf, ALL, ALL, ALL, ALL);
  // Invariant TSC. Hidden: all of power management.
  host(0x80000007, 0, 0, 0, 0x100);
  // Address sizes; CLZERO, XSAVE error pointers. One core. Hidden: IBPB and its like (MSRs).
  host(0x80000008, 0xffff, 5, 0, 0);
}

/** AuthenticAMD: a Linux that finds it does not isolate its page tables (Meltdown is Intel's), and takes SYSCALL for 32-bit programs,
 *  which foreign.ts makes work on Intel's CPUs. */
const AMD_B: u32 = 0x68747541;
const AMD_C: u32 = 0x444d4163;
const AMD_D: u32 = 0x69746e65;

/** The MSRs and instructions that only AMD's CPUs have are the guest's. */
export function isAmd(): bool {
  return word(0, EBX) == AMD_B;
}

// The portable model: what QEMU's emulated CPU (7.2, -cpu max) and Bochs' (2.7, corei7_skylake_x) both have, of what host() above lets
// through and with its reasons, and each CPU since Intel's Haswell and AMD's Zen too (x86-64-v3). Rows are offsets in the table.
//
//   signature        family 15, model 107: that of QEMU's own AMD CPU, whose quirks Linux knows, and none of which needs more
//   1 ECX            SSE3 PCLMULQDQ SSSE3 FMA CX16 SSE4.1 SSE4.2 MOVBE POPCNT AES XSAVE AVX F16C RDRAND, hypervisor
//   1 EDX            FPU DE PSE TSC MSR PAE CX8 SEP PGE CMOV PAT PSE-36 CLFSH MMX FXSR SSE SSE2. Not VME: QEMU's has none
//   7 EBX            FSGSBASE BMI1 AVX2 SMEP BMI2 ERMS. Not ADX, SMAP (Broadwell), CLFLUSHOPT (Skylake), CLWB, RDSEED, FDP_EXCPTN_ONLY, SHA
//   7 ECX, EDX       none: UMIP is QEMU's alone
//   0Dh              x87, SSE, AVX in their standard places; XSAVEOPT. Not XSAVEC: QEMU has none; XGETBV with ECX = 1: Skylake
//   80000001h ECX    LAHF ABM. Not SSE4A, 3DNow prefetch
//   80000001h EDX    SYSCALL NX 1 GiB pages LM, and leaf 1 again. Not MMX extensions, 3DNow
//   80000005h, 6h    64 KiB of L1 each, 512 KiB of L2, as QEMU's CPU has them: no state behind them
//   80000007h        nothing: QEMU's CPU does not say that its TSC is invariant; the guest has the KVM clock
//   80000008h        40 bits physical, 48 linear
const PORTABLE = memory.data<u32>([
  0,
  0x15,
  AMD_B,
  AMD_C,
  AMD_D,
  1 << 6,
  0x60fb1,
  0x10800,
  0xf6d83203,
  0x078ba97d,
  7 << 6,
  0,
  0x3a9,
  0,
  0,
  13 << 6,
  7,
  576,
  832,
  0,
  XSAVE_EXTENSIONS << 4,
  1,
  0,
  0,
  0,
  XSAVE_AVX << 4,
  256,
  576,
  0,
  0,
  32,
  0x80000008,
  AMD_B,
  AMD_C,
  AMD_D,
  (1 << 6) + 32,
  0x60fb1,
  0,
  0x21,
  0x2593a97d,
  (2 << 6) + 32,
  0x696b7668,
  0x6f702074,
  0x62617472,
  0x4320656c,
  (3 << 6) + 32,
  0x5550,
  0,
  0,
  0,
  (5 << 6) + 32,
  0x01ff01ff,
  0x01ff01ff,
  0x40020140,
  0x40020140,
  (6 << 6) + 32,
  0,
  0x42004200,
  0x02008140,
  0,
  (8 << 6) + 32,
  0x3028,
  0,
  0,
  0,
]);
const PORTABLE_END: usize = 13 * 20;

function takePortable(): u64 {
  memory.fill(CpuidTable.New, 0, BYTES);
  for (let at: usize = PORTABLE; at < PORTABLE + PORTABLE_END; at += 20) memory.copy(CpuidTable.New + load<u32>(at), at + 4, 16);
  // What the hypervisor itself says: the TSC's rate, and leaves 400000xxh.
  memory.copy(CpuidTable.New + (0x15 << 6), CpuidTable.At + (0x15 << 6), 16);
  for (let at: u32 = 16; at < EMPTY << 4; at += 64) memory.copy(CpuidTable.New + at, CpuidTable.At + at, 16);
  memory.copy(CpuidTable.New + (KVM << 4), CpuidTable.At + (KVM << 4), KVM_LEAVES << 4);
  return cpuidTake();
}

/** Where the table's bits are instructions and registers, and which: OSXSAVE is the guest's own, and AMD repeats leaf 1 in leaf
 *  80000001h. What else a table says (names, caches, sizes) is true on any CPU. A leaf's offset is its number times 64, and 32 for 8...h. */
const FEATURES = memory.data<u32>([
  (1 << 6) + ECX,
  0xf7ffffff,
  (1 << 6) + EDX,
  ALL,
  (7 << 6) + EBX,
  ALL,
  (7 << 6) + ECX,
  ALL,
  (7 << 6) + EDX,
  ALL,
  (13 << 6) + EAX,
  ALL,
  (XSAVE_EXTENSIONS << 4) + EAX,
  ALL,
  (1 << 6) + 32 + ECX,
  ALL,
  (1 << 6) + 32 + EDX,
  0xe4500800,
  (7 << 6) + 32 + EDX,
  ALL,
  (8 << 6) + 32 + EBX,
  ALL,
]);
const FEATURES_END: usize = 11 * 8;
/** What this CPU has of them: the second word of each pair. */
const HERE = memory.data(11 * 8);

/** Once, while the table is the host's. */
function noteHere(): void {
  for (let at: usize = 0; at < FEATURES_END; at += 8) {
    store<u32>(HERE + at, load<u32>(CpuidTable.At + load<u32>(FEATURES + at)) | ~load<u32>(FEATURES + at, 4), 4);
  }
}

/** Takes the rows at CpuidTable.New: 0, or in the form of Status.CpuLacks the first bits that this CPU lacks, and nothing is changed. */
export function cpuidTake(): u64 {
  for (let at: usize = 0; at < FEATURES_END; at += 8) {
    const offset = load<u32>(FEATURES + at);
    const lacking = load<u32>(CpuidTable.New + offset) & ~load<u32>(HERE + at, 4);
    if (lacking) return ((<u64>(offset >> 4)) << 40) | ((<u64>((offset >> 2) & 3)) << 32) | lacking;
  }
  memory.copy(CpuidTable.At, CpuidTable.New, BYTES);
  xcr0Mask = word(13, EAX);
  avxBytes = xcr0Mask & XCR0_AVX ? load<u32>(CpuidTable.At + (XSAVE_AVX << 4)) + LEGACY_XSAVE_BYTES : LEGACY_XSAVE_BYTES;
  masks();
  return 0;
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
  if (word(0x80000001, EDX) & (1 << 20)) eferMask |= EFER_NXE;
}
