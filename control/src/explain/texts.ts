// A failed check as people read it: the rule in a sentence, the fields with their values, the manual's section, the usual mistake.
import type { Vendor } from "../../../protocol/messages.js";
import type { Failed } from "./checker.js";
import { fieldName, showValue } from "./fields.js";
import { MANUALS, needsOf, ruleCode, ruleOf, sectionOf, type VendorName, vendorNameOf } from "./rules.js";

export interface FailureText {
  /** stable: `vmx.Cr4Fixed` */
  rule: string;
  text: string;
  section: string;
  mistake: string;
  /** the field that failed first, then what the check looks at besides */
  fields: { field: number; name: string; value: bigint | undefined }[];
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

export function failureText(vendor: VendorName, { rule, field }: Failed, value: (field: number) => bigint | undefined): FailureText {
  const code = ruleCode(vendor, rule);
  const found = ruleOf(vendor, rule);
  const named = (each: number): FailureText["fields"][number] => ({ field: each, name: fieldName(vendor, each), value: value(each) });
  if (!found) {
    return { rule: code, text: `Rule ${rule} fails; this build does not know it.`, section: "", mistake: "", fields: [named(field)] };
  }
  return {
    rule: code,
    text: capital(found.text.replaceAll("{field}", fieldName(vendor, field))),
    section: `${MANUALS[vendor]}, ${sectionOf(found, field)}`,
    mistake: found.mistake,
    fields: [...new Set([field, ...needsOf(found, field)])].map(named),
  };
}

/** Why an entry failed, for `ps` and the end of a guest. */
export function failureSentence(vendor: VendorName, failed: Failed, value: bigint): string {
  return `${failureText(vendor, failed, () => undefined).text} ${capital(fieldName(vendor, failed.field))} is ${showValue(value)}.`;
}

/** What the end of a guest says of it. */
export function entryFailure(vendor: Vendor, { value, ...failed }: Failed & { value: bigint }): { rule: string; why: string } {
  const name = vendorNameOf(vendor);
  return { rule: ruleCode(name, failed.rule), why: failureSentence(name, failed, value) };
}
