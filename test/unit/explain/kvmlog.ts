// A state as a kernel's log has it: KVM's two dumps, line by line, in the form of newer kernels or of older ones.
import { SvmField as S, VmxField as V } from "../../../protocol/vcb.js";

type Fields = ReadonlyMap<number, bigint>;
export type Age = "new" | "old";

const printer =
  (fields: Fields) =>
  (field: number, digits: number, prefix = ""): string =>
    `${prefix}${(fields.get(field) ?? 0n).toString(16).padStart(digits, "0")}`;

export function vmxLog(fields: Fields, age: Age = "new"): string[] {
  const hex = printer(fields);
  const segment = (name: string, first: number): string => {
    const parts = [hex(first, 4, "0x"), hex(first + 3, 5, "0x"), hex(first + 2, 8, "0x"), hex(first + 1, 16, "0x")];
    return `${`${name}:`.padEnd(4)}  sel=${parts[0]}, attr=${parts[1]}, limit=${parts[2]}, base=${parts[3]}`;
  };
  const table = (name: string, limit: number, base: number): string =>
    `${name}:                           limit=${hex(limit, 8, "0x")}, base=${hex(base, 16, "0x")}`;
  const controls =
    age === "new"
      ? [
          `CPUBased=${hex(V.PrimaryControls, 8, "0x")} SecondaryExec=${hex(V.SecondaryControls, 8, "0x")} TertiaryExec=0x0000000000000000`,
          `PinBased=${hex(V.PinControls, 8, "0x")} EntryControls=${hex(V.EntryControls, 8)} ExitControls=${hex(V.ExitControls, 8)}`,
        ]
      : [
          `PinBased=${hex(V.PinControls, 8)} CPUBased=${hex(V.PrimaryControls, 8)} SecondaryExec=${hex(V.SecondaryControls, 8)}`,
          `EntryControls=${hex(V.EntryControls, 8)} ExitControls=${hex(V.ExitControls, 8)}`,
        ];
  return [
    ...(age === "new" ? ["VMCS 00000000f5a1c2d3, last attempted VM-entry on CPU 3"] : []),
    "*** Guest State ***",
    `CR0: actual=${hex(V.GuestCr0, 16, "0x")}, shadow=0x0000000060000010, gh_mask=fffffffffffefff7`,
    `CR4: actual=${hex(V.GuestCr4, 16, "0x")}, shadow=0x0000000000000000, gh_mask=fffffffffffef871`,
    `CR3 = ${hex(V.GuestCr3, 16, "0x")}`,
    `PDPTR0 = ${hex(V.Pdpte0, 16, "0x")}  PDPTR1 = ${hex(V.Pdpte1, 16, "0x")}`,
    `PDPTR2 = ${hex(V.Pdpte2, 16, "0x")}  PDPTR3 = ${hex(V.Pdpte3, 16, "0x")}`,
    `RSP = ${hex(V.GuestRsp, 16, "0x")}  RIP = ${hex(V.GuestRip, 16, "0x")}`,
    `RFLAGS=${hex(V.GuestRflags, 8, "0x")}         DR7 = ${hex(V.GuestDr7, 16, "0x")}`,
    `Sysenter RSP=${hex(V.GuestSysenterEsp, 16)} CS:RIP=0010:${hex(V.GuestSysenterEip, 16)}`,
    segment("CS", V.GuestCsSelector),
    segment("DS", V.GuestDsSelector),
    segment("SS", V.GuestSsSelector),
    segment("ES", V.GuestEsSelector),
    segment("FS", V.GuestFsSelector),
    segment("GS", V.GuestGsSelector),
    table("GDTR", V.GuestGdtrLimit, V.GuestGdtrBase),
    segment("LDTR", V.GuestLdtrSelector),
    table("IDTR", V.GuestIdtrLimit, V.GuestIdtrBase),
    segment("TR", V.GuestTrSelector),
    `EFER= ${hex(V.GuestEfer, 16, "0x")}`,
    `PAT = ${hex(V.GuestPat, 16, "0x")}`,
    `DebugCtl = ${hex(V.GuestDebugctl, 16, "0x")}  DebugExceptions = ${hex(V.PendingDebug, 16, "0x")}`,
    `Interruptibility = ${hex(V.Interruptibility, 8)}  ActivityState = ${hex(V.Activity, 8)}`,
    "*** Host State ***",
    `RIP = ${hex(V.HostRip, 16, "0x")}  RSP = 0xffffc90001a3bc58`,
    `CS=${hex(V.HostCs, 4)} SS=${hex(V.HostSs, 4)} DS=${hex(V.HostDs, 4)} ES=${hex(V.HostEs, 4)} FS=${hex(V.HostFs, 4)} GS=${hex(V.HostGs, 4)} TR=${hex(V.HostTr, 4)}`,
    `FSBase=${hex(V.HostFsBase, 16)} GSBase=${hex(V.HostGsBase, 16)} TRBase=${hex(V.HostTrBase, 16)}`,
    `GDTBase=${hex(V.HostGdtrBase, 16)} IDTBase=${hex(V.HostIdtrBase, 16)}`,
    `CR0=${hex(V.HostCr0, 16)} CR3=${hex(V.HostCr3, 16)} CR4=${hex(V.HostCr4, 16)}`,
    `Sysenter RSP=${hex(V.HostSysenterEsp, 16)} CS:RIP=0010:${hex(V.HostSysenterEip, 16)}`,
    `EFER= ${hex(V.HostEfer, 16, "0x")}`,
    `PAT = ${hex(V.HostPat, 16, "0x")}`,
    "*** Control State ***",
    ...controls,
    `ExceptionBitmap=${hex(V.ExceptionBitmap, 8)} PFECmask=00000000 PFECmatch=00000000`,
    `VMEntry: intr_info=${hex(V.EntryInterruption, 8)} errcode=${hex(V.EntryError, 8)} ilen=${hex(V.EntryLength, 8)}`,
    "VMExit: intr_info=80000b0e errcode=00000010 ilen=00000003",
    `        reason=${hex(V.ExitReason, 8)} qualification=${hex(V.Qualification, 16)}`,
    "IDTVectoring: info=00000000 errcode=00000000",
    "TSC Offset = 0xfffff123456789ab",
    `TPR Threshold = ${hex(V.TprThreshold, 2, "0x")}`,
    `EPT pointer = ${hex(V.EptPointer, 16, "0x")}`,
    "PLE Gap=00000080 Window=00001000",
    `Virtual processor ID = ${hex(V.Vpid, 4, "0x")}`,
  ];
}

