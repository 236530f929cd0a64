// What changes when a state goes to the other vendor's CPU, and what does not.
import { expect, test } from "vitest";
import type { SavedState } from "../../../control/src/hypervisor/saved.js";
import { transplant } from "../../../control/src/hypervisor/transplant.js";
import { Vendor } from "../../../protocol/messages.js";
import { Register } from "../../../protocol/state.js";

const state = (registers: Partial<Record<Register, bigint>>, inject = 0n): SavedState => ({
  registers: Array.from({ length: Register.Count }, (_, index) => registers[index as Register] ?? 0n),
  inject,
  injectLength: 0,
  halted: false,
  events: 0,
  clockNs: 0n,
  tscKhz: 1,
  cpuModel: "portable",
  cpuid: [],
  fpu: new Uint8Array(512),
  region: new Uint8Array(8),
  consoleInput: [new Uint8Array(), new Uint8Array()],
});
const after = (saved: SavedState, vendor: Vendor): Record<string, bigint> => {
  const { registers, inject } = transplant(saved, vendor);
  return { ...Object.fromEntries(registers.map((value, index) => [Register[index], value]).filter(([, value]) => value !== 0n)), inject };
};

test.each([Vendor.Vmx, Vendor.Svm])("an ordinary state passes unchanged (%i)", (vendor) => {
  const saved = state({ [Register.TrAttributes]: 0x8bn, [Register.Rflags]: 0x202n, [Register.InterruptShadow]: 1n }, 0x80000020n);
  expect(transplant(saved, vendor)).toEqual(saved);
});

test("a task register that the CPU kept as available becomes busy; an unusable one stays", () => {
  expect(after(state({ [Register.TrAttributes]: 0x89n }), Vendor.Vmx)).toEqual({ TrAttributes: 0x8bn, inject: 0n });
  expect(after(state({ [Register.TrAttributes]: 0x81n }), Vendor.Vmx)).toEqual({ TrAttributes: 0x83n, inject: 0n });
  expect(after(state({ [Register.TrAttributes]: 0x10002n }), Vendor.Vmx)).toEqual({ TrAttributes: 0x10002n, inject: 0n });
});

test("SVM: a pending single step is injected, with DR6", () => {
  const saved = state({ [Register.PendingDebug]: 0x4001n, [Register.Dr6]: 0xffff0ff0n });
  expect(after(saved, Vendor.Svm)).toEqual({ Dr6: 0xffff4ff1n, inject: 0x80000301n });
  expect(after(saved, Vendor.Vmx)).toEqual({ Dr6: 0xffff0ff0n, PendingDebug: 0x4001n, inject: 0n });
});

test("SVM: an event that is set already comes before the pending step", () => {
  expect(after(state({ [Register.PendingDebug]: 0x4000n }, 0x80000306n), Vendor.Svm)).toEqual({ inject: 0x80000306n });
});

test("VMX: a single step in an interrupt shadow is pending", () => {
  const saved = state({ [Register.InterruptShadow]: 1n, [Register.Rflags]: 0x302n });
  expect(after(saved, Vendor.Vmx)).toEqual({ InterruptShadow: 1n, Rflags: 0x302n, PendingDebug: 0x4000n, inject: 0n });
  expect(after(saved, Vendor.Svm)).toEqual({ InterruptShadow: 1n, Rflags: 0x302n, inject: 0n });
});
