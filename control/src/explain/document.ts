// The document of api/entrystate.ts: made of what the hypervisor sent, or of what was read from a file, with the checks.

import type { EntryDocument, EntryFinding, EntryStateDocument } from "../api/entrystate.js";
import type { GuestSummary } from "../api/schemas.js";
import { hex } from "../hex.js";
import type { HelloInfo } from "../hypervisor/hypervisor.js";
import type { Failed } from "./checker.js";
import type { Explanation } from "./explain.js";
import { fieldKey, fieldOf } from "./fields.js";
import { vendorNameOf } from "./rules.js";
import type { EntryState } from "./state.js";
import { failureText } from "./texts.js";

const form = { format: "hvkit-entry-state", version: 1 } as const;

export function entryStateOf(
  { id, name, image, end }: GuestSummary,
  { vendor, identity }: Pick<HelloInfo, "vendor" | "identity">,
  values: readonly bigint[],
): EntryStateDocument {
  const of = vendorNameOf(vendor);
  const fields = Object.fromEntries(values.map((value, field) => [fieldKey(of, field), hex(value)]));
  return { ...form, vendor: of, guest: { id, name, image }, build: identity, end, fields };
}

/** A file that is not this kit's says nothing of a guest. */
export function documentOf({ vendor, fields }: EntryState): EntryStateDocument {
  const named = Object.fromEntries([...fields].map(([field, value]) => [fieldKey(vendor, field), hex(value)]));
  return { ...form, vendor, guest: null, build: null, end: null, fields: named };
}

/** Names that this build does not have are left out. */
export function stateOf({ vendor, fields }: EntryStateDocument): EntryState {
  const known = Object.entries(fields).flatMap(([key, value]): [number, bigint][] => {
    const field = fieldOf(vendor, key);
    return field === undefined ? [] : [[field, BigInt(value)]];
  });
  return { vendor, fields: new Map(known) };
}

export function withChecks(document: EntryStateDocument, { vendor, fields }: EntryState, explanation: Explanation): EntryDocument {
  const finding = (failed: Failed): EntryFinding => {
    const text = failureText(vendor, failed, (field) => fields.get(field));
    const values = text.fields.map(({ field, name, value }) => ({
      name: fieldKey(vendor, field),
      text: name,
      value: value === undefined ? null : hex(value),
    }));
    return { rule: text.rule, text: text.text, section: text.section, mistake: text.mistake, fields: values };
  };
  const checks = {
    failed: explanation.failed.map(finding),
    notMade: explanation.notMade.map(finding),
    absent: explanation.absent.map((field) => fieldKey(vendor, field)),
  };
  return { ...document, checks };
}
