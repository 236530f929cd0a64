// The guest's part of a control block, of a vCPU that is in none: what the hypervisor would write into a VMCS or VMCB for these registers, as
// hv/asm/vmx_fields.asm and svm_fields.asm do it (test/contract/snapshots.test.ts compares the two). What belongs to the CPU or to the host is absent:
// explain.ts makes the checks that do not depend on it.

import { Vendor } from "../../../protocol/messages.js";
import { Register } from "../../../protocol/state.js";
import { SvmField, VmxField } from "../../../protocol/vcb.js";
import { transplant } from "../hypervisor/transplant.js";
import { fieldCount, fieldOf } from "./fields.js";
import type { VendorName } from "./rules.js";
import { type EntryState, U64 } from "./state.js";

export interface Vcpu {
  /** by Register */
  registers: bigint[];
  /** ExitField.Inject */
  inject: bigint;
  injectLength: bigint;
  /** of PAE paging, in RAM; empty where there are none */
  pdptes: readonly bigint[];
}

const CR0_PG = 0x8000_0000n;
const CR0_NE = 0x20n;
/** NE, NW, CD: the host's in a VMCS */
const CR0_HOST = 0x6000_0020n;
const CR4_PAE = 0x20n;
const CR4_VMXE = 0x2000n;
const EFER_LMA = 0x400n;
const EFER_SVME = 0x1000n;
const RFLAGS_IF = 0x200n;
/** nested paging (APM vol. 2, 15.25.3) */
const NESTED = 1n;
/** controls (SDM vol. 3, 25.6 and 25.8): virtual NMIs; secondary ones are there; debug registers, PAT and EFER are loaded */
const VIRTUAL_NMIS = 0x28n;
const SECONDARY = 0x8000_0000n;
const EPT = 2n;
const UNRESTRICTED = 0x80n;
const LOAD_STATE = 0xc004n;
const IA32E = 0x200n;
const UNUSABLE = 0x10000n;
const PRESENT = 0x80n;
const LOW_32 = 0xffff_ffffn;

/** Where PAE paging has its four entries, which a VMCS has copies of; undefined: the CPU does not use them. */
export function pdpteAddress({ cr0 = 0n, cr3 = 0n, cr4 = 0n, efer = 0n }: Readonly<Record<string, bigint>>): number | undefined {
  const isUsed = (cr0 & CR0_PG) !== 0n && (cr4 & CR4_PAE) !== 0n && (efer & EFER_LMA) === 0n;
  return isUsed ? Number(cr3 & LOW_32 & ~31n) : undefined;
}

/** As it would be entered on a CPU of that vendor, wherever it comes from. */
export function vcpuState(vendor: VendorName, vcpu: Vcpu): EntryState {
  const here = transplant(vcpu, vendor === "vmx" ? Vendor.Vmx : Vendor.Svm);
  const fields =
    vendor === "vmx" ? { ...registersOf(vendor, "Guest", here), ...vmx(here) } : { ...registersOf(vendor, "", here), ...svm(here) };
  return { vendor, fields: new Map(Object.entries(fields).map(([field, value]) => [Number(field), value])) };
}

/** A row of a CPUID table. */
type CpuidRow = readonly [leaf: number, subleaf: number, eax: number, ebx: number, ecx: number, edx: number];

/** What the hypervisor has in every guest's block, and what the guest's checks hang on: of the controls those bits that decide what a guest may be; of
 *  the CPU what the guest was told of it, which is no more than it has. */
