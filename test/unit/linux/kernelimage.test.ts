// The log of a kernel that died before it said where it is: by the symbols and the types in its image.
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, it } from "vitest";
import type { MachineView } from "../../../control/src/inspect/view.js";
import { readBtf } from "../../../control/src/linux/btf.js";
import { readDmesg } from "../../../control/src/linux/dmesg.js";
import { BASE, table } from "../debug/kallsyms.js";
import { INFO_AT, Kernel, MIB } from "./kernel.js";

type Fields = readonly (readonly [name: string, bytes: number])[];
const STRUCTURES: Readonly<Record<string, { size: number; fields: Fields }>> = {
  printk_ringbuffer: {
    size: 88,
    fields: [
      ["desc_ring", 0],
      ["text_data_ring", 48],
      ["fail", 80],
    ],
  },
  prb_desc_ring: {
    size: 48,
    fields: [
      ["count_bits", 0],
      ["descs", 8],
      ["infos", 16],
      ["head_id", 24],
      ["tail_id", 32],
    ],
  },
  prb_desc: {
    size: 24,
    fields: [
      ["state_var", 0],
      ["text_blk_lpos", 8],
    ],
  },
  prb_data_blk_lpos: {
    size: 16,
    fields: [
      ["begin", 0],
      ["next", 8],
    ],
  },
  printk_info: {
    size: 88,
    fields: [
      ["seq", 0],
      ["ts_nsec", 8],
      ["text_len", 16],
      ["facility", 18],
    ],
  },
  prb_data_ring: {
    size: 32,
    fields: [
      ["size_bits", 0],
      ["data", 8],
    ],
  },
};
const NAMES = Object.keys(STRUCTURES);

/** @param flagged members' places have their bitfield's size beside them */
function btf(flagged = false): Buffer {
  const strings: string[] = [""];
  let length = 1;
  const name = (text: string): number => {
    strings.push(text);
    const at = length;
    length += text.length + 1;
    return at;
  };
  const words: number[] = [];
  const type = (kind: number, count: number, more: number[], { at = 0, size = 0 } = {}): void => {
    words.push(at, ((flagged && kind === 4 ? 1 << 31 : 0) | (kind << 24) | count) >>> 0, size, ...more);
  };
  // One of each kind around them: what is passed over must be passed over right.
  type(1, 0, [32], { at: name("int"), size: 4 });
  type(3, 0, [1, 1, 4]);
  type(6, 2, [name("A"), 0, name("B"), 1], { size: 4 });
  type(13, 1, [name("x"), 1]);
  for (const [structure, { size, fields }] of Object.entries(STRUCTURES)) {
    type(2, 0, [], { size: 1 });
    const members = fields.flatMap(([field, bytes]) => [name(field), 1, (bytes * 8) | (flagged ? 4 << 24 : 0)]);
    type(4, fields.length, members, { at: name(structure), size });
  }
  type(14, 0, [1], { at: name("prb"), size: 1 });
  type(15, 1, [1, 0, 4], { at: name(".data") });
  type(17, 0, [0xffffffff], { at: name("tag"), size: 1 });
  type(19, 1, [name("C"), 1, 0], { size: 8 });
  const types = Buffer.from(Uint32Array.from(words).buffer);
  const header = Buffer.alloc(24);
  header.writeUInt16LE(0xeb9f, 0);
  header[2] = 1;
  [24, 0, types.length, types.length, length].forEach((value, index) => {
    header.writeUInt32LE(value, 4 + 4 * index);
  });
  return Buffer.concat([header, types, Buffer.from(`${strings.join("\0")}\0`, "latin1")]);
}

/** of the kernel's image, guest-physical: its first page is the first that is mapped */
const AT = { symbols: 0x40_0000, btf: 0x60_0000, banner: 0x68_0000 } as const;

/** A kernel with its image, and without VMCOREINFO. */
function early(types = btf()): { kernel: Kernel; view: MachineView } {
  const kernel = new Kernel({ slide: 0x100_0000n, ramBytes: 8 * MIB }).write({ text: "early" }).write({ text: "earlier than that" });
  kernel.ram.fill(0, INFO_AT, INFO_AT + 4096);
  const symbol = (name: string, type: string, physical: number) => ({ name, type, offset: Number(BASE - kernel.linear(physical)) - 1 });
  const others = Array.from({ length: 1200 }, (_, index) => ({ name: `function_${index}`, type: "t", offset: -1 - 16 * index }));
  const named = [
    symbol("prb", "d", Kernel.places.prb),
    symbol("__start_BTF", "R", AT.btf),
    symbol("__stop_BTF", "R", AT.btf + types.length),
    symbol("linux_banner", "D", AT.banner),
  ];
  kernel.ram.set(table([...others, ...named], "6.1"), AT.symbols);
  kernel.ram.set(types, AT.btf);
  kernel.ram.write("Linux version 6.1.0-early (somebody@somewhere)", AT.banner, "latin1");
  const paging = { cr0: 0x8000_0001n, cr3: BigInt(Kernel.places.tables), cr4: 0x20n, efer: 0xd00n };
  return { kernel, view: { ...kernel.view, registers: async () => paging } };
}

describe("the log of a kernel that died early", () => {
  it.each([false, true])("is found by its image's symbols and types (flags: %s)", async (flagged) => {
    const { release, records } = await readDmesg(early(btf(flagged)).view);
    expect({ release, texts: records.map(({ text }) => text) }).toEqual({ release: "6.1.0-early", texts: ["early", "earlier than that"] });
  });

  it("is not found without types, without symbols, and where the CPU has no page tables", async () => {
    const none = early(Buffer.alloc(64));
    await expect(readDmesg(none.view)).rejects.toMatchObject({ code: "E_NOT_LINUX" });
    const bare = early();
    bare.kernel.ram.fill(0, AT.symbols, AT.symbols + 0x10_0000);
    await expect(readDmesg(bare.view)).rejects.toMatchObject({ code: "E_NOT_LINUX" });
    const real = { ...early().view, registers: async () => ({ cr0: 0x10n }) };
    await expect(readDmesg(real)).rejects.toMatchObject({ code: "E_NOT_LINUX" });
  });

  property.prop([fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 40 })], { numRuns: 15 })(
    "with a damaged image is refused or read, and nothing else",
    async (damage) => {
      const { kernel, view } = early();
      for (const [place, byte] of damage) {
        const [at, length] = [
          [AT.symbols, 20_000],
          [AT.btf, 900],
          [Kernel.places.tables, 0x3000],
        ][place % 3] as [number, number];
        kernel.ram[at + (place % length)] = byte;
      }
      await readDmesg(view).catch((error: { code: string }) => expect(error.code).toMatch(/^E_(LOG|NOT_LINUX)$/));
    },
  );
});

describe("BTF", () => {
  it("has sizes and places, in bytes", () => {
    const found = readBtf(btf(), NAMES);
    expect([...(found?.keys() ?? [])].sort()).toEqual([...NAMES].sort());
    for (const [name, { size, fields }] of Object.entries(STRUCTURES)) {
      expect(found?.get(name)).toEqual({ size, fields: new Map(fields) });
    }
    expect(readBtf(btf(), ["nothing"])?.size).toBe(0);
  });

  property.prop([fc.nat(), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 10 })], { numRuns: 100 })(
    "cut or damaged is refused or read, and nothing else",
    (cut, damage) => {
      const data = btf();
      for (const [at, byte] of damage) data[at % data.length] = byte;
      const found = readBtf(data.subarray(0, cut % (data.length + 1)), NAMES);
      expect(found === undefined || found.size <= NAMES.length).toBe(true);
    },
  );
});
