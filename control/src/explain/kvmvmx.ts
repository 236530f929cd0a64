// KVM's dump of a VMCS in a kernel's log, as its VMX half prints it when an entry fails: three sections, each line some fields. What is looked for
// is a line's own words; whatever a log puts before them is passed over.
import { VmxField as F } from "../../../protocol/vcb.js";

/** A number as the kernel prints it, with 0x or without. */
const N = "(?:0x)?([0-9a-f]{1,16})";

type Line = [pattern: RegExp, ...fields: (F | undefined)[]];

/** `_` in a pattern is a number; blanks are any number of them. Undefined: a number that is no field of ours. */
const line = (pattern: string, ...fields: (F | undefined)[]): Line => [
  new RegExp(`(?<![\\w-])${pattern.replaceAll(" ", "\\s*").replaceAll("_", N)}`, "i"),
  ...fields,
];

const segment = (name: string, selector: F): Line =>
  line(`${name}: sel=_, attr=_, limit=_, base=_`, selector, selector + 3, selector + 2, selector + 1);

const sections: Record<string, readonly Line[]> = {
  "Guest State": [
    line("CR0: actual=_", F.GuestCr0),
    line("CR4: actual=_", F.GuestCr4),
    line("CR3 = _", F.GuestCr3),
    line("PDPTR0 = _ PDPTR1 = _", F.Pdpte0, F.Pdpte1),
    line("PDPTR2 = _ PDPTR3 = _", F.Pdpte2, F.Pdpte3),
    line("RSP = _ RIP = _", F.GuestRsp, F.GuestRip),
    line("RFLAGS=_ DR7 = _", F.GuestRflags, F.GuestDr7),
    line("Sysenter RSP=_ CS:RIP=_:_", F.GuestSysenterEsp, undefined, F.GuestSysenterEip),
    segment("ES", F.GuestEsSelector),
    segment("CS", F.GuestCsSelector),
    segment("SS", F.GuestSsSelector),
    segment("DS", F.GuestDsSelector),
    segment("FS", F.GuestFsSelector),
    segment("GS", F.GuestGsSelector),
    segment("LDTR", F.GuestLdtrSelector),
    segment("TR", F.GuestTrSelector),
    line("GDTR: limit=_, base=_", F.GuestGdtrLimit, F.GuestGdtrBase),
    line("IDTR: limit=_, base=_", F.GuestIdtrLimit, F.GuestIdtrBase),
    line("EFER = _", F.GuestEfer),
    line("PAT = _", F.GuestPat),
    line("DebugCtl = _ DebugExceptions = _", F.GuestDebugctl, F.PendingDebug),
    line("Interruptibility = _ ActivityState = _", F.Interruptibility, F.Activity),
  ],
  "Host State": [
    line("RIP = _", F.HostRip),
    line("CS=_ SS=_ DS=_ ES=_ FS=_ GS=_ TR=_", F.HostCs, F.HostSs, F.HostDs, F.HostEs, F.HostFs, F.HostGs, F.HostTr),
    line("FSBase=_ GSBase=_ TRBase=_", F.HostFsBase, F.HostGsBase, F.HostTrBase),
    line("GDTBase=_ IDTBase=_", F.HostGdtrBase, F.HostIdtrBase),
    line("CR0=_ CR3=_ CR4=_", F.HostCr0, F.HostCr3, F.HostCr4),
    line("Sysenter RSP=_ CS:RIP=_:_", F.HostSysenterEsp, undefined, F.HostSysenterEip),
    line("EFER = _", F.HostEfer),
    line("PAT = _", F.HostPat),
  ],
  "Control State": [
    line("PinBased=_", F.PinControls),
    line("CPUBased=_ SecondaryExec=_", F.PrimaryControls, F.SecondaryControls),
    line("EntryControls=_ ExitControls=_", F.EntryControls, F.ExitControls),
    line("ExceptionBitmap=_", F.ExceptionBitmap),
    line("VMEntry: intr_info=_ errcode=_ ilen=_", F.EntryInterruption, F.EntryError, F.EntryLength),
    line("reason=_ qualification=_", F.ExitReason, F.Qualification),
    line("TSC Multiplier = _", F.TscMultiplier),
    line("TPR Threshold = _", F.TprThreshold),
    line("APIC-access addr = _", F.ApicAccess),
    line("virt-APIC addr = _", F.VirtualApic),
    line("PostedIntrVec = _", F.PostedVector),
    line("EPT pointer = _", F.EptPointer),
    line("Virtual processor ID = _", F.Vpid),
  ],
};

const HEADING = /\*\*\* (Guest State|Host State|Control State) \*\*\*/;
export const VMX_BEGINS = /\*\*\* Guest State \*\*\*/;

/** Lines from a dump's first heading on. */
export function parseKvmVmx(lines: readonly string[]): Map<number, bigint> {
  const fields = new Map<number, bigint>();
  let patterns: readonly Line[] = [];
  for (const text of lines) {
    const heading = HEADING.exec(text)?.[1];
    if (heading !== undefined) patterns = sections[heading] ?? [];
    for (const [pattern, ...names] of patterns) {
      const match = pattern.exec(text);
      if (!match) continue;
      for (const [index, field] of names.entries()) {
        if (field !== undefined && !fields.has(field)) fields.set(field, BigInt(`0x${match[index + 1]}`));
      }
    }
  }
  return fields;
}
