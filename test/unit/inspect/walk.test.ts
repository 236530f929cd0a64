// The walk against tables that the test lays out, in every paging mode.
import { describe, expect, it } from "vitest";
import { type PagingRegisters, type PhysicalMemory, walkPages } from "../../../control/src/inspect/walk.js";
import { ramOf, type Word } from "./ram.js";

const RAM = 0x10_0000;
const memoryOf = (words: readonly Word[]): PhysicalMemory => ramOf(words, RAM);

const CR0 = 0x8000_0011n;
const NX = 1n << 63n;
const wide = (change: Partial<PagingRegisters> = {}): PagingRegisters => ({ cr0: CR0, cr3: 0x1000n, cr4: 0x20n, efer: 0xd01n, ...change });
const pae = (change: Partial<PagingRegisters> = {}): PagingRegisters => wide({ cr3: 0x1020n, efer: 0x800n, ...change });
const narrow = (change: Partial<PagingRegisters> = {}): PagingRegisters => wide({ cr4: 0x10n, efer: 0n, ...change });

/** FFFF_8080_4020_1000h: entry 257 of the PML4, 1 of the others */
const HIGH = 0xffff_8080_4020_1abcn;
const tables: Word[] = [
  [0x1000 + 257 * 8, 0x2003n],
  [0x2008, 0x3067n],
  [0x3008, 0x4027n],
  [0x4008, 0x7_7163n | NX],
];

describe("4-level paging", () => {
  it("goes down four levels", async () => {
    const walk = await walkPages(memoryOf(tables), wide(), HIGH);
    expect(walk).toMatchObject({ mode: "4-level", physical: 0x77abc, pageBytes: 4096, fault: undefined });
    expect(walk.entries.map(({ level, address, value }) => [level, address, value])).toEqual([
      ["PML4", 0x1808, 0x2003n],
      ["PDPT", 0x2008, 0x3067n],
      ["PD", 0x3008, 0x4027n],
      ["PT", 0x4008, 0x7_7163n | NX],
    ]);
    expect(walk.entries.map(({ flags }) => flags.join())).toEqual([
      "present,writable",
      "present,writable,user,accessed",
      "present,writable,user,accessed",
      "present,writable,accessed,dirty,global,NX",
    ]);
    expect(walk.rights).toEqual({ writable: true, user: false, executable: false });
  });

  it.each<[string, Word[], number, number]>([
    ["PDPT", [[0x2008, (1n << 30n) | 0xe3n]], 2 ** 30, 2 ** 30 + 0x20_1abc],
    ["PD", [[0x3008, 0x60_10e1n]], 2 ** 21, 0x60_1abc], // bit 12 is PAT
  ])("stops at a large page of the %s", async (level, change, pageBytes, physical) => {
    const walk = await walkPages(memoryOf([...tables, ...change]), wide(), HIGH);
    expect(walk).toMatchObject({ physical, pageBytes });
    expect(walk.entries.at(-1)).toMatchObject({ level, flags: expect.arrayContaining(["large", "dirty"]) });
  });

  it.each([
    ["not-present", "PML4", [[0x1000 + 257 * 8, 0n]], {}],
    ["not-present", "PT", [[0x4008, 0x77000n]], {}],
    ["reserved-bits", "PT", [], { efer: 0x501n }], // NX without EFER.NXE
    ["reserved-bits", "PD", [[0x3008, 0x60_20e1n]], {}],
    ["reserved-bits", "PML4", [[0x1808, 0x2083n]], {}],
    ["outside-ram", "PD", [[0x2008, 0x7000_0003n]], {}],
  ] as const)("fault: %s at the %s", async (kind, level, change, registers) => {
    const walk = await walkPages(memoryOf([...tables, ...change]), wide(registers), HIGH);
    expect(walk).toMatchObject({ physical: undefined, rights: undefined, fault: { kind, level } });
    if (kind !== "outside-ram") expect(walk.fault?.address).toBe(walk.entries.at(-1)?.address);
  });

  it("takes the last quadword of RAM, and none beyond", async () => {
    const last: Word[] = [...tables, [0x3008, BigInt(RAM - 0x1000) | 3n], [RAM - 8, 0x5003n]];
    expect(await walkPages(memoryOf(last), wide(), 0xffff_8080_403f_f000n)).toMatchObject({ physical: 0x5000 });
    expect(await walkPages(memoryOf(last), wide({ cr3: BigInt(RAM) }), HIGH)).toMatchObject({
      fault: { kind: "outside-ram", level: "PML4", address: RAM + 0x808 },
      entries: [],
    });
  });

  it("refuses addresses that are not canonical, and five levels", async () => {
    expect(await walkPages(memoryOf(tables), wide(), 0x8080_4020_1000n)).toMatchObject({ fault: { kind: "address", level: null } });
    await expect(walkPages(memoryOf(tables), wide({ cr4: 0x1020n }), HIGH)).rejects.toMatchObject({ code: "E_PAGING_MODE" });
  });
});

