// The checks of an entry in core: a control block in as many replies as it needs, and the rule in the news of a guest whose entry failed.
import { beforeEach, describe, expect, test } from "vitest";
import { EndReason, Event, GuestEndedWords, GuestExplainReply, GuestKind, Op, Status, Vendor } from "../../../protocol/messages.js";
import { Failure, SvmRule } from "../../../protocol/rules.js";
import { Register } from "../../../protocol/state.js";
import { SvmField, VmxField } from "../../../protocol/vcb.js";
import { stateWith } from "../explain/states.js";
import { creation } from "./codec.js";
import { HostFact } from "./facts.js";
import { Rig } from "./rig.js";

const MIB = 1 << 20;
let rig: Rig;
let guest: number;

beforeEach(() => {
  rig = Rig.open();
  guest = Number(rig.ok(Op.GuestCreate, creation(4 * MIB, 0)).words[0]);
  rig.ok(Op.GuestStart, [guest, GuestKind.BootSector, 0, 64, 0]);
  setFields({});
});

/** The rig's host is an AMD. */
function setFields(changes: Record<number, bigint>): void {
  const fields = stateWith("svm", changes);
  rig.host.guest(guest).vcb = Array.from({ length: SvmField.Count }, (_, field) => fields.get(field) ?? 0n);
}

const NO_ASID = SvmRule.Asid | (SvmField.Asid << Failure.FieldShift);

describe("GuestExplain", () => {
  test.each([
    [Vendor.Svm, "svm", SvmField.Count, SvmField.Rip, 1],
    [Vendor.Vmx, "vmx", VmxField.Count, VmxField.GuestRip, 2],
  ] as const)("gives every field once, in as many parts as it needs: vendor %i", (vendor, name, count, rip, expectedParts) => {
    rig.host.facts.set(HostFact.Vendor, BigInt(vendor));
    const fields = stateWith(name);
    rig.host.guest(guest).vcb = Array.from({ length: count }, (_, field) => fields.get(field) ?? 0n);
    const values: bigint[] = [];
    const readings = new Set<bigint>();
    let parts = 0;
    for (; values.length < count; parts++) {
      const { words } = rig.ok(Op.GuestExplain, [guest, values.length]);
      readings.add(words[GuestExplainReply.Reading] ?? -1n);
      expect(words.slice(GuestExplainReply.Failures, GuestExplainReply.Words)).toEqual([0n, 0n, BigInt(count)]);
      values.push(...words.slice(GuestExplainReply.Words));
    }
    expect([parts, readings.size, values.length]).toEqual([expectedParts, 1, count]);
    // RIP is what the next entry puts there: the machine's record has it.
    for (const [field, value] of values.entries()) {
      expect([field, value]).toEqual([field, field === rip ? BigInt(guest * 1000 + Register.Rip) : fields.get(field)]);
    }
  });

  test("tells how many checks fail, and the first", () => {
    setFields({ [SvmField.Asid]: 0n, [SvmField.Dr6]: 1n << 40n });
    const { words } = rig.ok(Op.GuestExplain, [guest, 0]);
    expect(words.slice(GuestExplainReply.Failures, GuestExplainReply.Fields)).toEqual([2n, BigInt(NO_ASID)]);
  });

  test("a reading ends the one before; a field beyond the last gives none", () => {
    const [first] = rig.ok(Op.GuestExplain, [guest, 0]).words;
    const [again] = rig.ok(Op.GuestExplain, [guest, 0]).words;
    expect(again).toBe((first ?? 0n) + 1n);
    expect(rig.ok(Op.GuestExplain, [guest, 70]).words[GuestExplainReply.Reading]).toBe(again);
    for (const from of [SvmField.Count, 2n ** 64n - 1n]) {
      expect(rig.ok(Op.GuestExplain, [guest, from]).words).toHaveLength(GuestExplainReply.Words);
    }
  });

  test("a state that is sound fails nothing", () => {
    expect(rig.ok(Op.GuestExplain, [guest, 0]).words.slice(1, 3)).toEqual([0n, 0n]);
    expect(rig.call(Op.GuestExplain, [7, 0])).toMatchObject({ status: Status.NoSuchGuest, words: [7n] });
  });
});

describe("the news of an end", () => {
  const endedWords = (): bigint[] | undefined => {
    rig.settle();
    return rig.news.find(({ event }) => event === Event.GuestEnded)?.words;
  };

  test("a failed entry has the first failed check and its value", () => {
    setFields({ [SvmField.Cr0]: 0x1_8000_0033n, [SvmField.Asid]: 0n });
    rig.host.end(guest, EndReason.EntryFailed, 0xffff_ffffn);
    const words = endedWords();
    expect(words?.slice(GuestEndedWords.Failure)).toEqual([BigInt(NO_ASID), 0n]);
  });

  test("one that no check explains has none, and neither has any other end", () => {
    rig.host.end(guest, EndReason.EntryFailed, 0xffff_ffffn);
    expect(endedWords()?.slice(GuestEndedWords.Failure)).toEqual([0n, 0n]);
    const other = Number(rig.ok(Op.GuestCreate, creation(4 * MIB, 0)).words[0]);
    rig.ok(Op.GuestStart, [other, GuestKind.BootSector, 0, 64, 0]);
    rig.host.end(other, EndReason.TripleFault, 0n);
    rig.settle();
    expect(rig.news.at(-1)?.words.slice(GuestEndedWords.Failure)).toEqual([0n, 0n]);
  });
});
