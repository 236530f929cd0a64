// SVM without next RIP: lengths are found by fetching the instruction through the guest's segments and pages. What is remembered must
// never be believed when it has changed.
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { Verdict } from "../../../hv/machine/layout.js";
import { EndReason } from "../../../protocol/messages.js";
import { ExitField, Register } from "../../../protocol/state.js";
import { Guest, type RAW } from "./guest.js";

const INSTRUCTIONS: readonly [keyof typeof RAW, readonly number[]][] = [
  ["cpuid", [0x0f, 0xa2]],
  ["rdmsr", [0x0f, 0x32]],
  ["wrmsr", [0x0f, 0x30]],
  ["hlt", [0xf4]],
  ["hypercall", [0x0f, 0x01, 0xd9]],
  ["xsetbv", [0x0f, 0x01, 0xd1]],
  ["invd", [0x0f, 0x08]],
  ["wbinvd", [0x0f, 0x09]],
  ["pause", [0xf3, 0x90]],
];
const LEGACY = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf2, 0xf3];

/** Executes it, with arguments that none of them refuses: how far RIP went. */
function advance(guest: Guest, name: keyof typeof RAW, bytes: readonly number[]): number {
  const before = guest.get(Register.Rip);
  guest.set(Register.Rcx, name === "xsetbv" ? 0 : 0x8b);
  guest.set(Register.Rax, 1);
  guest.set(Register.Rdx, 0);
  guest.exit(name, bytes);
  return Number(guest.get(Register.Rip) - before);
}

describe.each([
  ["64-bit", (guest: Guest): void => guest.long()],
  ["32-bit", (guest: Guest): void => guest.protected()],
  ["16-bit", (guest: Guest): void => guest.real()],
])("%s code", (mode, enter) => {
  test.each(INSTRUCTIONS)("%s, prefixed", (name, bytes) => {
    const guest = new Guest();
    for (const prefixes of [[], [0x66], [0x2e, 0x67], [0x64, 0x66, 0x67, 0xf2], ...(mode === "64-bit" ? [[0x4f], [0x66, 0x48]] : [])]) {
      enter(guest);
      expect(advance(guest, name, [...prefixes, ...bytes])).toBe(prefixes.length + bytes.length);
    }
  });

  const guest = new Guest();
  property.prop(
    [fc.constantFrom(...INSTRUCTIONS), fc.array(fc.constantFrom(...LEGACY), { maxLength: 12 }), fc.integer({ min: 0, max: 0x1fff })],
    {
      numRuns: 100,
    },
  )("any of them, anywhere", ([name, bytes], prefixes, offset) => {
    enter(guest);
    guest.set(Register.Rip, guest.get(Register.Rip) + BigInt(offset));
    expect(advance(guest, name, [...prefixes, ...bytes])).toBe(prefixes.length + bytes.length);
  });
});

test("CS has a base outside of 64-bit mode, and addresses wrap at 4 GiB", () => {
  const guest = new Guest();
  guest.real();
  guest.set(Register.CsBase, 0xffff0000);
  guest.set(Register.Rip, 0x1fffe);
  guest.ram.set([0x0f, 0xa2], 0xfffe);
  guest.raw(guest.reason("cpuid"));
  expect(guest.get(Register.Rip)).toBe(0x20000n);
});

test("a carry out of 32 bits stays within them outside of 64-bit mode", () => {
  const guest = new Guest();
  guest.protected();
  guest.set(Register.CsBase, 0x100000);
  guest.set(Register.Rip, 0xfffffffe);
  guest.ram.set([0x0f, 0xa2], 0xffffe);
  guest.raw(guest.reason("cpuid"));
  expect(guest.get(Register.Rip)).toBe(0n);
});

test("64-bit code high up, and across 4 GiB", () => {
  const guest = new Guest();
  for (const rip of [0xffff_8000_0010_0000n, 0xffff_fffen]) {
    guest.ram.writeBigUInt64LE(0x2023n, 0x1000 + 256 * 8);
    guest.ram.writeBigUInt64LE(0x3023n, 0x2000 + 3 * 8);
    guest.ram.writeBigUInt64LE(0xe3n, 0x3000 + 511 * 8);
    guest.set(Register.Rip, rip);
    guest.ram.set([0x0f, 0xa2], Number(rip & 0x1fffffn));
    guest.raw(guest.reason("cpuid"));
    expect(guest.get(Register.Rip)).toBe(rip + 2n);
  }
});

describe("an instruction on two pages", () => {
  test("whose frames lie apart", () => {
    const guest = new Guest();
    guest.ram.writeBigUInt64LE(0x4023n, 0x3000);
    guest.ram.writeBigUInt64LE(0x9023n, 0x4000 + 0x100 * 8);
    guest.ram.writeBigUInt64LE(0x7023n, 0x4000 + 0x101 * 8);
    guest.ram.set([0x66], 0x9fff);
    guest.ram.set([0x0f, 0xa2], 0x7000);
    for (let round = 0; round < 2; round++) {
      guest.set(Register.Rip, 0x100fff);
      guest.raw(guest.reason("cpuid"));
      expect(guest.get(Register.Rip)).toBe(0x101002n);
    }
  });

  test("of which the second is not there", () => {
    const guest = new Guest();
    guest.ram.writeBigUInt64LE(0n, 0x3008);
    guest.set(Register.Rip, 0x1fffff);
    guest.ram[0x1fffff] = 0x0f;
    expect(guest.raw(guest.reason("cpuid"))).toBe(Verdict.Stop);
    expect(guest.ended).toEqual({ reason: EndReason.Undecodable, value: 0x1fffffn });
  });
});