export function svmLog(fields: Fields, age: Age = "new"): string[] {
  const hex = printer(fields);
  const decimal = (field: number): string => (fields.get(field) ?? 0n).toString();
  const row = (name: string, text: string): string => `${`${name}:`.padEnd(20)}${text}`;
  const half = (field: number, shift: bigint, bits: bigint, digits: number): string =>
    (((fields.get(field) ?? 0n) >> shift) & bits).toString(16).padStart(digits, "0");
  const segment = (name: string, first: number): string =>
    `${`${name}:`.padEnd(5)} s: ${hex(first, 4)} a: ${hex(first + 3, 4)} l: ${hex(first + 2, 8)} b: ${hex(first + 1, 16)}`;
  const table = (name: string, base: number, limit: number): string =>
    `${`${name}:`.padEnd(5)} s: 0000 a: 0000 l: ${hex(limit, 8)} b: ${hex(base, 16)}`;
  const pair = (a: string, first: number, b: string, second: number): string =>
    `${`${a}:`.padEnd(15)} ${hex(first, 16)} ${`${b}:`.padEnd(13)} ${hex(second, 16)}`;
  const [first, second] = [hex(S.Intercepts1, 8), hex(S.Intercepts2, 8)];
  return [
    ...(age === "new" ? ["VMCB 00000000c0ffee11, last attempted VMRUN on CPU 5"] : []),
    "VMCB Control Area:",
    row("cr_read", half(S.InterceptCr, 0n, 0xffffn, 4)),
    row("cr_write", half(S.InterceptCr, 16n, 0xffffn, 4)),
    row("dr_read", half(S.InterceptDr, 0n, 0xffffn, 4)),
    row("dr_write", half(S.InterceptDr, 16n, 0xffffn, 4)),
    row("exceptions", hex(S.InterceptExceptions, 8)),
    row("intercepts", age === "new" ? `${first} ${second}` : `${second}${first}`),
    row("pause filter count", "3000"),
    row("iopm_base_pa", hex(S.IopmBase, 16)),
    row("msrpm_base_pa", hex(S.MsrpmBase, 16)),
    row("tsc_offset", "fffff123456789ab"),
    row("asid", decimal(S.Asid)),
    row("tlb_ctl", decimal(S.TlbControl)),
    row("int_ctl", hex(S.VIntr, 8)),
    row("int_vector", "00000000"),
    row("int_state", hex(S.InterruptShadow, 8)),
    row("exit_code", hex(S.ExitCode, 8)),
    row("exit_info1", hex(S.ExitInfo1, 16)),
    row("exit_info2", hex(S.ExitInfo2, 16)),
    row("exit_int_info", "00000000"),
    row("exit_int_info_err", "00000000"),
    row("nested_ctl", decimal(S.NestedControl)),
    row("nested_cr3", hex(S.NestedCr3, 16)),
    row("avic_vapic_bar", "0000000000000000"),
    row("event_inj", half(S.EventInjection, 0n, 0xffff_ffffn, 8)),
    row("event_inj_err", half(S.EventInjection, 32n, 0xffff_ffffn, 8)),
    row("virt_ext", "2"),
    row("next_rip", "0000000000100042"),
    "VMCB State Save Area:",
    segment("es", S.EsSelector),
    segment("cs", S.CsSelector),
    segment("ss", S.SsSelector),
    segment("ds", S.DsSelector),
    segment("fs", S.FsSelector),
    segment("gs", S.GsSelector),
    table("gdtr", S.GdtrBase, S.GdtrLimit),
    segment("ldtr", S.LdtrSelector),
    table("idtr", S.IdtrBase, S.IdtrLimit),
    segment("tr", S.TrSelector),
    `${age === "new" ? "vmpl: 0   " : ""}cpl:  ${decimal(S.Cpl).padEnd(15)} efer:          ${hex(S.Efer, 16)}`,
    pair("cr0", S.Cr0, "cr2", S.Cr2),
    pair("cr3", S.Cr3, "cr4", S.Cr4),
    pair("dr6", S.Dr6, "dr7", S.Dr7),
    pair("rip", S.Rip, "rflags", S.Rflags),
    pair("rsp", S.Rsp, "rax", S.Rax),
    "star:           0023001000000000 lstar:         ffffffff81a00000",
    "sysenter_esp:   0000000000000000 sysenter_eip:  0000000000000000",
    `gpat:           ${hex(S.Pat, 16)} dbgctl:        0000000000000000`,
  ];
}