export function takenFields({ vendor, fields }: EntryState, cpuid: readonly CpuidRow[]): ReadonlyMap<number, bigint> {
  const of = (leaf: number): CpuidRow | undefined => cpuid.find(([found, subleaf]) => found === leaf && subleaf === 0);
  const taken: [number, number | bigint | undefined][] =
    vendor === "svm"
      ? [
          [SvmField.NestedControl, NESTED],
          [SvmField.Features1, of(1)?.[4]],
          [SvmField.Features7B, of(7)?.[3]],
          [SvmField.Features7C, of(7)?.[4]],
          [SvmField.FeaturesExtended, of(0x8000_0001)?.[5]],
          [SvmField.FeaturesExtendedC, of(0x8000_0001)?.[4]],
          [SvmField.AddressBits, of(0x8000_0008)?.[2]],
        ]
      : [
          [VmxField.PinControls, VIRTUAL_NMIS],
          [VmxField.PrimaryControls, SECONDARY],
          [VmxField.SecondaryControls, EPT | UNRESTRICTED],
          [VmxField.EntryControls, LOAD_STATE | ((fields.get(VmxField.GuestEfer) ?? 0n) & EFER_LMA ? IA32E : 0n)],
          [VmxField.LinkPointer, U64],
          [VmxField.AddressBits, of(0x8000_0008)?.[2]],
        ];
  return new Map(taken.flatMap(([field, value]): [number, bigint][] => (value === undefined ? [] : [[field, BigInt(value)]])));
}

type Fields = Record<number, bigint>;

/** Those that both forms have as they are. */
function registersOf(vendor: VendorName, prefix: string, { registers }: Vcpu): Fields {
  const fields: Fields = {};
  for (const [register, value] of registers.entries()) {
    const field = fieldOf(vendor, `${prefix}${Register[register]}`);
    if (field !== undefined && field < fieldCount(vendor)) fields[field] = value;
  }
  return fields;
}

const SEGMENTS = ["Es", "Cs", "Ss", "Ds", "Fs", "Gs", "Ldtr", "Tr"] as const;
const attributesOf = ({ registers }: Vcpu, segment: number): bigint => registers[Register.EsAttributes + 4 * segment] ?? 0n;

function vmx(vcpu: Vcpu): Fields {
  const { registers, inject, injectLength, pdptes } = vcpu;
  const get = (register: Register): bigint => registers[register] ?? 0n;
  // STI's shadow needs IF; without it the shadow is MOV SS's (27.3.1.5).
  const shadow = get(Register.InterruptShadow) << (get(Register.Rflags) & RFLAGS_IF ? 0n : 1n);
  const fields: Fields = {
    [VmxField.GuestCr0]: (get(Register.Cr0) & ~CR0_HOST) | CR0_NE,
    [VmxField.GuestCr4]: get(Register.Cr4) | CR4_VMXE,
    [VmxField.GuestDebugctl]: 0n, // guests have none
    [VmxField.Activity]: 0n, // a halted vCPU is not entered
    [VmxField.Interruptibility]: shadow | (get(Register.NmiBlocked) << 3n),
    [VmxField.PendingDebug]: get(Register.PendingDebug),
    [VmxField.EntryInterruption]: inject & LOW_32,
    [VmxField.EntryError]: inject >> 32n,
    [VmxField.EntryLength]: injectLength,
  };
  for (const segment of SEGMENTS.keys()) fields[VmxField.GuestEsAccess + 4 * segment] = attributesOf(vcpu, segment);
  for (const [index, pdpte] of pdptes.entries()) fields[VmxField.Pdpte0 + index] = pdpte;
  return fields;
}

function svm(vcpu: Vcpu): Fields {
  const { registers, inject } = vcpu;
  const fields: Fields = {
    [SvmField.Efer]: (registers[Register.Efer] ?? 0n) | EFER_SVME,
    [SvmField.Cpl]: (attributesOf(vcpu, SEGMENTS.indexOf("Ss")) >> 5n) & 3n,
    [SvmField.EventInjection]: inject,
  };
  for (const segment of SEGMENTS.keys()) {
    const attributes = attributesOf(vcpu, segment);
    const packed = (attributes & 0xffn) | ((attributes >> 4n) & 0xf00n);
    fields[SvmField.EsAccess + 4 * segment] = attributes & UNUSABLE ? packed & ~PRESENT : packed;
  }
  return fields;
}
