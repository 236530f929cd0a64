// Each rule by itself: a good state that is broken in one place fails exactly that rule; each has its text, and each text its rule. And what a
// text says that the check looks at is all that it looks at.
import { describe, expect, test } from "vitest";
import { check } from "../../../control/src/explain/checker.js";
import { explain } from "../../../control/src/explain/explain.js";
import { fieldCount, fieldKey, fieldName, fieldOf } from "../../../control/src/explain/fields.js";
import { needsOf, ruleCode, ruleOf, type VendorName, vmxRules } from "../../../control/src/explain/rules.js";
import { svmRules } from "../../../control/src/explain/svmrules.js";
import { entryFailure, failureText } from "../../../control/src/explain/texts.js";
import { Vendor } from "../../../protocol/messages.js";
import { SvmRule, VmxRule } from "../../../protocol/rules.js";
import { SvmField, VmxField } from "../../../protocol/vcb.js";
import { randomFrom, scaled, seedOf } from "../../support/scale.js";
import { stateWith } from "./states.js";
import { svmCases } from "./svmcases.js";
import { type Case, vmxCases } from "./vmxcases.js";

const vendors: [VendorName, readonly Case[], object, number][] = [
  ["vmx", vmxCases, vmxRules, VmxRule.Count],
  ["svm", svmCases, svmRules, SvmRule.Count],
];

describe.each(vendors)("%s", (vendor, cases, texts, count) => {
  const named = ({ rule, field }: { rule: number; field: number }): string => `${ruleCode(vendor, rule)} ${fieldKey(vendor, field)}`;
  const failedOf = (fields: ReadonlyMap<number, bigint>): string[] => check(vendor, (field) => fields.get(field) ?? 0n).map(named);

  test("a state that the CPU entered passes every check", () => {
    const fields = stateWith(vendor);
    expect(fields.size).toBe(fieldCount(vendor));
    expect(failedOf(fields)).toEqual([]);
    expect(explain({ vendor, fields })).toEqual({ failed: [], notMade: [], absent: [], assumedWidths: undefined });
  });

  test.each(cases.map((each) => [named(each), each] as const))("%s", (name, { before = {}, broken }) => {
    expect(failedOf(stateWith(vendor, before))).toEqual([]);
    expect(failedOf(stateWith(vendor, before, broken))).toEqual([name]);
  });

  test("each rule has a case and a text, and there are no others", () => {
    const numbers = Array.from({ length: count - 1 }, (_, index) => index + 1);
    expect([...new Set(cases.map(({ rule }) => rule))].sort((a, b) => a - b)).toEqual(numbers);
    expect(Object.keys(texts).map(Number)).toEqual(numbers);
  });

  test("each text has a sentence, a section of the manual, and a mistake", () => {
    for (const each of cases) {
      const text = failureText(vendor, each, () => 0n);
      expect(text.text, text.rule).toMatch(/^[A-Z][^{}]{20,}\.$/);
      expect(text.section, text.rule).toMatch(vendor === "vmx" ? /^SDM vol. 3, 27\.[23]\.\d(\.\d)?$/ : /^APM vol. 2, 15\.\d+(\.\d)?$/);
      expect(text.mistake, text.rule).toMatch(/^[A-Z'#].{20,}\.?$/);
      expect(new Set(text.fields.map(({ name }) => name)).size, text.rule).toBe(text.fields.length);
    }
  });

  test("a check looks at no field that its text does not name", () => {
    const random = randomFrom(seedOf(0x5eed));
    const starts = cases.flatMap(({ before = {}, broken }) => [stateWith(vendor, before), stateWith(vendor, before, broken)]);
    for (let round = 0; round < scaled(20_000, 400_000); round++) {
      const fields = new Map(starts[random(starts.length)]);
      const before = new Set(failedOf(fields));
      const changed = random(fieldCount(vendor));
      const old = fields.get(changed) ?? 0n;
      fields.set(changed, random(3) === 0 ? BigInt(random(2)) * 0xffff_ffff_ffff_ffffn : old ^ (1n << BigInt(random(64))));
      const failed = check(vendor, (field) => fields.get(field) ?? 0n);
      const after = new Set(failed.map(named));
      for (const name of [...before, ...after]) {
        if (before.has(name) === after.has(name)) continue;
        const [code = "", key = ""] = name.split(" ");
        const field = fieldOf(vendor, key) ?? -1;
        const rule = Number((vendor === "vmx" ? VmxRule : SvmRule)[code.slice(4) as never]);
        const found = ruleOf(vendor, rule);
        if (!found) throw new Error(name);
        expect([field, ...needsOf(found, field)], `${name} depends on ${fieldKey(vendor, changed)}`).toContain(changed);
      }
    }
  });

  test("each field has a name of its own, in a file and for people", () => {
    const fields = Array.from({ length: fieldCount(vendor) }, (_, field) => field);
    expect(new Set(fields.map((field) => fieldName(vendor, field))).size).toBe(fields.length);
    for (const field of fields) expect(fieldOf(vendor, fieldKey(vendor, field))).toBe(field);
    expect([fieldOf(vendor, "Count"), fieldOf(vendor, "toString"), fieldOf(vendor, "0")]).toEqual([undefined, undefined, undefined]);
  });
});

test("names for people", () => {
  const names = [VmxField.GuestCsAccess, VmxField.HostGdtrBase, VmxField.PinControls, VmxField.EptPointer, VmxField.GuestSysenterEsp];
  expect(names.map((field) => fieldName("vmx", field))).toEqual([
    "guest CS access rights",
    "host GDTR base",
    "pin-based controls",
    "EPT pointer",
    "guest SYSENTER ESP",
  ]);
  expect([SvmField.Efer, SvmField.LdtrLimit].map((field) => fieldName("svm", field))).toEqual(["EFER", "LDTR limit"]);
});

test("the end of a guest has the rule and the value", () => {
  const failure = { rule: VmxRule.Vpid, field: VmxField.Vpid, value: 0n };
  expect(entryFailure(Vendor.Vmx, failure)).toEqual({
    rule: "vmx.Vpid",
    why: "With 'enable VPID' the VPID must not be 0, which is the host's. VPID is 0h.",
  });
  expect(entryFailure(Vendor.Svm, { rule: 999, field: 998, value: 5n })).toEqual({
    rule: "svm.999",
    why: "Rule 999 fails; this build does not know it. Field 998 is 5h.",
  });
});
