// For each rule of SVM: a good state, and what breaks exactly that rule on it. A table.
import { SvmRule as R } from "../../../protocol/rules.js";
import { SvmField as F } from "../../../protocol/vcb.js";
import { stateWith } from "./states.js";
import type { Case } from "./vmxcases.js";

const base = stateWith("svm");
const of = (field: F): bigint => base.get(field) ?? 0n;
/** of what the state's CPU has for physical addresses */
const TOP = 1n << (of(F.AddressBits) & 255n);

export const svmCases: Case[] = [
  { rule: R.InterceptVmrun, field: F.Intercepts2, broken: { [F.Intercepts2]: of(F.Intercepts2) & ~1n } },
  { rule: R.Asid, field: F.Asid, broken: { [F.Asid]: 0n } },
  { rule: R.IopmAddress, field: F.IopmBase, broken: { [F.IopmBase]: 1n << 40n } },
  { rule: R.IopmAddress, field: F.IopmBase, before: { [F.IopmBase]: TOP - 0x3000n }, broken: { [F.IopmBase]: TOP - 0x2000n } },
  { rule: R.MsrpmAddress, field: F.MsrpmBase, broken: { [F.MsrpmBase]: 1n << 63n } },
  { rule: R.MsrpmAddress, field: F.MsrpmBase, before: { [F.MsrpmBase]: TOP - 0x2000n }, broken: { [F.MsrpmBase]: TOP - 0x1000n } },
  { rule: R.EventType, field: F.EventInjection, broken: { [F.EventInjection]: 0x8000_0130n } },
  { rule: R.EventVector, field: F.EventInjection, broken: { [F.EventInjection]: 0x8000_0302n } },
  { rule: R.EferSvme, field: F.Efer, broken: { [F.Efer]: 0x500n } },
  { rule: R.EferReserved, field: F.Efer, broken: { [F.Efer]: 0x1502n } },
  { rule: R.EferLongMode, field: F.Efer, broken: { [F.FeaturesExtended]: of(F.FeaturesExtended) & ~(1n << 29n) } },
  { rule: R.Cr0Cache, field: F.Cr0, broken: { [F.Cr0]: of(F.Cr0) | (1n << 29n) } },
  { rule: R.Cr0High, field: F.Cr0, broken: { [F.Cr0]: of(F.Cr0) | (1n << 32n) } },
  { rule: R.Cr3Reserved, field: F.Cr3, broken: { [F.Cr3]: 1n << 40n } },
  { rule: R.Cr4Reserved, field: F.Cr4, broken: { [F.Cr4]: of(F.Cr4) | 0x2000n } },
  { rule: R.Dr6High, field: F.Dr6, broken: { [F.Dr6]: 1n << 32n } },
  { rule: R.Dr7High, field: F.Dr7, broken: { [F.Dr7]: 1n << 63n } },
  { rule: R.LongNeedsPae, field: F.Cr4, broken: { [F.Cr4]: of(F.Cr4) & ~0x20n } },
  { rule: R.LongNeedsProtection, field: F.Cr0, broken: { [F.Cr0]: of(F.Cr0) & ~1n } },
  { rule: R.LongCs, field: F.CsAccess, broken: { [F.CsAccess]: 0xe9bn } },
  {
    rule: R.CetNeedsWriteProtect,
    field: F.Cr0,
    before: { [F.Features7C]: of(F.Features7C) | 0x80n, [F.Cr4]: of(F.Cr4) | 0x80_0000n, [F.Cr0]: of(F.Cr0) | 0x1_0000n },
    broken: { [F.Cr0]: of(F.Cr0) & ~0x1_0000n },
  },
  { rule: R.NestedCr3, field: F.NestedCr3, broken: { [F.NestedCr3]: 1n << 40n } },
  { rule: R.Pat, field: F.Pat, broken: { [F.Pat]: 3n } },
];
