// Intel VMX: the rules for the host's state, and those that the guest's shares with it (SDM vol. 3, 27.2.2 to 27.2.4, 27.3.1; 325462-083). A
// table.
import { VmxRule } from "../../../protocol/rules.js";
import { VmxField as F } from "../../../protocol/vcb.js";
import type { Rule } from "./rule.js";

const HOST_REGISTERS = "27.2.2";
const HOST_SEGMENTS = "27.2.3";
const ADDRESS_SPACE = "27.2.4";
const REGISTERS = "27.3.1.1";

const isHost = (field: number): boolean => field >= F.HostCr0 && field <= F.HostRip;
const registers = (field: number): string => (isHost(field) ? HOST_REGISTERS : REGISTERS);

function canonicalSection(field: number): string {
  if (field === F.HostRip) return ADDRESS_SPACE;
  if (field >= F.HostFsBase && field <= F.HostIdtrBase) return HOST_SEGMENTS;
  if (field === F.GuestGdtrBase || field === F.GuestIdtrBase) return "27.3.1.3";
  return field >= F.GuestEsSelector && field <= F.GuestTrAccess ? "27.3.1.2" : registers(field);
}

/** What an entry or exit loads, when the controls say so. */
const loads = (field: number): F[] => [isHost(field) ? F.ExitControls : F.EntryControls];
const unrestricted = (field: number): F[] => (isHost(field) ? [] : [F.PrimaryControls, F.SecondaryControls]);

export const vmxHost = {
  [VmxRule.Cr0Fixed]: {
    text: "{field} must have the bits of IA32_VMX_CR0_FIXED0, and none beyond IA32_VMX_CR0_FIXED1; PE and PG are free for an unrestricted guest.",
    section: registers,
    mistake:
      "The guest's CR0 was written as the guest has it: NE must be 1 (hide it with mask and shadow), and PE and PG need 'unrestricted guest'.",
    needs: (field) => [F.Cr0Fixed0, F.Cr0Fixed1, ...unrestricted(field)],
  },
  [VmxRule.Cr4Fixed]: {
    text: "{field} must have the bits of IA32_VMX_CR4_FIXED0 (VMXE is one), and none beyond IA32_VMX_CR4_FIXED1.",
    section: registers,
    mistake:
      "The guest's CR4 was written as the guest has it: VMXE must be 1 (hide it with mask and shadow); or a feature was set that the CPU lacks.",
    needs: [F.Cr4Fixed0, F.Cr4Fixed1],
  },
  [VmxRule.Cr3Width]: {
    text: "{field} must have no bit beyond the physical-address width.",
    section: registers,
    mistake: "A virtual address was written, or bit 63 of a MOV to CR3 (no flush of this PCID) was kept.",
    needs: [F.AddressBits],
  },
  [VmxRule.Canonical]: {
    text: "{field} must be canonical: all bits beyond the linear-address width alike.",
    section: canonicalSection,
    mistake: "A 32-bit value was written over one half, a sign was not extended, or the field was never written.",
    needs: (field) => [F.AddressBits, ...(field === F.GuestLdtrBase ? [F.GuestLdtrAccess] : [])],
  },
  [VmxRule.Pat]: {
    text: "Each of the eight bytes of {field} must be a memory type: 0, 1, 4, 5, 6 or 7.",
    section: registers,
    mistake: "'Load IA32_PAT' is on and the field has what was in the VMCS page, or the two halves were exchanged.",
    needs: loads,
  },
  [VmxRule.EferReserved]: {
    text: "{field} may have SCE, LME, LMA and NXE only: bits 0, 8, 10 and 11.",
    section: registers,
    mistake: "SVM's EFER was written (SVME is bit 12), or a value that the guest gave was not checked.",
    needs: loads,
  },
  [VmxRule.HostEferMode]: {
    text: "LMA and LME of host EFER must both be what the exit control 'host address-space size' says.",
    section: HOST_REGISTERS,
    mistake: "EFER was read before long mode was entered, or the exit control (bit 9) was forgotten.",
    needs: [F.ExitControls],
  },
  [VmxRule.HostSelectorBits]: {
    text: "{field} must have RPL 0 and TI 0: bits 2:0 are 0.",
    section: HOST_SEGMENTS,
    mistake: "DS, ES, FS or GS was stored as it was, with a user's selector in it: write 0, or mask with F8h.",
  },
  [VmxRule.HostSelectorZero]: {
    text: "{field} must not be 0.",
    section: HOST_SEGMENTS,
    mistake: "The host runs without a TSS: load one (LTR) before the first entry, for exits need it.",
  },
  [VmxRule.HostLongMode]: {
    text: "A 64-bit host must have the exit control 'host address-space size' (bit 9).",
    section: ADDRESS_SPACE,
    mistake: "The exit controls were taken from a 32-bit example.",
  },
  [VmxRule.HostPae]: {
    text: "A 64-bit host's CR4 must have PAE.",
    section: ADDRESS_SPACE,
    mistake: "Host CR4 was composed by hand and not read from the register.",
  },
} satisfies Partial<Record<VmxRule, Rule>>;
