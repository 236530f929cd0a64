// Bytes at linear addresses, addresses as people write them, code, what the page tables map.
import { describe, expect, it } from "vitest";
import { parseAddress } from "../../../control/src/inspect/address.js";
import { readCode } from "../../../control/src/inspect/code.js";
import { disassemble } from "../../../control/src/inspect/disasm.js";
import { hexDump } from "../../../control/src/inspect/hexdump.js";
import { listMappings } from "../../../control/src/inspect/mappings.js";
import { cached, linearPieces, readLinear, readMapped } from "../../../control/src/inspect/memory.js";
import { nestedPath } from "../../../control/src/inspect/nested.js";
import type { PhysicalMemory } from "../../../control/src/inspect/walk.js";
import { ramOf, type Word } from "./ram.js";

const paging = { cr0: 0x8000_0011n, cr3: 0x1000n, cr4: 0x20n, efer: 0xd01n };
/** Linear 0 and 2000h are two pages in the wrong order, 1000h is not mapped; 20_0000h is a large page at the end of RAM. */
const tables: Word[] = [
  [0x1000, 0x2003n],
  [0x2000, 0x3003n],
  [0x3000, 0x4003n],
  [0x3008, 0x8_0083n | (1n << 63n)],
  [0x4000, 0x7003n],
  [0x4008, 0x6000n],
  [0x4010, 0x5001n],
  [0x4018, 0x4003n],
  [0x7ff8, Buffer.from("7-------")],
  [0x5000, Buffer.from("5+++++++")],
];

describe("linear addresses", () => {
  it("are read page by page", async () => {
    const wide: Word[] = [...tables, [0x4008, 0x5003n]];
    expect(Buffer.from(await readLinear(ramOf(wide), paging, 0xff8n, 16)).toString()).toBe("7-------5+++++++");
  });

  it("end at a page that is not there, with what is before it", async () => {
    await expect(readLinear(ramOf(tables), paging, 0xff8n, 16)).rejects.toMatchObject({
      code: "E_UNMAPPED",
      message: "linear address 0x1000 is not mapped in the guest: the PT entry at guest-physical 0x4008 is not present",
    });
    const { bytes, unmapped } = await readMapped(ramOf(tables), paging, 0xff8n, 16);
    expect(Buffer.from(bytes).toString()).toBe("7-------");
    expect(unmapped?.code).toBe("E_UNMAPPED");
    await expect(readMapped(ramOf(tables), paging, 0x1000n, 16)).rejects.toMatchObject({ code: "E_UNMAPPED" });
  });

  it("end where RAM does", async () => {
    const pieces: [bigint, number][] = [];
    const reading = async (): Promise<void> => {
      for await (const { at, bytes } of linearPieces(ramOf(tables), paging, 0x20_0000n, 2 ** 21)) pieces.push([at, bytes.length]);
    };
    const large: Word[] = [...tables, [0x3008, 0x83n]];
    await expect(readLinear(ramOf(large), paging, 0x30_0000n, 1)).rejects.toMatchObject({
      message: "linear address 0x300000 is guest-physical 0x100000, outside the guest's RAM",
    });
    await expect(reading()).rejects.toMatchObject({ code: "E_UNMAPPED" });
    expect(pieces).toEqual([]);
  });

  it("cost one read for a line of tables", async () => {
    let reads = 0;
    const ram = ramOf(tables);
    const counted: PhysicalMemory = {
      bytes: ram.bytes,
      read: (address, length) => {
        reads++;
        return ram.read(address, length);
      },
    };
    const memory = cached(counted);
    await readLinear(memory, paging, 0n, 0x1000);
    await readLinear(memory, paging, 0x2000n, 0x1000);
    expect(reads).toBe(4 + 2);
  });
});

describe("addresses as people write them", () => {
  const registers = async () => ({ rip: 0x1000n, rsp: 0x7ff0n, "gdtr.base": 0xffff_ffff_8000_0000n, kernelGsBase: 5n });
  it.each([
    ["0xffffffff81000000", 0xffff_ffff_8100_0000n],
    ["4096", 4096n],
    ["4K", 4096n],
    ["RIP", 0x1000n],
    ["rsp+0x10-8", 0x7ff8n],
    ["gdtr.base + 8", 0xffff_ffff_8000_0008n],
    ["kernelgsbase", 5n],
    ["rip-0x1001", 0xffff_ffff_ffff_ffffn],
  ])("%s", async (text, value) => {
    expect(await parseAddress(text, registers)).toBe(value);
  });

  it.each(["", "rax", "0x", "12z", "rip+", "rip**2", "0x12345678123456789"])("%j is none", async (text) => {
    await expect(parseAddress(text, registers)).rejects.toMatchObject({ code: "E_NUMBER" });
  });

  it("ask for registers only when one is named", async () => {
    const none = () => Promise.reject(new Error("asked"));
    expect(await parseAddress("0x10+4", none)).toBe(20n);
  });
});

