// Intel VMX: the rules for the guest's state alone (SDM vol. 3, 27.3.1; 325462-083). A table.
import { VmxRule } from "../../../protocol/rules.js";
import { VmxField as F } from "../../../protocol/vcb.js";
import type { Rule } from "./rule.js";

const REGISTERS = "27.3.1.1";
const SEGMENTS = "27.3.1.2";
const TABLES = "27.3.1.3";
const FLAGS = "27.3.1.4";
const OTHER = "27.3.1.5";

const PARTS = 4;
const ACCESS = 3;
/** The selector, and the access rights, of the segment that a field is of. */
const selectorOf = (field: number): number => field - ((field - F.GuestEsSelector) % PARTS);
const accessOf = (field: number): number => selectorOf(field) + ACCESS;
const secondary = [F.PrimaryControls, F.SecondaryControls];
/** What decides whether a segment is looked at as one of protected mode, and whether it is used. */
const usable = (field: number): number[] => [F.GuestRflags, accessOf(field)];
const system = (field: number): boolean => field >= F.GuestLdtrSelector && field <= F.GuestTrAccess;
const rights = (field: number): number[] => (system(field) ? [accessOf(field)] : usable(field));

export const vmxGuest = {
  [VmxRule.PagingNeedsProtection]: {
    text: "With PG set in guest CR0, PE must be set.",
    section: REGISTERS,
    mistake: "An unrestricted guest's CR0 was put together from two sources.",
  },
  [VmxRule.DebugctlReserved]: {
    text: "Reserved bits of guest IA32_DEBUGCTL must be 0.",
    section: REGISTERS,
    mistake: "'Load debug controls' is on, and the field was never written.",
    needs: [F.EntryControls],
  },
  [VmxRule.LongNeedsPaging]: {
    text: "With the entry control 'IA-32e mode guest', guest CR0 must have PG.",
    section: REGISTERS,
    mistake: "The entry control follows EFER.LME; it must follow LMA, which is LME and PG.",
    needs: [F.EntryControls],
  },
  [VmxRule.LongNeedsPae]: {
    text: "With the entry control 'IA-32e mode guest', guest CR4 must have PAE.",
    section: REGISTERS,
    mistake: "The guest was put into long mode directly, and CR4 was left as after reset.",
    needs: [F.EntryControls],
  },
  [VmxRule.PcideNeedsLong]: {
    text: "Without the entry control 'IA-32e mode guest', guest CR4 must not have PCIDE.",
    section: REGISTERS,
    mistake: "The guest left long mode, or was reset, and CR4 was kept.",
    needs: [F.EntryControls],
  },
  [VmxRule.Dr7High]: {
    text: "Bits 63:32 of guest DR7 must be 0.",
    section: REGISTERS,
    mistake: "A debugger's value was written unchecked, or with its sign extended.",
    needs: [F.EntryControls],
  },
  [VmxRule.EferLma]: {
    text: "LMA of guest EFER must be what the entry control 'IA-32e mode guest' says.",
    section: REGISTERS,
    mistake: "EFER was written and the entry control (bit 9) was not changed with it, or the other way round.",
    needs: [F.EntryControls],
  },
  [VmxRule.EferLme]: {
    text: "With paging, LME of guest EFER must be what LMA and the entry control 'IA-32e mode guest' say.",
    section: REGISTERS,
    mistake: "LMA was set without LME, or the guest changed LME while paging was on.",
    needs: [F.EntryControls, F.GuestCr0],
  },
  [VmxRule.SelectorTi]: {
    text: "{field} must not have TI (bit 2): it lies in the GDT.",
    section: SEGMENTS,
    mistake: "The selector was taken from another register.",
    needs: (field) => (field === F.GuestLdtrSelector ? [F.GuestLdtrAccess] : []),
  },
  [VmxRule.SsRpl]: {
    text: "The RPL of guest SS must be that of CS.",
    section: SEGMENTS,
    mistake: "CS was changed to another privilege level, by hand, without SS. (An unrestricted guest is free.)",
    needs: [...secondary, F.GuestCsSelector, F.GuestRflags],
  },
  [VmxRule.V86Base]: {
    text: "In virtual-8086 mode {field} must be the selector shifted left by 4.",
    section: SEGMENTS,
    mistake: "RFLAGS.VM was set, and the segments are still those of protected mode.",
    needs: (field) => [F.GuestRflags, selectorOf(field)],
  },
  [VmxRule.V86Limit]: {
    text: "In virtual-8086 mode {field} must be FFFFh.",
    section: SEGMENTS,
    mistake: "RFLAGS.VM was set, and the segments are still those of protected mode.",
    needs: [F.GuestRflags],
  },
  [VmxRule.V86Access]: {
    text: "In virtual-8086 mode {field} must be F3h.",
    section: SEGMENTS,
    mistake: "RFLAGS.VM was set, and the segments are still those of protected mode, or of real mode (93h).",
    needs: [F.GuestRflags],
  },
  [VmxRule.BaseHigh]: {
    text: "Bits 63:32 of {field} must be 0.",
    section: SEGMENTS,
    mistake: "Only FS and GS have 64-bit bases: an address was written into the wrong field.",
    needs: (field) => usable(field),
  },
  [VmxRule.CsType]: {
    text: "The type in guest CS access rights must be 9, 11, 13 or 15 (code, accessed); 3 too for an unrestricted guest.",
    section: SEGMENTS,
    mistake: "The descriptor's type was copied without the accessed bit (9Ah for 9Bh), or real mode's 93h without 'unrestricted guest'.",
    needs: [F.GuestRflags, ...secondary],
  },
  [VmxRule.SsType]: {
    text: "The type in guest SS access rights must be 3 or 7 (data, writable, accessed).",
    section: SEGMENTS,
    mistake: "The descriptor's type was copied without the accessed bit (92h for 93h).",
    needs: (field) => usable(field),
  },
  [VmxRule.DataAccessed]: {
    text: "The type in {field} must have the accessed bit (bit 0).",
    section: SEGMENTS,
    mistake:
      "The descriptor's type was copied without the accessed bit (92h for 93h), or an unused segment is not marked unusable (bit 16).",
    needs: (field) => usable(field),
  },
  [VmxRule.DataReadable]: {
    text: "A code segment in {field} must be readable.",
    section: SEGMENTS,
    mistake: "An execute-only segment was loaded into a data register.",
    needs: (field) => usable(field),
  },
  [VmxRule.SegmentKind]: {
    text: "S (bit 4) of {field} must be 1 for code and data, 0 for LDTR and TR.",
    section: SEGMENTS,
    mistake: "Access rights were shifted wrongly: they are bits 47:40 and 55:52 of the descriptor, in 7:0 and 15:12.",
    needs: rights,
  },
  [VmxRule.CsDpl]: {
    text: "The DPL of guest CS must be that of SS; for conforming code not above it; for a data segment in CS 0.",
    section: SEGMENTS,
    mistake: "Only one of CS and SS was changed with the privilege level: SS's DPL is the CPL.",
    needs: [F.GuestRflags, F.GuestSsAccess],
  },
  [VmxRule.SsDpl]: {
    text: "The DPL of guest SS must be its RPL (but for an unrestricted guest), and 0 in real mode.",
    section: SEGMENTS,
    mistake: "The selector was changed without the access rights. SS's DPL counts even when it is unusable.",
    needs: [F.GuestRflags, F.GuestSsSelector, F.GuestCr0, F.GuestCsAccess, ...secondary],
  },
  [VmxRule.DataDpl]: {
    text: "The DPL in {field} must not be below the selector's RPL.",
    section: SEGMENTS,
    mistake: "The selector was changed without the access rights. (An unrestricted guest is free.)",
    needs: (field) => [...usable(field), selectorOf(field), ...secondary],
  },
  [VmxRule.SegmentPresent]: {
    text: "P (bit 7) of {field} must be 1.",
    section: SEGMENTS,
    mistake: "The segment is not marked unusable (bit 16), and its access rights were never written.",
    needs: rights,
  },
  [VmxRule.SegmentReserved]: {
    text: "Bits 11:8 and 31:17 of {field} must be 0.",
    section: SEGMENTS,
    mistake: "SVM's form was written, which has AVL, L, D/B and G in bits 11:8, or the upper half of a descriptor.",
    needs: rights,
  },
  [VmxRule.CsLongDefault]: {
    text: "In IA-32e mode guest CS must not have both L and D/B.",
    section: SEGMENTS,
    mistake: "The 64-bit code segment was made from the 32-bit one by setting L: A09Bh is right, E09Bh is not.",
    needs: [F.GuestRflags, F.EntryControls],
  },
  [VmxRule.Granularity]: {
    text: "G must fit {field}: bits 11:0 of the limit are all 1 with it, bits 31:20 all 0 without.",
    section: SEGMENTS,
    mistake: "The limit is in bytes, whatever G says: 4 GiB is FFFFFFFFh with G, and FFFFFh is a limit for G = 0.",
    needs: rights,
  },
  [VmxRule.TrType]: {
    text: "The type in guest TR access rights must be 11 (busy 32-bit or 64-bit TSS), or 3 outside IA-32e mode.",
    section: SEGMENTS,
    mistake: "TR was left empty, or has an available TSS (89h): LTR makes it busy, 8Bh.",
    needs: [F.EntryControls],
  },
  [VmxRule.LdtrType]: {
    text: "The type in guest LDTR access rights must be 2.",
    section: SEGMENTS,
    mistake: "An LDTR that nobody uses is not marked unusable: 10000h.",
  },
  [VmxRule.TrUsable]: {
    text: "Guest TR must be usable: bit 16 of its access rights is 0.",
    section: SEGMENTS,
    mistake: "All unused segments were marked unusable, TR too: it must be a busy TSS even after reset.",
  },
  [VmxRule.TableLimit]: {
    text: "Bits 31:16 of {field} must be 0.",
    section: TABLES,
    mistake: "The limit was read as 32 bits from an SGDT or SIDT operand, with the base's beginning in it.",
  },
  [VmxRule.RipHigh]: {
    text: "Outside 64-bit code, bits 63:32 of guest RIP must be 0.",
    section: FLAGS,
    mistake: "The guest starts at a 64-bit address, and CS has no L or the entry control 'IA-32e mode guest' is off.",
    needs: [F.EntryControls, F.GuestCsAccess],
  },
  [VmxRule.RipUpper]: {
    text: "In 64-bit code, guest RIP's bits beyond the linear-address width must be alike.",
    section: FLAGS,
    mistake: "RIP was advanced past an exit with a length that is none, or a pointer was cut.",
    needs: [F.EntryControls, F.GuestCsAccess, F.AddressBits],
  },
  [VmxRule.RflagsReserved]: {
    text: "Guest RFLAGS must have bit 1, and bits 63:22, 15, 5 and 3 must be 0.",
    section: FLAGS,
    mistake: "RFLAGS was cleared, or never written: 2 is the least that it can be.",
  },
  [VmxRule.RflagsVm]: {
    text: "RFLAGS.VM must be 0 in IA-32e mode, and without CR0.PE.",
    section: FLAGS,
    mistake: "The guest was reset, or changed to long mode, and RFLAGS was kept.",
    needs: [F.EntryControls, F.GuestCr0],
  },
  [VmxRule.RflagsIf]: {
    text: "To inject an external interrupt, RFLAGS.IF must be 1.",
    section: FLAGS,
    mistake: "The interrupt was injected at once: ask for an interrupt window, and inject when it opens.",
    needs: [F.EntryInterruption],
  },
  [VmxRule.ActivityKind]: {
    text: "The activity state must be 0 to 3, and one that IA32_VMX_MISC bits 8:6 offer.",
    section: OTHER,
    mistake: "The field was never written, or the CPU (or the hypervisor below) lacks that state.",
    needs: [F.Misc],
  },
  [VmxRule.ActivityHlt]: {
    text: "The HLT activity state needs DPL 0 in SS.",
    section: OTHER,
    mistake: "A halted guest's segments were changed to a user's, and it was not woken.",
    needs: [F.GuestSsAccess],
  },
  [VmxRule.ActivityBlocked]: {
    text: "With blocking by STI or MOV SS the activity state must be 0 (active).",
    section: OTHER,
    mistake: "HLT was emulated right after STI, and the shadow was kept.",
    needs: [F.Interruptibility],
  },
  [VmxRule.ActivityEvent]: {
    text: "The event must be one that the activity state lets through: HLT interrupts, NMI, #DB, #MC; shutdown NMI and #MC; wait-for-SIPI none.",
    section: OTHER,
    mistake: "An exception was injected into a halted guest: make it active first.",
    needs: [F.EntryInterruption],
  },
  [VmxRule.BlockingReserved]: {
    text: "Bits 31:5 of the interruptibility state must be 0.",
    section: OTHER,
    mistake: "The field was never written.",
  },
  [VmxRule.BlockingBoth]: {
    text: "Blocking by STI and by MOV SS exclude each other.",
    section: OTHER,
    mistake: "The shadow was set by an OR: one instruction can be the last only.",
  },
  [VmxRule.BlockingSti]: {
    text: "Blocking by STI needs RFLAGS.IF.",
    section: OTHER,
    mistake: "RFLAGS was changed by the hypervisor, and the shadow was kept. For a shadow with IF = 0 use MOV SS's bit.",
    needs: [F.GuestRflags],
  },
  [VmxRule.BlockingEvent]: {
    text: "An external interrupt cannot be injected while STI or MOV SS blocks, an NMI not while MOV SS does.",
    section: OTHER,
    mistake: "The interrupt was injected at once: ask for a window, and inject when it opens.",
    needs: [F.EntryInterruption],
  },
  [VmxRule.BlockingSmi]: {
    text: "Blocking by SMI (bit 2) must be 0 outside SMM.",
    section: OTHER,
    mistake: "The bits' order was mistaken: NMI is bit 3.",
  },
  [VmxRule.BlockingNmi]: {
    text: "With virtual NMIs an NMI cannot be injected while NMIs are blocked (bit 3).",
    section: OTHER,
    mistake: "A second NMI came before the guest's IRET: ask for an NMI window.",
    needs: [F.EntryInterruption, F.PinControls],
  },
  [VmxRule.BlockingEnclave]: {
    text: "Enclave interruption (bit 4) and blocking by MOV SS exclude each other.",
    section: OTHER,
    mistake: "The interruptibility state was composed by hand.",
  },
  [VmxRule.PendingReserved]: {
    text: "Pending debug exceptions may have bits 3:0, 12, 14 and 16 only.",
    section: OTHER,
    mistake: "DR6 was written into it, whose fixed ones are FFFF0FF0h.",
  },
  [VmxRule.PendingStep]: {
    text: "While STI or MOV SS blocks, or in HLT, BS (bit 14) must be pending exactly when RFLAGS.TF is set and DEBUGCTL.BTF is not.",
    section: OTHER,
    mistake: "An instruction was emulated under a debugger's single step: with TF set and the shadow kept, BS must be set.",
    needs: [F.Interruptibility, F.Activity, F.GuestRflags, F.GuestDebugctl],
  },
  [VmxRule.PendingRtm]: {
    text: "With RTM pending (bit 16) bit 12 is 1, all others are 0, and MOV SS does not block.",
    section: OTHER,
    mistake: "Pending debug exceptions were composed by hand.",
    needs: [F.Interruptibility],
  },
  [VmxRule.LinkAddress]: {
    text: "The VMCS link pointer must be all ones, or a multiple of 4096 within the physical-address width.",
    section: OTHER,
    mistake: "It was never written: FFFFFFFFFFFFFFFFh means that there is none, 0 does not.",
    needs: [F.AddressBits],
  },
  [VmxRule.LinkCurrent]: {
    text: "The VMCS link pointer must not name this VMCS itself.",
    section: OTHER,
    mistake: "It was taken for the place of the VMCS's own address.",
    needs: [F.VmcsAddress],
  },
  [VmxRule.Pdpte]: {
    text: "{field} is present and used by PAE paging: its reserved bits (2:1, 8:5, beyond the physical-address width) must be 0.",
    section: "27.3.1.6",
    mistake: "CR3 or CR0.PG changed, and the four PDPTEs were not read again from the guest's memory; they have no write bit.",
    needs: [...secondary, F.EntryControls, F.GuestCr0, F.GuestCr4, F.AddressBits],
  },
} satisfies Partial<Record<VmxRule, Rule>>;
