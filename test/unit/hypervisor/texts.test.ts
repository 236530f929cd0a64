import { describe, expect, it } from "vitest";
import * as texts from "../../../control/src/hypervisor/texts.js";
import { EndReason, Feature, RunState, Status, Vendor } from "../../../protocol/messages.js";
import { ExitReason, Register } from "../../../protocol/state.js";

const members = (of: Record<string, string | number>): number[] => Object.values(of).filter((value) => typeof value === "number");

describe("texts", () => {
  it("has a sentence for each failed Status, for any evidence", () => {
    for (const status of members(Status)) {
      if (status === Status.Ok) continue;
      for (const words of [[], [1n], [0xffff_ffff_ffff_ffffn, 2n]]) {
        const error = texts.statusError("GuestStart", status, words);
        expect(error.message, Status[status]).toMatch(/^[A-Z0-9].*[.:]?$/);
        expect(error.code).toMatch(/^E_HV_[A-Z0-9_]+$/);
      }
    }
    expect(texts.statusError("GuestStart", 999, [])).toMatchObject({ code: "E_HV_UNKNOWN_STATUS", data: { statusName: null } });
  });

  it("has stable codes", () => {
    const code = (status: Status): string => texts.statusCode(status);
    expect([code(Status.NoMemory), code(Status.LinuxNot64Bit), code(Status.BootSectorNoSignature), code(Status.ElfNoRoom)]).toEqual([
      "E_HV_NO_MEMORY",
      "E_HV_LINUX_NOT_64_BIT",
      "E_HV_BOOT_SECTOR_NO_SIGNATURE",
      "E_HV_ELF_NO_ROOM",
    ]);
    const all = members(Status).map(code);
    expect(new Set(all).size).toBe(all.length);
  });

  it("has a code and a sentence for each EndReason", () => {
    const codes = members(EndReason).map((reason) => {
      expect(texts.describeEnd(reason, 3n), EndReason[reason]).toMatch(/^[A-Z].*\.$/);
      return texts.endReasonCode(reason);
    });
    expect(new Set(codes).size).toBe(codes.length);
    expect(codes.every((code) => /^[a-z]+(-[a-z]+)*$/.test(code))).toBe(true);
    expect(texts.endReasonCode(EndReason.TripleFault)).toBe("triple-fault");
    expect(texts.describeEnd(EndReason.UnbackedMemory, 0xfee00000n)).toContain("FEE00000h");
    const entries = [0x8000_0021n, 0x8000_0030n, 7n, 99n, 0xffff_ffffn].map((value) => texts.describeEnd(EndReason.EntryFailed, value));
    expect(entries.map((text) => text.replace("The CPU refused to enter the guest: ", ""))).toEqual([
      "exit reason 33, invalid guest state.",
      "exit reason 48.",
      "VM-instruction error 7, invalid control fields.",
      "VM-instruction error 99.",
      "VMEXIT_INVALID.",
    ]);
    expect([texts.endReasonCode(200), texts.describeEnd(200, 1n)]).toEqual(["unknown-200", "It ended for unknown reason 200 (1h)."]);
  });

  it("has a name for each exit reason, run state, vendor, feature and register", () => {
    for (const reason of members(ExitReason)) if (reason !== ExitReason.Count) expect(texts.exitReasonName(reason)).not.toMatch(/^reason-/);
    for (const state of members(RunState)) expect(texts.runStateName(state)).not.toMatch(/^state-/);
    for (const vendor of members(Vendor)) expect(texts.vendorName(vendor)).not.toMatch(/^vendor-/);
    expect(texts.featureList(members(Feature).reduce((sum, bit) => sum | bit, 0))).toHaveLength(members(Feature).length);
    expect([texts.exitReasonName(99), texts.runStateName(99), texts.vendorName(99)]).toEqual(["reason-99", "state-99", "vendor-99"]);
    expect(
      [Register.Rax, Register.CsSelector, Register.GdtrBase, Register.KernelGsBase, 300].map((each) => texts.registerName(each)),
    ).toEqual(["rax", "cs.selector", "gdtr.base", "kernelGsBase", "register300"]);
  });
});
