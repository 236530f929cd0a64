// Accesses to control registers that exit, XSETBV, and hypercalls.
import { describe, expect, test } from "vitest";
import { CopyRecord, Layout } from "../../../hv/machine/layout.js";
import { EndReason, Vendor } from "../../../protocol/messages.js";
import { Register } from "../../../protocol/state.js";
import { Guest, VENDORS } from "./guest.js";

const GP = { vector: 13, type: 3, error: 0 };

/** MOV to or from CRn, CLTS, LMSW: an exit of either vendor. */
function access(guest: Guest, kind: "write" | "read" | "clts" | "lmsw", cr: number, register = 0): number {
  const rex = (cr >= 8 ? 4 : 0) | (register >= 8 ? 1 : 0);
  const modrm = 0xc0 | ((cr & 7) << 3) | (register & 7);
  const bytes =
    kind === "clts"
      ? [0x0f, 0x06]
      : kind === "lmsw"
        ? [0x0f, 0x01, 0xf0 | register]
        : [...(rex ? [0x40 | rex] : []), 0x0f, kind === "read" ? 0x20 : 0x22, modrm];
  guest.code(bytes);
  const type = { write: 0, read: 1, clts: 2, lmsw: 3 }[kind];
  const word = kind === "lmsw" ? guest.get(register) & 0xffffn : 0n;
  const qualification = BigInt(cr | (type << 4) | (register << 8)) | (word << 16n);
  const code = kind === "read" ? cr : 0x10 + cr;
  return guest.raw(guest.vendor === Vendor.Vmx ? 28 : code, {
    length: bytes.length,
    qualification: guest.vendor === Vendor.Vmx ? qualification : 0n,
  });
}

describe.each(VENDORS)("control registers on %s", (_name, vendor) => {
  test.each([
    [0, Register.Cr0, 0x80010031n],
    [3, Register.Cr3, 0x5000n],
    [4, Register.Cr4, 0x406a0n],
    [8, Register.Cr8, 15n],
  ])("MOV CR%i, and back into R9", (cr, field, value) => {
    const guest = new Guest({ vendor });
    guest.set(Register.Rbx, value);
    access(guest, "write", cr, Register.Rbx);
    expect(guest.get(field)).toBe(value);
    expect(guest.get(Register.Rip)).toBe(cr === 8 ? 0x100004n : 0x100003n);
    guest.set(Register.Rip, 0x100000);
    guest.long();
    // A page map at both values of CR3: SVM fetches the instruction.
    guest.ram.copyWithin(0x5000, 0x1000, 0x2000);
    guest.set(field, value);
    access(guest, "read", cr, 9);
    expect(guest.get(9)).toBe(value);
  });

  test("RSP is a general register too", () => {
    const guest = new Guest({ vendor });
    guest.set(Register.Rsp, 0x7000);
    access(guest, "write", 3, Register.Rsp);
    expect(guest.get(Register.Cr3)).toBe(0x7000n);
  });

  test("32-bit code writes 32 bits", () => {
    const guest = new Guest({ vendor });
    guest.protected();
    guest.set(Register.Rax, 0xdead_0000_0000_4000n);
    access(guest, "write", 3);
    expect(guest.get(Register.Cr3)).toBe(0x4000n);
  });

  test("CLTS clears TS; LMSW loads four bits, and cannot clear PE", () => {
    const guest = new Guest({ vendor });
    guest.set(Register.Cr0, 0x8000001bn);
    access(guest, "clts", 0);
    expect(guest.get(Register.Cr0)).toBe(0x80000013n);
    guest.set(Register.Rip, 0x100000);
    guest.set(Register.Rcx, 0xfffcn);
    access(guest, "lmsw", 0, Register.Rcx);
    expect(guest.get(Register.Cr0)).toBe(0x8000001dn);
  });

  test.each([
    ["CR0 that the CPU refuses: PG without PE", 0, 0x80000000n],
    ["CR4: MCIDE and SMXE, which are not offered", 4, 0x4020n],
    ["CR4: VMXE", 4, 0x2020n],
    ["CR4: PKE", 4, 0x400020n],
    ["CR4: upper half", 4, 0x1_0000_0020n],
    ["CR8 above 15", 8, 16n],
    ["CR1", 1, 0n],
    ["CR5", 5, 0n],
  ])("#GP: %s", (_what, cr, value) => {
    const guest = new Guest({ vendor });
    guest.set(Register.Rax, value);
    access(guest, "write", cr);
    expect(guest.injected).toEqual(GP);
    expect(guest.get(Register.Rip)).toBe(0x100000n);
    expect(guest.get(Register.Rflags) & 0x10000n).toBe(0x10000n);
  });
});

