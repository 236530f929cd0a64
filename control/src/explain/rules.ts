// The tables of rules as one, by vendor.
import { Vendor } from "../../../protocol/messages.js";
import { SvmRule, VmxRule } from "../../../protocol/rules.js";
import type { Rule } from "./rule.js";
import { svmRules } from "./svmrules.js";
import { vmxControls } from "./vmxcontrols.js";
import { vmxGuest } from "./vmxguest.js";
import { vmxHost } from "./vmxhost.js";

export const vmxRules: Record<Exclude<VmxRule, VmxRule.Count>, Rule> = { ...vmxControls, ...vmxHost, ...vmxGuest };

export const MANUALS = { vmx: "SDM vol. 3", svm: "APM vol. 2" } as const;

export type VendorName = keyof typeof MANUALS;

/** of a hypervisor's hello */
export const vendorNameOf = (vendor: Vendor): VendorName => (vendor === Vendor.Vmx ? "vmx" : "svm");

/** Undefined for a number that no build of this kit sends. */
export function ruleOf(vendor: VendorName, rule: number): Rule | undefined {
  return (vendor === "vmx" ? (vmxRules as Record<number, Rule>) : (svmRules as Record<number, Rule>))[rule];
}

/** Stable: `vmx.Cr4Fixed`. */
export function ruleCode(vendor: VendorName, rule: number): string {
  return `${vendor}.${(vendor === "vmx" ? VmxRule[rule] : SvmRule[rule]) ?? rule}`;
}

export { needsOf, sectionOf } from "./rule.js";
