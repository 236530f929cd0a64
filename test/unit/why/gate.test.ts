// Whether an exception can be delivered, step by step, by tables that the test breaks one after the other.
import { describe, expect, it } from "vitest";
import { eventOf } from "../../../control/src/inspect/devices/machine.js";
import { disassemble } from "../../../control/src/inspect/disasm.js";
import type { MachineView, Registers } from "../../../control/src/inspect/view.js";
import { collectFault, firstFault } from "../../../control/src/why/fault.js";
import { checkGate } from "../../../control/src/why/gate.js";
import { ramOf, type Word } from "../inspect/ram.js";

const IDT = 0x5000;
const GDT = 0x6000;
const TSS = 0x7000;
/** Linear is physical for 2 MiB; the page tables are at 1000h. */
const base: Word[] = [
  [0x1000, 0x2003n],
  [0x2000, 0x3003n],
  [0x3000, 0x83n],
  [GDT + 8, 0x00af_9b00_0000_ffffn],
  [GDT + 16, 0x00cf_9300_0000_ffffn],
];
/** #PF's gate: selector 8, handler 9000h, IST as given. */
const gate = (vector: number, attributes = 0x8e00n, selector = 8n, handler = 0x9000n): Word[] => [
  [IDT + 16 * vector, (handler & 0xffffn) | (selector << 16n) | (attributes << 32n) | ((handler >> 16n) << 48n)],
  [IDT + 16 * vector + 8, handler >> 32n],
];
const registers: Registers = {
  cr0: 0x8001_0011n,
  cr3: 0x1000n,
  cr4: 0x20n,
  efer: 0xd00n,
  rip: 0x8000n,
  rsp: 0xa000n,
  "cs.attributes": 0xa09bn,
  "ss.attributes": 0xc093n,
  "idtr.base": BigInt(IDT),
  "idtr.limit": 0xfffn,
  "gdtr.base": BigInt(GDT),
  "gdtr.limit": 0x17n,
  "tr.base": BigInt(TSS),
};
const problem = async (words: Word[], change: Record<string, bigint> = {}): Promise<string | null> =>
  (await checkGate(ramOf([...base, ...words], 0x20_0000), { ...registers, ...change }, 14)).problem;

