// Files: KVM's dumps in logs of every kind, JSON, and what is neither.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { explain } from "../../../control/src/explain/explain.js";
import { fieldKey } from "../../../control/src/explain/fields.js";
import { readState } from "../../../control/src/explain/read.js";
import { ruleCode } from "../../../control/src/explain/rules.js";
import { SvmField as S, SvmField, VmxField as V, VmxField } from "../../../protocol/vcb.js";
import { type Age, svmLog, vmxLog } from "./kvmlog.js";
import { stateText, stateWith } from "./states.js";

const logs = { vmx: vmxLog, svm: svmLog };
const prefixes: [string, (line: string, index: number) => string][] = [
  ["nothing before the lines", (line) => line],
  ["dmesg's times", (line, index) => `[ 1234.${String(500000 + index)}] kvm_intel: ${line}`],
  ["journalctl's dates and hosts", (line) => `Nov 26 21:00:00 lab-7 kernel: kvm_amd: ${line}`],
  ["a serial console's levels and carriage returns", (line) => `<3>[    0.000001] ${line}\r`],
  ["a quotation", (line) => `> > ${line}`],
];

describe.each(["vmx", "svm"] as const)("a kernel's log: %s", (vendor) => {
  const fields = stateWith(vendor, vendor === "vmx" ? { [V.EntryInterruption]: 0x8000_0b0en } : { [S.EventInjection]: 0x5_8000_0b0en });

  test.each(prefixes)("with %s, old or new", (_what, before) => {
    for (const age of ["new", "old"] satisfies Age[]) {
      const text = ["something else: RIP = 0x1", "cr0: 12", ...logs[vendor](fields, age)].map(before).concat("").join("\n");
      const read = readState(text, "log");
      expect([read.vendor, read.dumps]).toEqual([vendor, 1]);
      for (const [field, value] of read.fields)
        expect([fieldKey(vendor, field), value]).toEqual([fieldKey(vendor, field), fields.get(field)]);
      expect(read.fields.size).toBe(vendor === "vmx" ? 86 : 66);
    }
  });

  test("finds what is wrong, and says what it cannot know", () => {
    const broken = stateWith(vendor, vendor === "vmx" ? { [V.GuestTrAccess]: 0x89n } : { [S.Efer]: 0x500n });
    const read = readState(`${logs[vendor](broken).join("\n")}\n`, "log");
    const { failed, notMade, absent, assumedWidths } = explain(read);
    expect(failed.map(({ rule }) => ruleCode(vendor, rule))).toEqual([vendor === "vmx" ? "vmx.TrType" : "svm.EferSvme"]);
    expect(assumedWidths).toEqual({ physical: 52, linear: 48 });
    const open = new Set(notMade.map(({ rule }) => ruleCode(vendor, rule)));
    if (vendor === "vmx") {
      for (const rule of ["ControlMustBeOne", "Cr0Fixed", "Cr4Fixed", "EptMemoryType", "LinkAddress"])
        expect(open).toContain(`vmx.${rule}`);
      expect(open).not.toContain("vmx.ActivityKind");
    } else expect([...open].sort()).toEqual(["svm.EferLongMode"]);
    expect(absent).toContain(vendor === "vmx" ? VmxField.PinAllowed : SvmField.FeaturesExtended);
    for (const { lacks } of notMade) expect(lacks.length).toBeGreaterThan(0);
  });

  test("of several dumps the last counts; one that is cut short has what it has", () => {
    const whole = logs[vendor](fields);
    const two = readState(
      [...whole, ...logs[vendor](stateWith(vendor, { [vendor === "vmx" ? V.GuestRip : S.Rip]: 0x77n }))].join("\n"),
      "log",
    );
    expect([two.dumps, two.fields.get(vendor === "vmx" ? V.GuestRip : S.Rip)]).toEqual([2, 0x77n]);
    const cut = readState(whole.slice(0, 12).join("\n"), "log");
    expect(cut.fields.size).toBeGreaterThan(3);
    expect(explain(cut).failed).toEqual([]);
    expect(explain(cut).notMade.length).toBeGreaterThan(10);
  });

  test("one that is cut within a number has what is before it: wherever it ends, no check fails", () => {
    const text = logs[vendor](stateWith(vendor)).join("\n");
    const begins = text.search(vendor === "vmx" ? "CR0: actual" : "cr_read");
    for (let end = begins + 40; end < text.length; end += 7) {
      const { failed } = explain(readState(text.slice(0, end), "log"));
      expect([text.slice(end - 20, end), failed.map(({ rule }) => ruleCode(vendor, rule))]).toEqual([text.slice(end - 20, end), []]);
    }
  });
});

