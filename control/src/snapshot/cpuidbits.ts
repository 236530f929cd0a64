// CPUID's feature bits by name, as Linux' /proc/cpuinfo has them where it has them: what a host must offer for a guest that found
// them at its boot. Used by check. See: SDM vol. 2, CPUID; APM vol. 3, appendix E.
import type { CpuidRow } from "../hypervisor/saved.js";

type Output = "eax" | "ebx" | "ecx" | "edx";

interface FeatureWord {
  leaf: number;
  subleaf: number;
  output: Output;
  /** from bit 0 up; "-" has no name, "*" is not the CPU's: it shows the guest's own control registers, or repeats leaf 1 as AMD does */
  names: string;
}

const WORDS: readonly FeatureWord[] = [
  {
    leaf: 1,
    subleaf: 0,
    output: "ecx",
    names:
      "pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid sdbg fma cx16 xtpr pdcm - pcid dca sse4_1 sse4_2 x2apic movbe popcnt tsc_deadline_timer aes xsave * avx f16c rdrand hypervisor",
  },
  {
    leaf: 1,
    subleaf: 0,
    output: "edx",
    names:
      "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn clflush - dts acpi mmx fxsr sse sse2 ss ht tm ia64 pbe",
  },
  {
    leaf: 7,
    subleaf: 0,
    output: "ebx",
    names:
      "fsgsbase tsc_adjust sgx bmi1 hle avx2 fdp_excptn_only smep bmi2 erms invpcid rtm cqm zero_fcs_fds mpx rdt_a avx512f avx512dq rdseed adx smap avx512ifma - clflushopt clwb intel_pt avx512pf avx512er avx512cd sha_ni avx512bw avx512vl",
  },
  {
    leaf: 7,
    subleaf: 0,
    output: "ecx",
    names:
      "prefetchwt1 avx512vbmi umip pku * waitpkg avx512_vbmi2 shstk gfni vaes vpclmulqdq avx512_vnni avx512_bitalg tme avx512_vpopcntdq - la57 - - - - - rdpid - bus_lock_detect cldemote - movdiri movdir64b enqcmd sgx_lc -",
  },
  {
    leaf: 7,
    subleaf: 0,
    output: "edx",
    names:
      "- - avx512_4vnniw avx512_4fmaps fsrm uintr - - avx512_vp2intersect srbds_ctrl md_clear rtm_always_abort - tsx_force_abort serialize hybrid_cpu tsxldtrk - pconfig arch_lbr ibt - amx_bf16 avx512_fp16 amx_tile amx_int8 spec_ctrl intel_stibp flush_l1d arch_capabilities core_capabilities ssbd",
  },
  { leaf: 0xd, subleaf: 0, output: "eax", names: "xcr0_x87 xcr0_sse xcr0_avx" },
  { leaf: 0xd, subleaf: 1, output: "eax", names: "xsaveopt xsavec xgetbv1 xsaves" },
  {
    leaf: 0x8000_0001,
    subleaf: 0,
    output: "ecx",
    names:
      "lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a misalignsse 3dnowprefetch osvw ibs xop skinit wdt - lwp fma4 tce - nodeid_msr - tbm topoext perfctr_core perfctr_nb - bpext ptsc perfctr_llc mwaitx - -",
  },
  {
    leaf: 0x8000_0001,
    subleaf: 0,
    output: "edx",
    names: "* * * * * * * * * * - syscall * * * * * * - mp nx - mmxext * * fxsr_opt pdpe1gb rdtscp - lm 3dnowext 3dnow",
  },
  { leaf: 0x8000_0007, subleaf: 0, output: "edx", names: "- - - - - - - - constant_tsc" },
  { leaf: 0x8000_0008, subleaf: 0, output: "ebx", names: "clzero irperf xsaveerptr" },
];

/** The features of `wanted` that `offered` lacks, by name, or as "leaf 7 ECX bit 31" where a bit has none. */
export function missingFeatures(wanted: readonly CpuidRow[], offered: readonly CpuidRow[]): string[] {
  return WORDS.flatMap((word) => {
    const missing = (wordOf(wanted, word) & ~wordOf(offered, word)) >>> 0;
    return Array.from({ length: 32 }, (_, bit) => bit)
      .filter((bit) => (missing & (1 << bit)) !== 0)
      .map((bit) => nameOf(word, bit))
      .filter((name) => name !== "*");
  });
}

/** "GenuineIntel", "AuthenticAMD", ...: leaf 0, as a guest sees it */
export function vendorString(rows: readonly CpuidRow[]): string {
  const row = rows.find(({ leaf }) => leaf === 0);
  if (!row) return "";
  const text = Buffer.alloc(12);
  text.writeUInt32LE(row.ebx, 0);
  text.writeUInt32LE(row.edx, 4);
  text.writeUInt32LE(row.ecx, 8);
  return text.toString("latin1");
}

function wordOf(rows: readonly CpuidRow[], { leaf, subleaf, output }: FeatureWord): number {
  return rows.find((row) => row.leaf === leaf && row.subleaf === subleaf)?.[output] ?? 0;
}

function nameOf({ leaf, output, names }: FeatureWord, bit: number): string {
  const name = names.split(" ")[bit] ?? "-";
  return name === "-" ? `leaf ${leaf.toString(16)}h ${output.toUpperCase()} bit ${bit}` : name;
}
