// Intel VMX: the rules for execution, exit and entry controls (SDM vol. 3, 27.2.1; 325462-083). A table.
import { VmxRule } from "../../../protocol/rules.js";
import { VmxField as F } from "../../../protocol/vcb.js";
import type { Rule } from "./rule.js";

const EXECUTION = "27.2.1.1";
const EXIT = "27.2.1.2";
const ENTRY = "27.2.1.3";

const controls = [F.PrimaryControls, F.SecondaryControls];
const ept = [...controls, F.EptVpid];

/** The capability MSR of each field of controls. */
const allowed: Partial<Record<number, F>> = {
  [F.PinControls]: F.PinAllowed,
  [F.PrimaryControls]: F.PrimaryAllowed,
  [F.SecondaryControls]: F.SecondaryAllowed,
  [F.ExitControls]: F.ExitAllowed,
  [F.EntryControls]: F.EntryAllowed,
};
const capability = (field: number): F[] => {
  const msr = allowed[field];
  return [...(msr === undefined ? [] : [msr]), ...(field === F.SecondaryControls ? [F.PrimaryControls] : [])];
};
const controlSection = (field: number): string => (field === F.ExitControls ? EXIT : field === F.EntryControls ? ENTRY : EXECUTION);

/** The controls that make the CPU use an address. */
const users = (field: number): F[] => {
  const first = field === F.IoBitmapA || field === F.IoBitmapB || field === F.MsrBitmap || field === F.VirtualApic;
  return [...(first ? [F.PrimaryControls] : controls), ...(field === F.EptpList ? [F.VmFunctions] : []), F.AddressBits];
};

const counts: Partial<Record<number, F>> = {
  [F.ExitStoreAddress]: F.ExitStoreCount,
  [F.ExitLoadAddress]: F.ExitLoadCount,
  [F.EntryLoadAddress]: F.EntryLoadCount,
};
const area = (field: number): F[] => [counts[field] ?? F.ExitLoadCount, F.AddressBits];
const areaSection = (field: number): string => (field === F.EntryLoadAddress ? ENTRY : EXIT);

