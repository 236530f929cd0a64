// The guest's page walk in every mode, seen through INSB and OUTSB: which byte is reached, which fault comes, which bits are set in the
// tables. On VMX, where nothing but the data is walked for.
import { describe, expect, test } from "vitest";
import { Vendor } from "../../../protocol/messages.js";
import { Register } from "../../../protocol/state.js";
import { fullCpu, Guest } from "./guest.js";

const P = 1n;
const RW = 2n;
const US = 4n;
const A = 0x20n;
const D = 0x40n;
const PS = 0x80n;
const NX = 1n << 63n;
const ALL = P | RW | US;

const LMA = 0x500n;
const NXE = 0x800n;
const PG = 0x80000011n;
const WP = 0x10000n;
const PSE = 0x10n;
const PAE = 0x20n;
const SMAP = 0x200000n;

const ROOT = 0x10000;

interface Touch {
  physical?: number;
  /** of a #PF */
  error?: number;
  /** the guest ended: the address that is not there */
  missing?: bigint;
}

function paged(cr4: bigint, efer: bigint): Guest {
  const guest = new Guest({ vendor: Vendor.Vmx });
  guest.protected();
  guest.ram.fill(0);
  if (efer & 0x400n) guest.set(Register.CsAttributes, 0xa09b);
  guest.set(Register.Cr0, PG | WP);
  guest.set(Register.Cr3, ROOT);
  guest.set(Register.Cr4, cr4);
  guest.set(Register.Efer, efer);
  return guest;
}

function user(guest: Guest): Guest {
  guest.set(Register.SsAttributes, 0xc0f3);
  return guest;
}

function touch(guest: Guest, linear: bigint | number, write = false): Touch {
  const address = BigInt(linear);
  const addressBytes = guest.get(Register.Efer) & 0x400n ? 8 : 4;
  guest.ended = undefined;
  guest.output = "";
  guest.set(Register.Rip, 0);
  guest.set(write ? Register.Rdi : Register.Rsi, address);
  guest.io(
    { port: 0xe9, size: 1, input: write, string: { repeat: false, addressBytes, segment: write ? 0 : 3 }, bytes: [] },
    { length: 1 },
  );
  const ended = guest.ended as { value: bigint } | undefined;
  if (ended) return { missing: ended.value };
  const event = guest.injected;
  if (event) {
    expect([event.vector, guest.get(Register.Cr2)]).toEqual([14, address]);
    return { error: event.error ?? -1 };
  }
  if (!write) return { physical: -1 };
  const physical = guest.ram.lastIndexOf(0xe9);
  guest.ram[physical] = 0;
  return { physical };
}

const put = (guest: Guest, address: number, value: bigint): void => {
  guest.ram.writeBigUInt64LE(BigInt.asUintN(64, value), address);
};
const put32 = (guest: Guest, address: number, value: bigint): void => {
  guest.ram.writeUInt32LE(Number(value & 0xffffffffn), address);
};

/** 0040_2010_0xxxh -> 20'0000h, by four levels of tables, each with `rights`. */
const LINEAR = (1n << 39n) | (2n << 30n) | (3n << 21n) | (4n << 12n) | 0x123n;
function fourLevels(rights = [ALL, ALL, ALL, ALL], cr4 = PAE, efer = LMA | NXE): Guest {
  const guest = paged(cr4, efer);
  put(guest, ROOT + 8, 0x11000n | (rights[0] ?? 0n));
  put(guest, 0x11000 + 16, 0x12000n | (rights[1] ?? 0n));
  put(guest, 0x12000 + 24, 0x13000n | (rights[2] ?? 0n));
  put(guest, 0x13000 + 32, 0x200000n | (rights[3] ?? 0n));
  return guest;
}

