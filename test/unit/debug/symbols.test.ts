// A kernel's symbols: LZ4 and gzip payloads, the table of symbols in both orders, call frames from ORC, and the ELF file made of them.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { unpackKernel } from "../../../control/src/debug/bzimage.js";
import { readKallsyms } from "../../../control/src/debug/kallsyms.js";
import { unpackLz4 } from "../../../control/src/debug/lz4.js";
import { debugFrame } from "../../../control/src/debug/orc.js";
import { symbolFile } from "../../../control/src/debug/symbolfile.js";
import { slideOf, symbolsOf } from "../../../control/src/debug/symbols.js";
import { readSections, type Section } from "../../../control/src/debug/vmlinux.js";
import { parseSymbols } from "../../../control/src/hypervisor/symbols.js";
import { BASE, table, u32 } from "./kallsyms.js";

function section(name: string, address: bigint, data: Buffer): Section {
  return { name, type: 1, flags: 6, address, size: data.length, data };
}

/** Offsets below the base are kept as the kernel does: -1 - offset. */
const many = Array.from({ length: 1500 }, (_, index) => ({
  type: index % 2 ? "t" : "T",
  name: `start_of_${index}`,
  offset: -1 - index * 16,
}));

describe("the kernel's table of symbols", () => {
  test.each(["6.1", "6.1 backported", "6.4"] as const)("in the order of %s", (order) => {
    const long = "x".repeat(200);
    const symbols = readKallsyms(
      table([...many, { type: "A", name: "per_cpu", offset: 0x1fb80 }, { type: "d", name: long, offset: -1 }], order),
    );
    expect(symbols.slice(0, 2)).toEqual([
      { type: "T", name: "start_of_0", address: BASE },
      { type: "t", name: "start_of_1", address: BASE + 16n },
    ]);
    expect(symbols.slice(1500)).toEqual([
      { type: "A", name: "per_cpu", address: 0x1fb80n },
      { type: "d", name: long, address: BASE },
    ]);
  });

  test("is missed when it is not there, or cut", () => {
    const data = table(many, "6.1");
    expect(() => readKallsyms(data.subarray(0, data.length - 900))).toThrow(expect.objectContaining({ code: "E_KERNEL_SYMBOLS" }));
    expect(() => readKallsyms(Buffer.alloc(4096))).toThrow(expect.objectContaining({ code: "E_KERNEL_SYMBOLS" }));
  });

  property.prop([fc.uint8Array({ maxLength: 4000 }), fc.nat()])("damaged, it is refused or read, and nothing else", (noise, at) => {
    const data = table(many, "6.1");
    data.set(noise.subarray(0, data.length), at % (data.length - noise.length));
    try {
      readKallsyms(data);
    } catch (error) {
      expect(error).toMatchObject({ code: "E_KERNEL_SYMBOLS" });
    }
  });
});

describe("a payload", () => {
  const file = Buffer.from("7f454c46020101000000000000000000".repeat(8), "hex");
  function bzImage(packed: Buffer): Buffer {
    const image = Buffer.alloc(1024 + packed.length + 4);
    image[0x1f1] = 1;
    image.write("HdrS", 0x202, "latin1");
    image.writeUInt32LE(0, 0x248);
    image.writeUInt32LE(packed.length + 4, 0x24c);
    image.set(packed, 1024);
    return image;
  }

  test("of gzip and LZ4 is unpacked", async () => {
    expect(Buffer.from(await unpackKernel(bzImage(gzipSync(file))))).toEqual(file);
    // 16 literals, then a match of 112 bytes at distance 16.
    const block = Buffer.concat([Buffer.from([0xff, 1]), file.subarray(0, 16), Buffer.from([16, 0, 112 - 4 - 15])]);
    const lz4 = Buffer.concat([Buffer.from("02214c18", "hex"), u32(block.length), block]);
    expect(Buffer.from(await unpackKernel(bzImage(lz4)))).toEqual(file);
  });

  test("in a form that nobody knows, or of no kernel, is refused", async () => {
    await expect(unpackKernel(bzImage(Buffer.alloc(64, 1)))).rejects.toMatchObject({ code: "E_KERNEL_SYMBOLS" });
    await expect(unpackKernel(Buffer.alloc(4096))).rejects.toMatchObject({ code: "E_KERNEL_SYMBOLS" });
    const far = bzImage(gzipSync(file));
    far.writeUInt32LE(0x7fffffff, 0x248);
    await expect(unpackKernel(far)).rejects.toMatchObject({ code: "E_KERNEL_SYMBOLS" });
  });

  property.prop([fc.uint8Array({ maxLength: 200 })])("of damaged LZ4 is refused, or something", (bytes) => {
    try {
      unpackLz4(Buffer.concat([Buffer.from("02214c18", "hex"), u32(bytes.length), Buffer.from(bytes)]));
    } catch (error) {
      expect(error).toMatchObject({ code: "E_KERNEL_SYMBOLS" });
    }
  });
});