export const vmxControls = {
  [VmxRule.ControlMustBeOne]: {
    text: "Every bit of {field} that the capability MSR demands (its low half) must be 1.",
    section: controlSection,
    mistake:
      "The controls were written as wanted, without OR-ing in the low half of the capability MSR (the TRUE one, where there is one).",
    needs: capability,
  },
  [VmxRule.ControlMustBeZero]: {
    text: "No bit of {field} may be 1 that the capability MSR does not allow (its high half).",
    section: controlSection,
    mistake:
      "A feature was switched on that this CPU, or the hypervisor below, does not offer: AND with the high half of the capability MSR.",
    needs: capability,
  },
  [VmxRule.Cr3TargetCount]: {
    text: "The CR3-target count must not exceed what IA32_VMX_MISC bits 24:16 say, usually 4.",
    section: EXECUTION,
    mistake: "The VMCS was not cleared before use, or the count was confused with another field.",
    needs: [F.Misc],
  },
  [VmxRule.Address4K]: {
    text: "{field} is in use, so it must be a multiple of 4096 within the physical-address width.",
    section: EXECUTION,
    mistake: "A virtual address was written where the CPU wants a physical one, or the page is not aligned.",
    needs: users,
  },
  [VmxRule.TprThreshold]: {
    text: "With a TPR shadow and without virtual-interrupt delivery, bits 31:4 of the TPR threshold must be 0.",
    section: EXECUTION,
    mistake: "The threshold was written as a TPR value (bits 7:4) and not as a priority class (bits 3:0).",
    needs: controls,
  },
  [VmxRule.NeedsTprShadow]: {
    text: "Virtualize x2APIC mode, APIC-register virtualization and virtual-interrupt delivery need the TPR shadow.",
    section: EXECUTION,
    mistake: "The secondary controls were taken from another machine's set, and the primary control 'use TPR shadow' was forgotten.",
    needs: [F.PrimaryControls],
  },
  [VmxRule.VirtualNmis]: {
    text: "Virtual NMIs need NMI exiting.",
    section: EXECUTION,
    mistake: "Virtual NMIs (pin control 5) were wanted for the NMI window, without NMI exiting (pin control 3).",
  },
  [VmxRule.NmiWindow]: {
    text: "NMI-window exiting needs virtual NMIs.",
    section: EXECUTION,
    mistake: "The NMI window was opened on a VMCS whose pin controls have no virtual NMIs.",
    needs: [F.PinControls],
  },
  [VmxRule.X2ApicMode]: {
    text: "Virtualize x2APIC mode and virtualize APIC accesses exclude each other.",
    section: EXECUTION,
    mistake: "The guest changed its APIC to x2APIC mode, and the control for the memory-mapped page was left on.",
    needs: [F.PrimaryControls],
  },
  [VmxRule.InterruptDelivery]: {
    text: "Virtual-interrupt delivery needs external-interrupt exiting.",
    section: EXECUTION,
    mistake: "External interrupts were to go to the guest directly, which excludes virtual-interrupt delivery.",
    needs: controls,
  },
  [VmxRule.PostedInterrupts]: {
    text: "Posted interrupts need virtual-interrupt delivery, and the exit control 'acknowledge interrupt on exit'.",
    section: EXECUTION,
    mistake: "One of the three controls in three different fields is missing.",
    needs: [...controls, F.ExitControls],
  },
  [VmxRule.PostedVector]: {
    text: "The posted-interrupt notification vector must be 0 to 255.",
    section: EXECUTION,
    mistake: "The field was left with what another VMCS had, or was written with a descriptor.",
    needs: [F.PinControls],
  },
  [VmxRule.PostedDescriptor]: {
    text: "The posted-interrupt descriptor's address must be a multiple of 64 within the physical-address width.",
    section: EXECUTION,
    mistake: "The descriptor was allocated without alignment, or its virtual address was written.",
    needs: [F.PinControls, F.AddressBits],
  },
  [VmxRule.Vpid]: {
    text: "With 'enable VPID' the VPID must not be 0, which is the host's.",
    section: EXECUTION,
    mistake: "VPIDs were counted from 0, or the field was never written.",
    needs: controls,
  },
  [VmxRule.EptMemoryType]: {
    text: "The EPT pointer's memory type (bits 2:0) must be 0 or 6, and one that IA32_VMX_EPT_VPID_CAP offers.",
    section: EXECUTION,
    mistake: "The root's address was written without 'or 6' (write-back), or EPT is on and the pointer was never written.",
    needs: ept,
  },
  [VmxRule.EptWalkLength]: {
    text: "The EPT pointer's walk length (bits 5:3) must be the levels less 1: 3, or 4 where there are five levels.",
    section: EXECUTION,
    mistake: "For four levels 4 was written, where 3 is right.",
    needs: ept,
  },
  [VmxRule.EptAccessedDirty]: {
    text: "Accessed and dirty flags (EPT pointer bit 6) need IA32_VMX_EPT_VPID_CAP bit 21.",
    section: EXECUTION,
    mistake: "The flags were asked for without a look at the capability.",
    needs: ept,
  },
  [VmxRule.EptReserved]: {
    text: "The EPT pointer's bits 11:7, and those beyond the physical-address width, must be 0.",
    section: EXECUTION,
    mistake: "The root table is not aligned to 4096, or its virtual address was written.",
    needs: [...controls, F.AddressBits],
  },
  [VmxRule.NeedsEpt]: {
    text: "Unrestricted guest, page-modification logging, mode-based execution and sub-page permissions need EPT.",
    section: EXECUTION,
    mistake: "The feature's bit was set in the secondary controls, and 'enable EPT' (bit 1) was not.",
    needs: [F.PrimaryControls],
  },
  [VmxRule.VmFunctions]: {
    text: "VM functions may be those only that IA32_VMX_VMFUNC offers.",
    section: EXECUTION,
    mistake: "A function was switched on that the CPU does not have.",
    needs: [...controls, F.FunctionsAllowed],
  },
  [VmxRule.EptpSwitching]: {
    text: "EPTP switching needs EPT.",
    section: EXECUTION,
    mistake: "VM functions were set up before EPT was.",
    needs: controls,
  },
  [VmxRule.TscMultiplier]: {
    text: "With 'use TSC scaling' the multiplier must not be 0.",
    section: EXECUTION,
    mistake: "The control was switched on and the multiplier never written: 1.0 is 1 << 48.",
    needs: controls,
  },
  [VmxRule.SaveTimer]: {
    text: "The exit control 'save VMX-preemption timer' needs the pin control 'activate VMX-preemption timer'.",
    section: EXIT,
    mistake: "The timer was switched off in the pin controls alone.",
    needs: [F.PinControls],
  },
  [VmxRule.MsrAreaAddress]: {
    text: "{field} has entries, so its address must be a multiple of 16 within the physical-address width.",
    section: areaSection,
    mistake: "The area was allocated without alignment, or its virtual address was written.",
    needs: area,
  },
  [VmxRule.MsrAreaEnd]: {
    text: "The last entry of {field} must lie within the physical-address width.",
    section: areaSection,
    mistake: "The count has not the number of entries but something else, such as bytes.",
    needs: area,
  },
  [VmxRule.EventType]: {
    text: "The type of the injected event (bits 10:8) must not be 1, and be 7 only where the CPU has the monitor trap flag.",
    section: ENTRY,
    mistake: "The type was shifted by the wrong amount, or IDT-vectoring information was copied with what it has besides.",
    needs: [F.PrimaryAllowed],
  },
  [VmxRule.EventVector]: {
    text: "An injected NMI has vector 2, an exception one below 32, and 'other event' 0.",
    section: ENTRY,
    mistake: "The type and the vector are of different events.",
  },
  [VmxRule.EventErrorCode]: {
    text: "An injected event has an error code exactly when it is an exception that delivers one (8, 10 to 14, 17), in protected mode.",
    section: ENTRY,
    mistake: "#PF, #GP or #DF was injected without bit 11, or another event with it; in real mode no exception has one.",
    needs: [...controls, F.GuestCr0, F.Basic],
  },
  [VmxRule.EventReserved]: {
    text: "Bits 30:12 of the entry's interruption information must be 0.",
    section: ENTRY,
    mistake: "Exit interruption information was copied as it was: its bit 12 (NMI unblocking) must be cleared.",
  },
  [VmxRule.EventError]: {
    text: "Bits 31:16 of the injected error code must be 0.",
    section: ENTRY,
    mistake: "The field has the rest of another event, or a sign was extended.",
    needs: [F.EntryInterruption],
  },
  [VmxRule.EventLength]: {
    text: "A software interrupt or exception needs its instruction's length, 1 to 15; 0 where IA32_VMX_MISC bit 30 is set.",
    section: ENTRY,
    mistake: "INT n was injected again from IDT-vectoring information without copying the exit's instruction length.",
    needs: [F.EntryInterruption, F.Misc],
  },
  [VmxRule.Smm]: {
    text: "Entry to SMM and deactivation of dual-monitor treatment are for a monitor that runs in SMM.",
    section: ENTRY,
    mistake: "All allowed bits of the entry controls were set, these too.",
  },
} satisfies Partial<Record<VmxRule, Rule>>;