describe("code", () => {
  it("is written as NASM does", () => {
    const bytes = Buffer.from("f4ebfe48c744240801000000f3a40f01d906", "hex");
    expect(disassemble(64, 0xffff_ffff_8100_0000n, bytes, 9).map(({ address, text }) => [address & 0xffn, text])).toEqual([
      [0n, "hlt"],
      [1n, "jmp short 0xffffffff81000001"],
      [3n, "mov qword [rsp+8],1"],
      [12n, "rep movsb"],
      [14n, "vmmcall"],
      [17n, "db 0x06"],
    ]);
    expect(disassemble(32, 0n, Buffer.from("06", "hex"), 1)[0]?.text).toBe("push es");
  });

  it("has targets that are offsets in its segment", () => {
    expect(disassemble(16, 0x7c10n, Buffer.from("ebfe", "hex"), 1, 0x7c00n)).toMatchObject([
      { address: 0x7c10n, text: "jmp short 0x0010" },
    ]);
  });

  it("of the guest ends with the last page that is mapped", async () => {
    const registers = { ...paging, "cs.attributes": 0x209bn };
    const { bits, instructions, unmapped } = await readCode(ramOf([...tables, [0x7ff8, Buffer.alloc(8, 0x90)]]), registers, 0xff8n, 20);
    expect([bits, instructions.length, unmapped?.code]).toEqual([64, 8, "E_UNMAPPED"]);
    expect(instructions[0]).toMatchObject({ text: "nop", address: 0xff8n });
  });
});

describe("what is mapped", () => {
  it("is joined where it goes on, by rights, and ends with RAM", async () => {
    const joined: Word[] = [...tables, [0x4008, 0x8003n], [0x3008, 0x83n]];
    expect(await listMappings(ramOf(joined), paging)).toEqual([
      { linear: 0n, physical: 0x7000, bytes: 0x2000, writable: true, executable: true },
      { linear: 0x2000n, physical: 0x5000, bytes: 0x1000, writable: false, executable: true },
      { linear: 0x3000n, physical: 0x4000, bytes: 0x1000, writable: true, executable: true },
      { linear: 0x20_0000n, physical: 0, bytes: 0x10_0000, writable: true, executable: true },
    ]);
  });

  it("of upper addresses is canonical; without paging it is RAM", async () => {
    const high: Word[] = [...tables, [0x1000, 0n], [0x1ff8, 0x2003n]];
    expect((await listMappings(ramOf(high), paging))[0]?.linear).toBe(0xffff_ff80_0000_0000n);
    expect(await listMappings(ramOf([]), { ...paging, cr0: 0n })).toMatchObject([{ linear: 0n, physical: 0, bytes: 0x10_0000 }]);
  });

  it("agrees with 32-bit and PAE tables", async () => {
    const narrow: Word[] = [
      [0x1004, [0x2003]],
      [0x2008, [0x9001]],
      [0x1008, [0x83]],
    ];
    expect(await listMappings(ramOf(narrow), { ...paging, cr4: 0x10n, efer: 0n })).toEqual([
      { linear: 0x40_2000n, physical: 0x9000, bytes: 0x1000, writable: false, executable: true },
      { linear: 0x80_0000n, physical: 0, bytes: 0x10_0000, writable: true, executable: true },
    ]);
    const pae: Word[] = [
      [0x1038, 0x2001n],
      [0x2008, 0x83n],
    ];
    expect(await listMappings(ramOf(pae), { ...paging, cr3: 0x1020n, efer: 0n })).toEqual([
      { linear: 0xc020_0000n, physical: 0, bytes: 0x10_0000, writable: true, executable: true },
    ]);
  });

  it("of tables that point back at themselves is refused", async () => {
    const loop: Word[] = Array.from({ length: 512 }, (_, index): Word => [0x1000 + 8 * index, 0x1003n]);
    await expect(listMappings(ramOf(loop), paging)).rejects.toMatchObject({ code: "E_TABLES" });
  });
});

describe("nested tables", () => {
  it("lead to a host-physical address", () => {
    const path = nestedPath(0x40_0123, 0x10_0000n, [0x11_0027n, 0x12_0007n, 0x80_0000n | 0xe7n]);
    expect(path).toMatchObject({ physical: 0x80_0123n, pageBytes: 2 ** 21 });
    expect(path.entries.map(({ level, address, flags }) => [level, address, flags.join()])).toEqual([
      ["PML4", 0x10_0000n, "read,write,execute,accessed"],
      ["PDPT", 0x11_0000n, "read,write,execute"],
      ["PD", 0x12_0010n, "read,write,execute,accessed,dirty,large"],
    ]);
  });

  it("lead nowhere where there is no memory", () => {
    const path = nestedPath(0x40_0000, 0x10_0000n, [0x11_0007n, 0n]);
    expect(path).toMatchObject({ physical: undefined, pageBytes: undefined });
    expect(path.entries.at(-1)).toMatchObject({ level: "PDPT", flags: [] });
  });
});

it("a dump has wide addresses where they are wide", () => {
  expect(hexDump(Buffer.from("0123456789abcdefX"), 0xffff_ffff_8100_0ff8n)).toBe(
    "ffffffff81000ff8: 3031 3233 3435 3637 3839 6162 6364 6566  0123456789abcdef\n" +
      "ffffffff81001008: 58                                       X",
  );
});