describe("the file for gdb", () => {
  /** ORC: sp_offset, bp_offset, then sp_reg, bp_reg, type. */
  const orc = (sp: number, bp: number, bits: number): Buffer => {
    const bytes = Buffer.alloc(6);
    bytes.writeInt16LE(sp, 0);
    bytes.writeInt16LE(bp, 2);
    bytes.writeUInt16LE(bits, 4);
    return bytes;
  };
  const IPS = BASE + 0x10000n;
  const places = [0, 1, 5, 0x20, 0x40];
  const ips = Buffer.concat(
    places.map((place, index) => {
      const bytes = Buffer.alloc(4);
      bytes.writeInt32LE(Number(BASE - IPS) + place - index * 4);
      return bytes;
    }),
  );
  const entries = Buffer.concat([
    orc(8, 0, 0x05), // a function's first instruction
    orc(16, -16, 0x15), // after push rbp
    orc(16, -16, 0x14), // by rbp
    orc(0, 0, 0x105), // pt_regs
    orc(0, 0, 0), // nothing
  ]);
  const sections = [
    section(".text", BASE, Buffer.alloc(0x1000)),
    section(".orc_unwind_ip", IPS, ips),
    section(".orc_unwind", IPS + 0x100n, entries),
  ];
  const symbols = [
    { type: "T", name: "start_kernel", address: BASE },
    { type: "T", name: "entry_SYSCALL_64", address: BASE + 0x40n },
    { type: "A", name: "per_cpu", address: 0x1fb80n },
    { type: "t", name: "local", address: BASE + 0x20n },
  ];

  test("has the symbols, and reads back as an ELF file", () => {
    const file = symbolFile(sections, symbols, debugFrame(sections));
    expect(readSections(file).map(({ name }) => name)).toEqual([
      "",
      ".text",
      ".orc_unwind_ip",
      ".orc_unwind",
      ".debug_frame",
      ".symtab",
      ".strtab",
      ".shstrtab",
    ]);
    expect(parseSymbols(file)).toEqual([
      { address: BASE, size: 0x20n, name: "start_kernel" },
      { address: BASE + 0x20n, size: 0x20n, name: "local" },
      { address: BASE + 0x40n, size: 0n, name: "entry_SYSCALL_64" },
    ]);
  });

  test("has call frames as readelf understands them", () => {
    const folder = mkdtempSync(join(tmpdir(), "hvkit-symbols-"));
    try {
      const path = join(folder, "k.elf");
      writeFileSync(path, symbolFile(sections, symbols, debugFrame(sections)));
      const { stdout } = spawnSync("readelf", ["--debug-dump=frames-interp", path], { encoding: "utf8" });
      const rows = stdout.split("\n").filter((line) => line.startsWith("ffffffff81"));
      expect(rows.map((row) => row.replaceAll(/ +/g, " ").trim())).toEqual([
        expect.stringMatching(/^ffffffff81000000 rsp\+8 (?:[su] )*c-8$/),
        expect.stringMatching(/^ffffffff81000001 rsp\+16 (?:u )*c-16 (?:u )*c-8$/),
        expect.stringMatching(/^ffffffff81000005 rbp\+16 (?:u )*c-16 (?:u )*c-8$/),
        expect.stringMatching(/^ffffffff81000020 exp/),
      ]);
      expect(slideOf(path, BASE + 0x40n)).toBe(0n);
      expect(slideOf(path, BASE + 0x40n + 0x1a00000n)).toBe(0x1a00000n);
      expect(slideOf(path, BASE + 0x41n)).toBe(0n);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test("has none where the kernel's tables are of another form", () => {
    expect(debugFrame([...sections, section(".orc_header", BASE, Buffer.alloc(20))])).toBeUndefined();
    expect(debugFrame([])).toBeUndefined();
  });
});

test("a guest of a folder has the folder's symbols, whatever its image is called", async () => {
  const folder = mkdtempSync(join(tmpdir(), "hvkit-symbols-"));
  try {
    const files = { kernel: "mine.elf" };
    writeFileSync(
      join(folder, "image.json"),
      JSON.stringify({ name: "hello64", description: "mine", kind: "multiboot", memory: "4M", files }),
    );
    // ELF32 with a table of sections
    const elf = Buffer.alloc(64);
    elf.writeUInt32BE(0x7f454c46);
    elf[4] = 1;
    elf.writeUInt32LE(52, 0x20);
    writeFileSync(join(folder, files.kernel), elf);
    const guest = { image: "hello64", kind: "multiboot" as const, append: "", launch: { image: folder } };
    const found = await symbolsOf(
      guest,
      async () => 0n,
      () => {},
    );
    expect(found).toEqual({ file: join(folder, files.kernel), offset: 0n });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
