// The fields of protocol/vcb.ts by name: as files have them (the enums' own), and as people read them.
import { SvmField, VmxField } from "../../../protocol/vcb.js";
import type { VendorName } from "./rules.js";

const count: Record<VendorName, number> = { vmx: VmxField.Count, svm: SvmField.Count };

export const fieldCount = (vendor: VendorName): number => count[vendor];

/** As in a file: `GuestCr4`. */
export function fieldKey(vendor: VendorName, field: number): string {
  return (vendor === "vmx" ? VmxField[field] : SvmField[field]) ?? `field${field}`;
}

/** The number of a name in a file; undefined for one that there is not. */
export function fieldOf(vendor: VendorName, key: string): number | undefined {
  const members: Record<string, unknown> = vendor === "vmx" ? VmxField : SvmField;
  const field = Object.hasOwn(members, key) ? members[key] : undefined;
  return typeof field === "number" && field < count[vendor] ? field : undefined;
}

/** Names that the rule below does not make. */
const names: Record<string, string> = {
  PinControls: "pin-based controls",
  PrimaryControls: "primary processor-based controls",
  SecondaryControls: "secondary processor-based controls",
  Cr3TargetCount: "CR3-target count",
  PostedVector: "posted-interrupt notification vector",
  PostedDescriptor: "posted-interrupt descriptor address",
  VirtualApic: "virtual-APIC address",
  ApicAccess: "APIC-access address",
  VmFunctions: "VM-function controls",
  EptpList: "EPTP-list address",
  VmreadBitmap: "VMREAD-bitmap address",
  VmwriteBitmap: "VMWRITE-bitmap address",
  VirtualizationException: "virtualization-exception information address",
  IoBitmapA: "I/O-bitmap A address",
  IoBitmapB: "I/O-bitmap B address",
  MsrBitmap: "MSR-bitmap address",
  ExitStoreCount: "exit MSR-store count",
  ExitStoreAddress: "exit MSR-store address",
  ExitLoadCount: "exit MSR-load count",
  ExitLoadAddress: "exit MSR-load address",
  EntryLoadCount: "entry MSR-load count",
  EntryLoadAddress: "entry MSR-load address",
  EntryInterruption: "entry interruption information",
  EntryError: "entry exception error code",
  EntryLength: "entry instruction length",
  GuestDebugctl: "guest IA32_DEBUGCTL",
  Activity: "guest activity state",
  Interruptibility: "guest interruptibility state",
  PendingDebug: "guest pending debug exceptions",
  LinkPointer: "VMCS link pointer",
  VmcsAddress: "address of this VMCS",
  Basic: "IA32_VMX_BASIC",
  PinAllowed: "IA32_VMX_TRUE_PINBASED_CTLS",
  PrimaryAllowed: "IA32_VMX_TRUE_PROCBASED_CTLS",
  SecondaryAllowed: "IA32_VMX_PROCBASED_CTLS2",
  ExitAllowed: "IA32_VMX_TRUE_EXIT_CTLS",
  EntryAllowed: "IA32_VMX_TRUE_ENTRY_CTLS",
  Misc: "IA32_VMX_MISC",
  Cr0Fixed0: "IA32_VMX_CR0_FIXED0",
  Cr0Fixed1: "IA32_VMX_CR0_FIXED1",
  Cr4Fixed0: "IA32_VMX_CR4_FIXED0",
  Cr4Fixed1: "IA32_VMX_CR4_FIXED1",
  EptVpid: "IA32_VMX_EPT_VPID_CAP",
  FunctionsAllowed: "IA32_VMX_VMFUNC",
  AddressBits: "CPUID 80000008h EAX (address widths)",
  InterceptCr: "intercepts of CR accesses",
  InterceptDr: "intercepts of DR accesses",
  InterceptExceptions: "intercepts of exceptions",
  Intercepts1: "intercepts, first word",
  Intercepts2: "intercepts, second word",
  IopmBase: "IOPM_BASE_PA",
  MsrpmBase: "MSRPM_BASE_PA",
  TlbControl: "TLB_CONTROL",
  VIntr: "virtual interrupt control",
  NestedControl: "nested paging control",
  NestedCr3: "nested CR3",
  EventInjection: "EVENTINJ",
  Features1: "CPUID 1 ECX",
  Features7B: "CPUID 7 EBX",
  Features7C: "CPUID 7 ECX",
  FeaturesExtended: "CPUID 80000001h EDX",
  FeaturesExtendedC: "CPUID 80000001h ECX",
  SvmFeatures: "CPUID 8000000Ah EDX",
  AsidCount: "CPUID 8000000Ah EBX (number of ASIDs)",
};

/** Words that stay words; all others are registers and abbreviations, in capitals. */
const WORDS = /^(Guest|Host|Selector|Base|Limit|Access|Exception|Bitmap|Threshold|Pointer|Address|Multiplier|Exit|Reason|Qualification)$/;
const WORDS_OF_ENTRY = /^(Controls|Entry|Interrupt|Shadow|Code|Info1|Info2)$/;

/** As people read it: `guest CS base`. */
export function fieldName(vendor: VendorName, field: number): string {
  if (field >= fieldCount(vendor)) return `field ${field}`;
  const key = fieldKey(vendor, field);
  const made = (key.match(/[A-Z][a-z0-9]*/g) ?? [key]).map((word) =>
    WORDS.test(word) || WORDS_OF_ENTRY.test(word) ? word.toLowerCase() : word.toUpperCase(),
  );
  return names[key] ?? made.join(" ").replace(/access$/, "access rights");
}

/** As all of hvkit's texts have numbers. */
export const showValue = (value: bigint): string => `${value.toString(16).toUpperCase()}h`;