describe("four-level paging", () => {
  test("4 KiB, 2 MiB, 1 GiB pages", () => {
    const guest = fourLevels();
    expect(touch(guest, LINEAR, true)).toEqual({ physical: 0x200123 });
    put(guest, 0x12000 + 24, 0x200000n | ALL | PS);
    expect(touch(guest, LINEAR, true)).toEqual({ physical: 0x204123 });
    put(guest, 0x11000 + 16, ALL | PS);
    expect(touch(guest, (1n << 39n) | (2n << 30n) | 0x300123n, true)).toEqual({ physical: 0x300123 });
  });

  test("accessed and dirty bits are set as the CPU sets them", () => {
    const guest = fourLevels();
    touch(guest, LINEAR);
    const entries = [ROOT + 8, 0x11010, 0x12018, 0x13020];
    const flags = (): bigint[] => entries.map((address) => guest.ram.readBigUInt64LE(address) & (A | D));
    expect(flags()).toEqual([A, A, A, A]);
    touch(guest, LINEAR, true);
    expect(flags()).toEqual([A, A, A, A | D]);
  });

  test.each([0, 1, 2, 3])("level %i not present", (level) => {
    const rights = [ALL, ALL, ALL, ALL];
    rights[level] = RW;
    expect(touch(fourLevels(rights), LINEAR)).toEqual({ error: 0 });
    expect(touch(user(fourLevels(rights)), LINEAR, true)).toEqual({ error: 6 });
  });

  test.each([0, 1, 2, 3])("level %i read-only, or the supervisor's", (level) => {
    const rights = [ALL, ALL, ALL, ALL];
    rights[level] = P | US;
    expect(touch(fourLevels(rights), LINEAR)).toEqual({ physical: -1 });
    expect(touch(fourLevels(rights), LINEAR, true)).toEqual({ error: 3 });
    const unprotected = fourLevels(rights);
    unprotected.set(Register.Cr0, PG);
    expect(touch(unprotected, LINEAR, true)).toEqual({ physical: 0x200123 });
    expect(touch(user(unprotected), LINEAR, true)).toEqual({ error: 7 });
    rights[level] = P | RW;
    expect(touch(fourLevels(rights), LINEAR, true)).toEqual({ physical: 0x200123 });
    expect(touch(user(fourLevels(rights)), LINEAR)).toEqual({ error: 5 });
  });

  test("SMAP: the supervisor reaches users' pages only with AC", () => {
    const guest = fourLevels(undefined, PAE | SMAP);
    expect(touch(guest, LINEAR)).toEqual({ error: 1 });
    guest.set(Register.Rflags, 0x40202);
    expect(touch(guest, LINEAR)).toEqual({ physical: -1 });
  });

  test("reserved bits: NX without NXE, PS in a PML4E, address bits of large pages, above MAXPHYADDR", () => {
    expect(touch(fourLevels([ALL, ALL, ALL, ALL | NX], PAE, LMA), LINEAR)).toEqual({ error: 9 });
    expect(touch(fourLevels([ALL, ALL, ALL, ALL | NX]), LINEAR)).toEqual({ physical: -1 });
    expect(touch(fourLevels([ALL | PS, ALL, ALL, ALL]), LINEAR, true)).toEqual({ error: 0xb });
    expect(touch(fourLevels([ALL, ALL, ALL | PS, ALL]), LINEAR)).toEqual({ error: 9 });
    expect(touch(fourLevels([ALL, ALL | (1n << 40n), ALL, ALL]), LINEAR)).toEqual({ error: 9 });
    expect(touch(fourLevels([ALL, ALL | (1n << 52n), ALL, ALL]), LINEAR)).toEqual({ physical: -1 });
  });

  test("1 GiB pages are reserved where the CPU has none", () => {
    const hostCpuid: typeof fullCpu = (leaf, subleaf) => (leaf === 0x80000001 ? [0, 0, 0, 0x20100800] : fullCpu(leaf, subleaf));
    const guest = new Guest({ vendor: Vendor.Vmx, hostCpuid });
    put(guest, 0x2000, ALL | PS);
    guest.set(Register.Rip, 0);
    expect(touch(guest, 0x300000)).toEqual({ error: 9 });
  });

  test("tables and pages outside of RAM end the guest", () => {
    const guest = fourLevels();
    put(guest, 0x12000 + 24, 0x800000n | ALL);
    expect(touch(guest, LINEAR)).toEqual({ missing: 0x800020n });
    put(guest, 0x12000 + 24, 0x800000n | ALL | PS);
    expect(touch(guest, LINEAR)).toEqual({ missing: 0x804123n });
  });
});