test("SVM: what cannot be decoded ends the guest", () => {
  const guest = new Guest();
  guest.code([0x0f, 0x01, 0x30]);
  guest.raw(0x10);
  expect(guest.ended).toEqual({ reason: EndReason.Undecodable, value: 0x100000n });
});

describe.each(VENDORS)("XSETBV on %s", (_name, vendor) => {
  const setBv = (guest: Guest, value: bigint, index = 0): void => {
    guest.set(Register.Rip, 0x100000);
    guest.set(Register.Rax, value & 0xffffffffn);
    guest.set(Register.Rdx, value >> 32n);
    guest.set(Register.Rcx, index);
    guest.exit("xsetbv", [0x0f, 0x01, 0xd1]);
  };

  test("takes x87, SSE, AVX", () => {
    const guest = new Guest({ vendor });
    for (const value of [1n, 3n, 7n]) {
      setBv(guest, value);
      expect(guest.get(Register.Xcr0)).toBe(value);
      expect(guest.get(Register.Rip)).toBe(0x100003n);
    }
  });

  test("refuses the rest, other registers, and users", () => {
    const guest = new Guest({ vendor });
    for (const [value, index] of [
      [0n, 0],
      [2n, 0],
      [5n, 0],
      [0xfn, 0],
      [0xe7n, 0],
      [(1n << 62n) | 1n, 0],
      [1n, 1],
    ] as const) {
      setBv(guest, value, index);
      expect(guest.injected, String(value)).toEqual(GP);
    }
    guest.set(Register.SsAttributes, 0xc0f3);
    setBv(guest, 3n);
    expect(guest.injected).toEqual(GP);
  });
});

describe.each(VENDORS)("hypercalls on %s", (_name, vendor) => {
  const bytes = vendor === Vendor.Vmx ? [0x0f, 0x01, 0xc1] : [0x0f, 0x01, 0xd9];

  test.each([false, true])("0, 1, and unknown ones (in full: %s)", (full) => {
    const guest = new Guest({ vendor });
    guest.now = 123_456n;
    const call = (number: bigint): bigint => {
      guest.set(Register.Rip, 0x100000);
      guest.set(Register.Rax, number);
      guest.exit("hypercall", bytes, { full });
      expect(guest.get(Register.Rip)).toBe(0x100003n);
      return guest.get(Register.Rax);
    };
    expect(call(0n)).toBe(0n);
    expect(call(0xffff_ffff_0000_0000n)).toBe(0n);
    expect(call(1n)).toBe(123_456n);
    expect(call(4n)).toBe(0xffff_ffff_ffff_ffffn);
  });

  test("2 and 3: which copy it is, and entropy that is there once", () => {
    const guest = new Guest({ vendor });
    const call = (number: number): bigint[] => {
      for (const register of [Register.Rbx, Register.Rcx, Register.Rdx]) guest.set(register, 0x77);
      guest.set(Register.Rax, number);
      guest.exit("hypercall", bytes);
      return [Register.Rax, Register.Rbx, Register.Rcx, Register.Rdx].map((register) => guest.get(register));
    };
    expect(call(2)).toEqual([0n, 0x77n, 0x77n, 0x77n]);
    expect(call(3)).toEqual([0n, 0n, 0n, 0n]);
    const at = (offset: number): DataView => new DataView(guest.machine.memory.buffer, Layout.Copy + offset);
    at(CopyRecord.Generation).setBigUint64(0, 9n, true);
    const words = [1n, 0xffff_ffff_ffff_fff0n, 3n, 1n << 63n];
    for (const [index, word] of words.entries()) at(CopyRecord.Entropy + 8 * index).setBigUint64(0, word, true);
    expect(call(2)[0]).toBe(9n);
    expect(call(3)).toEqual(words);
    expect(call(3)).toEqual([0n, 0n, 0n, 0n]);
    expect(call(2)[0]).toBe(9n);
  });
});