describe("JSON", () => {
  test("this kit's own document, and any with field names", () => {
    expect(readState(stateText("vmx"), "file").fields).toEqual(stateWith("vmx"));
    const read = readState('{"vendor": "vmx", "fields": {"GuestCr0": "0x31", "GuestCr4": "2020h", "Vpid": 0}}', "file");
    expect([...read.fields]).toEqual([
      [V.GuestCr0, 0x31n],
      [V.GuestCr4, 0x2020n],
      [V.Vpid, 0n],
    ]);
    expect(readState('{"vendor": "svm", "guest": {"name": "we\\u001bb"}, "fields": {"Asid": 1}}', "file").guest).toBe("we?b");
  });

  test("two fields are enough to find what is wrong with them", () => {
    const { failed } = explain(readState('{"vendor": "vmx", "fields": {"GuestRflags": 0, "EptPointer": "0x1000"}}', "file"));
    expect(failed.map(({ rule }) => ruleCode("vmx", rule))).toEqual(["vmx.RflagsReserved"]);
  });
});

describe("what is no state", () => {
  test.each([
    ["nothing", "", "has no dump"],
    ["another text", "hello\nworld\n", "has no dump"],
    ["a program", "\x7fELF\x02\x01\0\0\0", "is not text"],
    ["a heading alone", "*** Guest State ***\n", "ends before its first field"],
    ["half a document", '{"vendor": "vmx", "fields": {"GuestCr0"', "is not whole JSON"],
    ["another document", '{"format": "hvkit-snapshot", "vendor": "vmx", "fields": {}}', "another document"],
    ["a later version", '{"version": 2, "vendor": "vmx", "fields": {}}', "has version 2"],
    ["nobody's", '{"fields": {"GuestCr0": "0x1"}}', "whose state"],
    ["no fields", '{"vendor": "svm"}', 'has no "fields"'],
    ["a list", '{"vendor": "svm", "fields": []}', 'has no "fields"'],
    ["empty fields", '{"vendor": "svm", "fields": {}}', "has no field"],
    ["the other vendor's field", '{"vendor": "svm", "fields": {"GuestCr0": "0x1"}}', '"GuestCr0", which is none of'],
    ["a field of every object's", '{"vendor": "svm", "fields": {"constructor": "0x1"}}', '"constructor", which is none of'],
    ["65 bits", '{"vendor": "svm", "fields": {"Cr0": "0x10000000000000000"}}', "not a number of 64 bits"],
    ["a fraction", '{"vendor": "svm", "fields": {"Cr0": 1.5}}', "not a number of 64 bits"],
    ["a negative number", '{"vendor": "svm", "fields": {"Cr0": -1}}', "not a number of 64 bits"],
    ["no number", '{"vendor": "svm", "fields": {"Cr0": {"a": 1}}}', "not a number of 64 bits"],
  ])("%s", (_what, text, message) => {
    expect(() => readState(text, "the file")).toThrow(
      expect.objectContaining({ code: "E_ENTRY_STATE", message: expect.stringContaining(message) }),
    );
  });

  test("whatever a file has in it, it is read or refused", () => {
    const lines = [...vmxLog(stateWith("vmx")), ...svmLog(stateWith("svm"))];
    const line = fc.oneof(fc.constantFrom(...lines), fc.string());
    fc.assert(
      fc.property(fc.array(fc.tuple(line, fc.nat(120)), { maxLength: 40 }), (parts) => {
        const text = parts.map(([part, cut]) => (cut < 60 ? part.slice(0, cut) : part)).join("\n");
        try {
          explain(readState(text, "file"));
        } catch (error) {
          expect(error).toMatchObject({ code: "E_ENTRY_STATE" });
        }
      }),
      { numRuns: 300 },
    );
  });
});