describe("PAE paging", () => {
  const pae = (pdpte: bigint, pde: bigint, pte: bigint, efer = NXE): Guest => {
    const guest = paged(PAE, efer);
    put(guest, ROOT + 8, pdpte);
    put(guest, 0x12000 + 8, pde);
    put(guest, 0x13000 + 8, pte);
    return guest;
  };
  const linear = 0x40201abc;

  test("4 KiB and 2 MiB pages", () => {
    expect(touch(pae(0x12001n, 0x13000n | ALL, 0x200000n | ALL), linear, true)).toEqual({ physical: 0x200abc });
    expect(touch(pae(0x12001n, 0x200000n | ALL | PS, 0n), linear, true)).toEqual({ physical: 0x201abc });
  });

  test("a PDPTE has no rights and is never marked", () => {
    const guest = user(pae(0x12001n, 0x13000n | ALL, 0x200000n | ALL));
    expect(touch(guest, linear, true)).toEqual({ physical: 0x200abc });
    expect(guest.ram.readBigUInt64LE(ROOT + 8)).toBe(0x12001n);
    expect(guest.ram.readBigUInt64LE(0x12008) & A).toBe(A);
  });

  test.each([
    ["absent PDPTE", 0x12000n, 0x13007n, 0x200007n, 0],
    ["reserved bit in a PDPTE", 0x12003n, 0x13007n, 0x200007n, 9],
    ["absent PDE", 0x12001n, 0x13006n, 0x200007n, 0],
    ["absent PTE", 0x12001n, 0x13007n, 0x200006n, 0],
    ["bit 62 of a PTE", 0x12001n, 0x13007n, 0x200007n | (1n << 62n), 9],
  ])("%s", (_what, pdpte, pde, pte, error) => {
    expect(touch(pae(pdpte, pde, pte), linear)).toEqual({ error });
  });
});

describe("32-bit paging", () => {
  const two = (pde: bigint, pte: bigint, cr4 = PSE): Guest => {
    const guest = paged(cr4, 0n);
    put32(guest, ROOT + 0x101 * 4, pde);
    put32(guest, 0x13000 + 2 * 4, pte);
    return guest;
  };
  const linear = 0x40402abc;

  test("4 KiB and 4 MiB pages", () => {
    expect(touch(two(0x13000n | ALL, 0x200000n | ALL), linear, true)).toEqual({ physical: 0x200abc });
    expect(touch(two(ALL | PS, 0n), linear, true)).toEqual({ physical: 0x2abc });
    // Without PSE the bit means nothing.
    expect(touch(two(0x13000n | ALL | PS, 0x200000n | ALL, 0n), linear, true)).toEqual({ physical: 0x200abc });
  });

  test("PSE-36 puts bits 20:13 above, and reserves bit 21", () => {
    expect(touch(two(ALL | PS | 0x2000n, 0n), linear)).toEqual({ missing: 0x1_0000_2abcn });
    expect(touch(two(ALL | PS | 0x200000n, 0n), linear)).toEqual({ error: 9 });
  });

  test("rights of both levels count; both are marked", () => {
    expect(touch(two(0x13000n | P, 0x200000n | ALL), linear, true)).toEqual({ error: 3 });
    expect(touch(user(two(0x13000n | P | RW, 0x200000n | ALL)), linear)).toEqual({ error: 5 });
    expect(touch(two(0x13000n, 0n), linear)).toEqual({ error: 0 });
    expect(touch(two(0x13000n | ALL, RW), linear)).toEqual({ error: 0 });
    const guest = two(0x13000n | ALL, 0x200000n | ALL);
    touch(guest, linear, true);
    expect(guest.ram.readUInt32LE(ROOT + 0x404)).toBe(0x13027);
    expect(guest.ram.readUInt32LE(0x13008)).toBe(0x200067);
  });
});

test("without paging a linear address is a physical one", () => {
  const guest = new Guest({ vendor: Vendor.Vmx });
  guest.protected();
  expect(touch(guest, 0x234567, true)).toEqual({ physical: 0x234567 });
  expect(touch(guest, 0xfee00000)).toEqual({ missing: 0xfee00000n });
});