describe("a gate in long mode", () => {
  it("that is in order has nothing in the way", async () => {
    expect(await checkGate(ramOf([...base, ...gate(14)], 0x20_0000), registers, 14)).toEqual({
      vector: 14,
      address: BigInt(IDT + 224),
      handler: 0x9000n,
      problem: null,
    });
  });

  it.each([
    ["no IDT", [], { "idtr.limit": 0n }, "the IDT's limit is 0: there is no gate for #PF"],
    ["a short IDT", gate(14), { "idtr.limit": 0xeen }, "the IDT's limit is 0xee: there is no gate for #PF"],
    [
      "an IDT that is not mapped",
      [],
      { "idtr.base": 0x4000_0000n },
      /^the IDT at 0x40000000 cannot be read: linear address 0x400000e0 is not mapped/,
    ],
    ["zeros", [], {}, "#PF's gate at 0x50e0 is not present (it is all zeros)"],
    ["not present", gate(14, 0x0e00n), {}, "#PF's gate at 0x50e0 is not present"],
    ["a call gate", gate(14, 0x8c00n), {}, "#PF's gate at 0x50e0 has type 12, which is no gate for an exception"],
    ["a null selector", gate(14, 0x8e00n, 0n), {}, "#PF's gate at 0x50e0 names a null code segment"],
    [
      "a selector beyond the GDT",
      gate(14, 0x8e00n, 0x18n),
      {},
      "#PF's gate at 0x50e0 names code segment 0x18, beyond the GDT's limit 0x17",
    ],
    ["a data segment", gate(14, 0x8e00n, 0x10n), {}, "#PF's gate at 0x50e0 names code segment 0x10, which is no code segment"],
    ["32-bit code", [...gate(14), [GDT + 8, 0x00cf_9b00_0000_ffffn]], {}, /code segment 0x8, which is no 64-bit code segment$/],
    [
      "a handler that is not mapped",
      gate(14, 0x8e00n, 8n, 0x4000_0000n),
      {},
      /^the handler of #PF at 0x40000000 cannot be executed: linear address 0x40000000 is not mapped/,
    ],
    [
      "a stack that is not mapped",
      gate(14),
      { rsp: 0x4000_0000n },
      /^the handler of #PF has no stack: RSP is 0x40000000: linear address 0x3ffffff8 is not mapped/,
    ],
    [
      "an IST that is not set",
      gate(14, 0x8e01n),
      {},
      /^the handler of #PF has no stack: IST1 of the TSS is 0x0: linear address 0xfffffffffffffff8 is not mapped/,
    ],
    ["an IST that is", [...gate(14, 0x8e02n), [TSS + 0x2c, 0xb000n]], { rsp: 0x4000_0000n }, null],
    ["RSP0, from user space", gate(14), { "ss.attributes": 0xc0f3n }, /^the handler of #PF has no stack: RSP0 of the TSS is 0x0/],
    ["a stack that cannot be written", [...gate(14), [0x3000, 0x81n]], {}, /RSP is 0xa000: the page of 0x9ff8 is not writable$/],
  ] as [string, Word[], Record<string, bigint>, string | RegExp | null][])("%s", async (_, words, change, expected) => {
    const found = await problem(words, change);
    if (expected instanceof RegExp) expect(found).toMatch(expected);
    else expect(found).toBe(expected);
  });
});

it("a gate of real mode is a pointer, one of protected mode has eight bytes", async () => {
  const real = { ...registers, cr0: 0n, efer: 0n, "idtr.base": 0n, "idtr.limit": 0x3ffn };
  expect(await checkGate(ramOf([[14 * 4, [0xf000_1234]]]), real, 14)).toMatchObject({ handler: 0xf_1234n, problem: null });
  const protectedMode = { ...registers, cr0: 0x11n, efer: 0n, "idtr.limit": 0x7ffn, "cs.attributes": 0xc09bn };
  const words: Word[] = [...base, [IDT + 14 * 8, 0x0000_8e00_0008_9000n]];
  expect(await checkGate(ramOf(words), protectedMode, 14)).toEqual({
    vector: 14,
    address: BigInt(IDT + 112),
    handler: 0x9000n,
    problem: null,
  });
});

describe("the first fault", () => {
  const code = (hex: string) => ({ instructions: disassemble(64, 0n, Buffer.from(hex, "hex"), 1) });
  it.each([
    ["the CPU's record", [0x8000_0b0dn], code("0f0b"), true, 13],
    ["no record of an interrupt", [0x8000_0020n], code("0f0b"), false, 6],
    ["ud2", [0n], code("0f0b"), true, 6],
    ["bytes that are no instruction", [], code("06"), false, 6],
    ["a division", [], code("48f7f1"), false, 0],
    ["what cannot be fetched", [], "it is not mapped", false, 14],
    ["CR2", [], code("488b00"), true, 14],
    ["nothing", [], code("488b00"), false, undefined],
  ] as const)("by %s", (_, recorded, at, pageFault, vector) => {
    expect(firstFault(recorded, at, pageFault)?.vector).toBe(vector);
  });

  it("is put together from a guest's last state", async () => {
    const memory = ramOf([...base, ...gate(14), [0x8000, Buffer.from("488b00", "hex")]], 0x20_0000);
    const view: MachineView = {
      name: "web",
      memory,
      registers: async () => registers,
      machine: () => Promise.reject(new Error("not asked for")),
    };
    const chain = await collectFault(view, { ...registers, cr2: 0x4000_0000n }, [0n]);
    expect(chain).toMatchObject({
      first: { vector: 14 },
      gate: { problem: null },
      doubleFault: { vector: 8, problem: "#DF's gate at 0x5080 is not present (it is all zeros)" },
      pageFault: { address: 0x4000_0000n, why: "the PDPT entry at guest-physical 0x2008 is not present" },
    });
    expect(chain.unread).toBeNull();
    expect(eventOf(0x8000_0b0dn)).toEqual({ vector: 13, type: "exception", errorCode: 0 });
  });

  it.each([
    ["in #DF's gate, which is mapped", IDT + 16 * 8, {}, { vector: 8, address: BigInt(IDT + 16 * 8) }],
    ["in the last byte of #PF's gate", IDT + 16 * 14 + 15, {}, { vector: 14, address: BigInt(IDT + 16 * 14) }],
    ["behind #PF's gate", IDT + 16 * 15, {}, null],
    ["in #DF's gate of an IDT that is not mapped", 0x4000_0080, { "idtr.base": 0x4000_0000n }, null],
    ["in #DF's gate, without paging", IDT + 8 * 8, { cr0: 0x11n, efer: 0n }, null],
  ] as [string, number, Record<string, bigint>, unknown][])("with CR2 %s", async (_, cr2, change, unread) => {
    const last = { ...registers, ...change, cr2: BigInt(cr2) };
    const view: MachineView = {
      name: "web",
      memory: ramOf([...base, [0x8000, Buffer.from("488b00", "hex")]], 0x20_0000),
      registers: async () => last,
      machine: () => Promise.reject(new Error("not asked for")),
    };
    expect((await collectFault(view, last, [0x8000_0b0en])).unread).toEqual(unread);
  });
});