describe("PAE paging", () => {
  const tables: Word[] = [
    [0x1028, 0x2001n],
    [0x2008, 0x3007n],
    [0x3010, 0x7_7005n],
  ];

  it("goes down three levels, the first without rights", async () => {
    const walk = await walkPages(memoryOf(tables), pae(), 0x4020_2123n);
    expect(walk).toMatchObject({ mode: "pae", physical: 0x77123, pageBytes: 4096 });
    expect(walk.entries.map(({ level, address }) => [level, address])).toEqual([
      ["PDPT", 0x1028],
      ["PD", 0x2008],
      ["PT", 0x3010],
    ]);
    expect(walk.rights).toEqual({ writable: false, user: true, executable: true });
  });

  it("has pages of 2 MiB", async () => {
    const walk = await walkPages(memoryOf([...tables, [0x2008, 0x60_0083n]]), pae(), 0x4020_2123n);
    expect(walk).toMatchObject({ physical: 0x60_2123, pageBytes: 2 ** 21 });
  });

  it.each([
    ["reserved-bits", "PDPT", [[0x1028, 0x2003n]]],
    ["reserved-bits", "PT", [[0x3010, 0x77005n | (1n << 52n)]]],
    ["not-present", "PDPT", [[0x1028, 0n]]],
  ] as const)("fault: %s at the %s", async (kind, level, change) => {
    expect(await walkPages(memoryOf([...tables, ...change]), pae(), 0x4020_2123n)).toMatchObject({ fault: { kind, level } });
  });

  it("has 32-bit addresses", async () => {
    expect(await walkPages(memoryOf(tables), pae(), 1n << 32n)).toMatchObject({ fault: { kind: "address" } });
  });
});

describe("32-bit paging", () => {
  const tables: Word[] = [
    [0x1004, [0x2067]],
    [0x2008, [0x7_7143]],
  ];

  it("goes down two levels", async () => {
    const walk = await walkPages(memoryOf(tables), narrow(), 0x40_2fffn);
    expect(walk).toMatchObject({ mode: "32-bit", physical: 0x77fff, pageBytes: 4096 });
    expect(walk.entries.map(({ level, address, value }) => [level, address, value])).toEqual([
      ["PD", 0x1004, 0x2067n],
      ["PT", 0x2008, 0x7_7143n],
    ]);
    expect(walk.rights).toEqual({ writable: true, user: false, executable: true });
  });

  it("has pages of 4 MiB, with address bits above 4 GiB, where CR4.PSE says so", async () => {
    const large: Word[] = [...tables, [0x1004, [0x80_2083]]];
    expect(await walkPages(memoryOf(large), narrow(), 0x40_2fffn)).toMatchObject({
      physical: 2 ** 32 + 0x80_2fff,
      pageBytes: 2 ** 22,
      entries: [{ flags: ["present", "writable", "large"] }],
    });
    expect(await walkPages(memoryOf(large), narrow({ cr4: 0n }), 0x40_2fffn)).toMatchObject({
      fault: { kind: "outside-ram", level: "PT" },
    });
    const reserved: Word[] = [...tables, [0x1004, [0xa0_2083]]];
    expect(await walkPages(memoryOf(reserved), narrow(), 0x40_2fffn)).toMatchObject({ fault: { kind: "reserved-bits", level: "PD" } });
  });

  it("fault: not present", async () => {
    expect(await walkPages(memoryOf(tables), narrow(), 0x40_3000n)).toMatchObject({ fault: { kind: "not-present", level: "PT" } });
    expect(await walkPages(memoryOf(tables), narrow(), 0n)).toMatchObject({ fault: { kind: "not-present", level: "PD", address: 0x1000 } });
  });
});

it("without paging an address is itself", async () => {
  const walk = await walkPages(memoryOf([]), wide({ cr0: 0x11n }), 0xffff_fff0n);
  expect(walk).toMatchObject({ mode: "none", physical: 0xffff_fff0, entries: [], rights: { writable: true } });
});
