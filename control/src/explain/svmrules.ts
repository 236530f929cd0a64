// AMD SVM: the rules of VMRUN (APM vol. 2, 15.5.1, 15.20, 15.25; 24593 rev. 3.41). A table.
import { SvmRule } from "../../../protocol/rules.js";
import { SvmField as F } from "../../../protocol/vcb.js";
import type { Rule } from "./rule.js";

const VMRUN = "15.5.1";
const paged = [F.Efer, F.Cr0, F.Cr4];

export const svmRules: Record<Exclude<SvmRule, SvmRule.Count>, Rule> = {
  [SvmRule.InterceptVmrun]: {
    text: "VMRUN must be intercepted (bit 0 of the second word of intercepts, at 10h).",
    section: VMRUN,
    mistake: "The intercepts were composed from what the guest needs: this one the CPU demands.",
  },
  [SvmRule.Asid]: {
    text: "The guest's ASID must not be 0, which is the host's.",
    section: VMRUN,
    mistake: "ASIDs were counted from 0, or the field at 58h was never written.",
  },
  [SvmRule.IopmAddress]: {
    text: "The I/O permission map must lie within the physical-address width.",
    section: VMRUN,
    mistake: "A virtual address was written where the CPU wants a physical one.",
    needs: [F.AddressBits],
  },
  [SvmRule.MsrpmAddress]: {
    text: "The MSR permission map must lie within the physical-address width.",
    section: VMRUN,
    mistake: "A virtual address was written where the CPU wants a physical one.",
    needs: [F.AddressBits],
  },
  [SvmRule.EventType]: {
    text: "The type of the injected event (bits 10:8) must be 0, 2, 3 or 4.",
    section: "15.20",
    mistake: "VMX's types were used: a software exception (6) or a privileged one (5) is type 3 here.",
  },
  [SvmRule.EventVector]: {
    text: "An injected exception has a vector below 32 that is not 2.",
    section: "15.20",
    mistake: "An NMI was injected as an exception, or an interrupt with type 3: an NMI is type 2, an interrupt 0.",
  },
  [SvmRule.EferSvme]: {
    text: "EFER.SVME must be 1 for the guest too.",
    section: VMRUN,
    mistake: "The guest's EFER was written as the guest has it: keep SVME set, and hide it when the guest reads EFER.",
  },
  [SvmRule.EferReserved]: {
    text: "Reserved bits of EFER must be 0, and those whose feature the CPU lacks.",
    section: VMRUN,
    mistake: "A value that the guest gave was not checked, or the field was never written.",
    needs: [F.FeaturesExtended, F.FeaturesExtendedC],
  },
  [SvmRule.EferLongMode]: {
    text: "LME and LMA need a CPU with long mode.",
    section: VMRUN,
    mistake: "The CPU's CPUID hides long mode (80000001h EDX bit 29) from the hypervisor that runs on it.",
    needs: [F.FeaturesExtended],
  },
  [SvmRule.Cr0Cache]: {
    text: "CR0.NW must not be 1 while CD is 0.",
    section: VMRUN,
    mistake: "CD was cleared for the guest, and NW was kept as it is after reset (60000010h).",
  },
  [SvmRule.Cr0High]: {
    text: "Bits 63:32 of CR0 must be 0.",
    section: VMRUN,
    mistake: "A sign was extended with PG set.",
  },
  [SvmRule.Cr3Reserved]: {
    text: "In long mode CR3 must have no bit beyond the physical-address width.",
    section: VMRUN,
    mistake: "A virtual address was written, or bit 63 of a MOV to CR3 (no flush of this PCID) was kept.",
    needs: [F.Efer, F.Cr0, F.AddressBits],
  },
  [SvmRule.Cr4Reserved]: {
    text: "CR4 must have no bit whose feature the CPU lacks.",
    section: VMRUN,
    mistake: "VMX's CR4 was written (VMXE is bit 13), or a feature was set that CPUID does not offer.",
    needs: [F.Features1, F.Features7B, F.Features7C],
  },
  [SvmRule.Dr6High]: {
    text: "Bits 63:32 of DR6 must be 0.",
    section: VMRUN,
    mistake: "DR6's value after reset, FFFF0FF0h, was written with its sign extended.",
  },
  [SvmRule.Dr7High]: {
    text: "Bits 63:32 of DR7 must be 0.",
    section: VMRUN,
    mistake: "A debugger's value was written unchecked, or with its sign extended.",
  },
  [SvmRule.LongNeedsPae]: {
    text: "With EFER.LME and CR0.PG, CR4 must have PAE.",
    section: VMRUN,
    mistake: "The guest was put into long mode directly, and CR4 was left as after reset.",
    needs: paged,
  },
  [SvmRule.LongNeedsProtection]: {
    text: "With EFER.LME and CR0.PG, CR0 must have PE.",
    section: VMRUN,
    mistake: "CR0 was put together from two sources.",
    needs: paged,
  },
  [SvmRule.LongCs]: {
    text: "In long mode CS must not have both L and D.",
    section: VMRUN,
    mistake: "The 64-bit code segment was made from the 32-bit one by setting L: A9Bh is right (29Bh for short), E9Bh is not.",
    needs: paged,
  },
  [SvmRule.CetNeedsWriteProtect]: {
    text: "With CR4.CET, CR0 must have WP.",
    section: VMRUN,
    mistake: "WP was cleared while shadow stacks were on.",
    needs: [F.Cr4],
  },
  [SvmRule.NestedCr3]: {
    text: "The nested CR3 must have no bit beyond the physical-address width.",
    section: "15.25.3",
    mistake: "The virtual address of the nested tables' root was written.",
    needs: [F.NestedControl, F.AddressBits],
  },
  [SvmRule.Pat]: {
    text: "With nested paging each of the eight bytes of the guest's PAT must be a memory type: 0, 1, 4, 5, 6 or 7.",
    section: "15.25.4",
    mistake: "G_PAT (668h) was never written, or its two halves were exchanged.",
    needs: [F.NestedControl],
  },
};