test("users' code is fetched too, whatever SMAP and SMEP say", () => {
  const guest = new Guest();
  guest.ram.writeBigUInt64LE(0x2027n, 0x1000);
  guest.ram.writeBigUInt64LE(0x3027n, 0x2000);
  guest.ram.writeBigUInt64LE(0xe7n, 0x3000);
  guest.set(Register.Cr4, 0x300020);
  guest.set(Register.SsAttributes, 0xc0f3);
  expect(advance(guest, "cpuid", [0x0f, 0xa2])).toBe(2);
});

test.each([
  ["too long", "cpuid", [...new Array<number>(14).fill(0x66), 0x0f, 0xa2]],
  ["another instruction", "rdmsr", [0x0f, 0xa2]],
  ["REX before the opcode's second byte", "cpuid", [0x0f, 0x48, 0xa2]],
] as const)("not decodable: %s", (_what, name, bytes) => {
  const guest = new Guest();
  guest.set(Register.Rcx, 0x8b);
  expect(guest.exit(name, bytes)).toBe(Verdict.Stop);
  expect(guest.ended?.reason).toBe(EndReason.Undecodable);
});

test("LOCK before an instruction that exits is #UD, where the CPU lets the intercept come first", () => {
  const guest = new Guest();
  expect(guest.exit("cpuid", [0xf0, 0x0f, 0xa2])).toBe(Verdict.Resume);
  expect(guest.get(ExitField.Inject)).toBe(0x80000306n);
});

test("a WRMSR that ends NXE is fetched by the walk before it", () => {
  const guest = new Guest();
  guest.set(Register.Efer, 0xd00);
  guest.ram.writeBigUInt64LE((1n << 63n) | 0xe3n, 0x3000);
  guest.set(Register.Rcx, 0xc0000080);
  guest.set(Register.Rax, 0x500);
  guest.set(Register.Rdx, 0);
  expect(guest.exit("wrmsr", [0x0f, 0x30])).toBe(Verdict.Resume);
  expect([guest.get(Register.Efer), guest.get(Register.Rip)]).toEqual([0x500n, 0x100002n]);
});

describe("what is remembered of the last fetch is checked each time", () => {
  /** 64-bit code in a 4 KiB page; the same instruction twice, so that it is remembered. */
  function warm(): Guest {
    const guest = new Guest();
    guest.ram.writeBigUInt64LE(0x4023n, 0x3000);
    guest.ram.writeBigUInt64LE(0x100023n, 0x4000 + 0x100 * 8);
    guest.ram.writeBigUInt64LE(0x180023n, 0x4000 + 0x180 * 8);
    for (let round = 0; round < 3; round++) {
      guest.set(Register.Rip, 0x100000);
      expect(advance(guest, "cpuid", [0x0f, 0xa2])).toBe(2);
    }
    // Elsewhere lies another one, of three bytes.
    guest.ram.set([0x66, 0x0f, 0xa2], 0x180000);
    guest.set(Register.Rip, 0x100000);
    return guest;
  }

  function length(guest: Guest): number {
    guest.raw(guest.reason("cpuid"));
    return Number(guest.get(Register.Rip) - 0x100000n);
  }

  test("the bytes", () => {
    const guest = warm();
    guest.ram.set([0x66, 0x0f, 0xa2], 0x100000);
    expect(length(guest)).toBe(3);
  });

  test("the PTE", () => {
    const guest = warm();
    guest.ram.writeBigUInt64LE(0x180023n, 0x4000 + 0x100 * 8);
    expect(length(guest)).toBe(3);
  });

  test("the PDE", () => {
    const guest = warm();
    guest.ram.writeBigUInt64LE(0x180023n, 0x5000 + 0x100 * 8);
    guest.ram.writeBigUInt64LE(0x5023n, 0x3000);
    expect(length(guest)).toBe(3);
  });

  test("the PDPTE", () => {
    const guest = warm();
    guest.ram.writeBigUInt64LE(0x180023n, 0x5000 + 0x100 * 8);
    guest.ram.writeBigUInt64LE(0x5023n, 0x6000);
    guest.ram.writeBigUInt64LE(0x6023n, 0x2000);
    expect(length(guest)).toBe(3);
  });

  test("the PML4E, and CR3", () => {
    const other = (guest: Guest): void => {
      guest.ram.writeBigUInt64LE(0x180023n, 0x5000 + 0x100 * 8);
      guest.ram.writeBigUInt64LE(0x5023n, 0x6000);
      guest.ram.writeBigUInt64LE(0x6023n, 0x7000);
    };
    const first = warm();
    other(first);
    first.ram.writeBigUInt64LE(0x7023n, 0x1000);
    expect(length(first)).toBe(3);
    const second = warm();
    other(second);
    second.ram.writeBigUInt64LE(0x7023n, 0x8000);
    second.set(Register.Cr3, 0x8000);
    expect(length(second)).toBe(3);
  });

  test("the mode", () => {
    const compatibility = warm();
    compatibility.set(Register.CsAttributes, 0xc09b);
    compatibility.set(Register.CsBase, 0x80000);
    expect(length(compatibility)).toBe(3);
    const unpaged = warm();
    unpaged.protected();
    unpaged.set(Register.CsBase, 0x80000);
    expect(length(unpaged)).toBe(3);
  });

  test("another instruction on the same page", () => {
    const guest = warm();
    guest.set(Register.Rip, 0x100800);
    expect(advance(guest, "rdmsr", [0x0f, 0x32])).toBe(2);
    guest.set(Register.Rip, 0x100000);
    expect(length(guest)).toBe(2);
  });
});
