// Guest kinds: the state at each one's first instruction, and every image that must be refused, with the value that is wrong with it.
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { BootBlock, BootLimit, BootModule } from "../../../protocol/boot.js";
import { GuestKind, Status } from "../../../protocol/messages.js";
import { Register } from "../../../protocol/state.js";
import { Guest } from "./guest.js";

const MIB = 1 << 20;
const KERNEL = 2 * MIB;
const MODULE = 3 * MIB;

interface Placed {
  address: number;
  bytes: number;
  name?: string;
}

interface Block {
  kind: GuestKind;
  kernel: Uint8Array;
  kernelAt?: number;
  commandLine?: string;
  modules?: Placed[];
  ramBytes?: number;
  /** changes words of the block before it is used */
  words?: Record<number, bigint>;
  blockBytes?: number;
}

/** Puts files and a boot block into RAM, as the control plane does, and boots. */
function boot({ kind, kernel, kernelAt = KERNEL, commandLine = "", modules = [], ramBytes = 4 * MIB, words = {}, blockBytes }: Block): {
  guest: Guest;
  status: Status;
  value: bigint;
} {
  const guest = new Guest({ ramBytes });
  guest.ram.fill(0);
  guest.registers.clear();
  guest.ram.set(kernel, kernelAt);
  const at = ramBytes - BootLimit.BlockBytes;
  const count = BootBlock.Words + modules.length * BootModule.Words;
  let text = at + count * 8;
  const say = (line: string): bigint => {
    guest.ram.write(line, text);
    text += line.length;
    return BigInt(text - line.length);
  };
  const all = [
    BigInt(BootLimit.Magic),
    BigInt(kernelAt),
    BigInt(kernel.length),
    say(commandLine),
    BigInt(commandLine.length),
    BigInt(modules.length),
  ];
  for (const { address, bytes, name = "" } of modules) all.push(BigInt(address), BigInt(bytes), say(name), BigInt(name.length));
  for (const [index, value] of Object.entries(words)) all[Number(index)] = value;
  all.forEach((value, index) => {
    guest.ram.writeBigUInt64LE(BigInt.asUintN(64, value), at + index * 8);
  });
  const status = guest.machine.boot(kind, BigInt(at), blockBytes ?? text - at);
  return { guest, status, value: BigInt.asUintN(64, guest.machine.bootValue()) };
}

function text(guest: Guest, address: number): string {
  return guest.ram.toString("latin1", address, guest.ram.indexOf(0, address));
}

// --- boot sector ---

function sector(): Buffer {
  const bytes = Buffer.alloc(512, 0x90);
  bytes.writeUInt16LE(0xaa55, 510);
  return bytes;
}

describe("boot sector", () => {
  test("starts at 0:7C00h in real mode, from the first disk", () => {
    const { guest, status } = boot({ kind: GuestKind.BootSector, kernel: sector() });
    expect(status).toBe(Status.Ok);
    expect(guest.ram.subarray(0x7c00, 0x7e00)).toEqual(sector());
    expect([guest.get(Register.Rip), guest.get(Register.Rsp), guest.get(Register.Rdx)]).toEqual([0x7c00n, 0x7c00n, 0x80n]);
    expect([guest.get(Register.Cr0) & 0x80000001n, guest.get(Register.Cr4), guest.get(Register.Efer), guest.get(Register.Rflags)]).toEqual([
      0n,
      0n,
      0n,
      2n,
    ]);
    for (const first of [
      Register.EsSelector,
      Register.CsSelector,
      Register.SsSelector,
      Register.DsSelector,
      Register.FsSelector,
      Register.GsSelector,
    ]) {
      const attributes = first === Register.CsSelector ? 0x9bn : 0x93n;
      expect([0, 1, 2, 3].map((index) => guest.get(first + index))).toEqual([0n, 0n, 0xffffn, attributes]);
    }
    expect([guest.get(Register.IdtrBase), guest.get(Register.IdtrLimit)]).toEqual([0n, 0x3ffn]);
  });

  test("INT goes to an IRET; a fault goes to a halt", () => {
    const { guest } = boot({ kind: GuestKind.BootSector, kernel: sector() });
    const vector = (number: number): number => guest.ram.readUInt16LE(number * 4) + guest.ram.readUInt16LE(number * 4 + 2) * 16;
    for (const number of [0x10, 0x13, 0x21, 0xff]) expect(guest.ram[vector(number)]).toBe(0xcf);
    for (const number of [0, 6, 13]) expect([...guest.ram.subarray(vector(number), vector(number) + 2)]).toEqual([0xfa, 0xf4]);
  });

  test.each([0, 511, 513, 1024])("of %i bytes is refused", (bytes) => {
    expect(boot({ kind: GuestKind.BootSector, kernel: Buffer.alloc(bytes) })).toMatchObject({
      status: Status.BootSectorSize,
      value: BigInt(bytes),
    });
  });

  test("without 55AAh is refused", () => {
    const kernel = sector();
    kernel.writeUInt16LE(0x55aa, 510);
    expect(boot({ kind: GuestKind.BootSector, kernel })).toMatchObject({ status: Status.BootSectorNoSignature, value: 0x55aan });
  });
});

// --- Linux ---

const SETUP_SECTORS = 3;
const LOAD = KERNEL + (SETUP_SECTORS + 1) * 512;

function bzImage(change: (image: Buffer) => unknown = () => undefined, bytes = 8192): Buffer {
  const image = Buffer.alloc(Math.max(bytes, 0x400), 0xcc);
  image.fill(0, 0x1f1, 0x290);
  image[0x1f1] = SETUP_SECTORS;
  image.writeUInt16LE(0x6ceb, 0x200);
  image.write("HdrS", 0x202);
  image.writeUInt16LE(0x20f, 0x206);
  image[0x211] = 1;
  image.writeUInt32LE(0x7fffffff, 0x22c);
  image.writeUInt32LE(0x200000, 0x230);
  image[0x234] = 1;
  image.writeUInt16LE(0x3f, 0x236);
  image.writeUInt32LE(2047, 0x238);
  image.writeBigUInt64LE(0x200000n, 0x258);
  image.writeUInt32LE(0x10000, 0x260);
  change(image);
  return image.subarray(0, bytes);
}

describe("linux", () => {
  const ramBytes = 8 * MIB;

  test("starts in place at the 64-bit entry, as the boot protocol says", () => {
    const { guest, status } = boot({
      kind: GuestKind.Linux,
      kernel: bzImage(),
      commandLine: "console=ttyS0 quiet",
      modules: [{ address: 5 * MIB, bytes: 12345 }],
      ramBytes,
    });
    expect(status).toBe(Status.Ok);
    expect(guest.get(Register.Rip)).toBe(BigInt(LOAD + 0x200));
    expect([guest.get(Register.Efer), guest.get(Register.Cr4) & 0x20n, guest.get(Register.Cr0) & 0x80000001n]).toEqual([
      0x500n,
      0x20n,
      0x80000001n,
    ]);
    expect([guest.get(Register.CsSelector), guest.get(Register.DsSelector), guest.get(Register.CsAttributes)]).toEqual([
      0x10n,
      0x18n,
      0xa09bn,
    ]);
    expect(guest.get(Register.Rflags)).toBe(2n);

    const zero = Number(guest.get(Register.Rsi));
    expect(guest.ram.toString("latin1", zero + 0x202, zero + 0x206)).toBe("HdrS");
    expect(guest.ram[zero + 0x210]).toBe(0xff);
    expect(text(guest, guest.ram.readUInt32LE(zero + 0x228))).toBe("console=ttyS0 quiet");
    expect([guest.ram.readUInt32LE(zero + 0x218), guest.ram.readUInt32LE(zero + 0x21c)]).toEqual([5 * MIB, 12345]);
    const map = Array.from({ length: guest.ram[zero + 0x1e8] ?? 0 }, (_, index) => {
      const at = zero + 0x2d0 + index * 20;
      return [guest.ram.readBigUInt64LE(at), guest.ram.readBigUInt64LE(at + 8), guest.ram.readUInt32LE(at + 16)];
    });
    expect(map).toEqual([
      [0n, 0x9fc00n, 1],
      [0x9fc00n, 0x60400n, 2],
      [0x100000n, BigInt(ramBytes) - 0x100000n, 1],
    ]);
  });

  test("has a GDT that its selectors agree with, and 4 GiB mapped one to one", () => {
    const { guest } = boot({ kind: GuestKind.Linux, kernel: bzImage(), ramBytes });
    const gdt = Number(guest.get(Register.GdtrBase));
    expect(guest.ram.readBigUInt64LE(gdt + 0x10)).toBe(0x00af9b000000ffffn);
    expect(guest.ram.readBigUInt64LE(gdt + 0x18)).toBe(0x00cf93000000ffffn);
    const entry = (table: bigint, index: number): bigint => guest.ram.readBigUInt64LE(Number(table & ~0xfffn) + index * 8);
    for (const linear of [0, LOAD, 0x40000000, 0xffe00000]) {
      const pdpt = entry(guest.get(Register.Cr3), 0);
      const directory = entry(pdpt, Math.floor(linear / 2 ** 30));
      expect(entry(directory, Math.floor(linear / 2 ** 21) & 511)).toBe((BigInt(linear) & ~0x1fffffn) | 0x83n);
    }
  });

  test.each([
    ["no room for the header", 0x263, undefined, Status.LinuxTruncated, 0x263n],
    ["no room for the code", 4 * 512 + 0x200, undefined, Status.LinuxTruncated, 4n * 512n + 0x200n],
    ["magic", 8192, (image: Buffer): unknown => image.write("HdrX", 0x202), Status.LinuxNoMagic, 0x58726448n],
    ["version", 8192, (image: Buffer): unknown => image.writeUInt16LE(0x20b, 0x206), Status.LinuxTooOld, 0x20bn],
    ["32 bits only", 8192, (image: Buffer): unknown => image.writeUInt16LE(0x3e, 0x236), Status.LinuxNot64Bit, 0x3en],
    ["init_size", 8192, (image: Buffer): unknown => image.writeUInt32LE(6 * MIB + 1, 0x260), Status.LinuxNoRoom, BigInt(10 * MIB + 1)],
    ["pref_address", 8192, (image: Buffer): unknown => image.writeBigUInt64LE(0xffff_ffff_ffff_0000n, 0x258), Status.LinuxNoRoom, 0n],
    ["setup_sects", 8192, (image: Buffer): unknown => image.writeUInt8(255, 0x1f1), Status.LinuxTruncated, 8192n],
  ] as const)("is refused: %s", (_what, bytes, change, status, value) => {
    const result = boot({ kind: GuestKind.Linux, kernel: bzImage(change, bytes), ramBytes });
    expect(result.status).toBe(status);
    if (status !== Status.LinuxNoRoom) expect(result.value).toBe(value);
  });

  test("a command line longer than the kernel takes is refused", () => {
    const kernel = bzImage((image) => image.writeUInt32LE(10, 0x238));
    expect(boot({ kind: GuestKind.Linux, kernel, commandLine: "x".repeat(11), ramBytes })).toMatchObject({
      status: Status.CommandLineTooLong,
      value: 11n,
    });
  });

  test.each([
    ["where the kernel will run", 4 * MIB + 0x1000],
    ["over the kernel file", KERNEL + 0x1000],
  ])("an initrd %s is refused", (_where, address) => {
    const modules = [{ address, bytes: 4096 }];
    expect(boot({ kind: GuestKind.Linux, kernel: bzImage(), modules, ramBytes })).toMatchObject({
      status: Status.InitrdNoRoom,
      value: BigInt(address),
    });
  });

  test("an initrd above initrd_addr_max is refused; two are too many", () => {
    const low = bzImage((image) => {
      image.writeUInt32LE(0x4fffff, 0x22c);
      image.writeUInt16LE(1, 0x236);
    });
    expect(boot({ kind: GuestKind.Linux, kernel: low, modules: [{ address: 5 * MIB, bytes: 1 }], ramBytes }).status).toBe(
      Status.InitrdNoRoom,
    );
    const modules = [5 * MIB, 6 * MIB].map((address) => ({ address, bytes: 1 }));
    expect(boot({ kind: GuestKind.Linux, kernel: bzImage(), modules, ramBytes })).toMatchObject({ status: Status.BootBlockBad, value: 2n });
  });
});

// --- multiboot ---

interface Segment {
  address: number;
  data: number[];
  memory?: number;
  virtual?: number;
  type?: number;
  offset?: number;
}

const ENTRY = 0x100010;

function header(flags = 0, fields: number[] = []): number[] {
  const words = [0x1badb002, flags, (0x1_0000_0000 - 0x1badb002 - flags) >>> 0, ...fields];
  return [...Buffer.from(new Uint32Array(words).buffer)];
}

function elf(segments: Segment[], { entry = ENTRY, flags = 0, change = (_file: Buffer): void => {} } = {}): Buffer {
  const file = Buffer.alloc(0x4000);
  file.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  file.writeUInt16LE(2, 16);
  file.writeUInt16LE(3, 18);
  file.writeUInt32LE(entry, 24);
  file.writeUInt32LE(52, 28);
  file.writeUInt16LE(32, 42);
  file.writeUInt16LE(segments.length, 44);
  let data = 0x1000;
  segments.forEach(({ address, data: bytes, memory = bytes.length, virtual = address, type = 1, offset = data }, index) => {
    [type, offset, virtual, address, bytes.length, memory].forEach((value, word) => {
      file.writeUInt32LE(value, 52 + index * 32 + word * 4);
    });
    if (offset === data) file.set(bytes, data);
    data += bytes.length;
  });
  file.set(header(flags), 0x800);
  change(file);
  return file;
}

const CODE = { address: 0x100000, data: new Array<number>(64).fill(0x90), memory: 0x3000 };

describe("multiboot", () => {
  const kind = GuestKind.Multiboot;

  test("an ELF32 starts as section 3.2 says", () => {
    const { guest, status } = boot({ kind, kernel: elf([CODE, { address: 0x108000, data: [1, 2, 3] }]) });
    expect(status).toBe(Status.Ok);
    expect([...guest.ram.subarray(0x100000, 0x100041)]).toEqual([...new Array<number>(64).fill(0x90), 0]);
    expect([...guest.ram.subarray(0x108000, 0x108004)]).toEqual([1, 2, 3, 0]);
    expect([guest.get(Register.Rip), guest.get(Register.Rax)]).toEqual([BigInt(ENTRY), 0x2badb002n]);
    expect([guest.get(Register.Cr0) & 0x80000001n, guest.get(Register.Rflags), guest.get(Register.Efer)]).toEqual([1n, 2n, 0n]);
    expect([guest.get(Register.CsBase), guest.get(Register.CsLimit), guest.get(Register.CsAttributes)]).toEqual([0n, 0xffffffffn, 0xc09bn]);
    expect([guest.get(Register.SsBase), guest.get(Register.SsLimit), guest.get(Register.SsAttributes)]).toEqual([0n, 0xffffffffn, 0xc093n]);
  });

  test("information: memory, command line, modules, map, loader", () => {
    const modules = [
      { address: MODULE, bytes: 100, name: "first one" },
      { address: MODULE + 0x1000, bytes: 5 },
    ];
    const { guest } = boot({ kind, kernel: elf([CODE], { flags: 3 }), commandLine: "a b", modules });
    const info = Number(guest.get(Register.Rbx));
    const word = (offset: number): number => guest.ram.readUInt32LE(info + offset);
    expect(word(0)).toBe(0x24d);
    expect([word(4), word(8)]).toEqual([639, 3072]);
    expect(text(guest, word(16))).toBe("a b");
    expect(word(20)).toBe(2);
    const list = word(24);
    expect([0, 4].map((offset) => guest.ram.readUInt32LE(list + offset))).toEqual([MODULE, MODULE + 100]);
    expect([8, 24].map((offset) => text(guest, guest.ram.readUInt32LE(list + offset)))).toEqual(["first one", ""]);
    expect(guest.ram.readUInt32LE(list + 16)).toBe(MODULE + 0x1000);
    expect([word(44), guest.ram.readUInt32LE(word(48)), guest.ram.readBigUInt64LE(word(48) + 24 + 4)]).toEqual([72, 20, 0x9fc00n]);
    expect(text(guest, word(64))).toBe("hvkit");
  });

  test("the entry is linked at its virtual address", () => {
    const kernel = elf([{ ...CODE, virtual: 0xc0100000 }], { entry: 0xc0100020 });
    expect(boot({ kind, kernel }).guest.get(Register.Rip)).toBe(0x100020n);
  });

  test("the header's own addresses: a part of the file, and zeros behind it", () => {
    const kernel = Buffer.alloc(0x2000, 0xaa);
    kernel.set(header(0x10000, [0x101000, 0x100800, 0x101900, 0x105000, 0x101004]), 0x1000);
    const { guest, status } = boot({ kind, kernel });
    expect(status).toBe(Status.Ok);
    expect(guest.get(Register.Rip)).toBe(0x101004n);
    expect(guest.ram.readUInt32LE(0x101000)).toBe(0x1badb002);
    expect([guest.ram[0x1007ff], guest.ram[0x100800], guest.ram[0x1018ff], guest.ram[0x101900]]).toEqual([0, 0xaa, 0xaa, 0]);
  });

  test("without ends the whole file is loaded", () => {
    const kernel = Buffer.alloc(0x1800, 0xbb);
    kernel.set(header(0x10000, [0x100000, 0x100000, 0, 0, 0x100020]), 0);
    expect(boot({ kind, kernel }).guest.ram[0x1017ff]).toBe(0xbb);
  });

  test.each([
    ["entry outside", [0x100000, 0x100000, 0, 0, 0x108000], Status.ElfEntryOutside],
    ["entry below", [0x100000, 0x100000, 0, 0, 0xfffff], Status.ElfEntryOutside],
    ["load address behind the header's", [0x100000, 0x100004, 0, 0, 0x100000], Status.ElfBad],
    ["load address far below the header's", [0x104000, 0x100000, 0, 0, 0x100000], Status.ElfBad],
    ["end before the start", [0x100000, 0x100000, 0xff000, 0, 0x100000], Status.ElfOverflow],
    ["bss before the end", [0x100000, 0x100000, 0x101000, 0x100800, 0x100000], Status.ElfOverflow],
    ["more than the file has", [0x100000, 0x100000, 0x102001, 0, 0x100000], Status.ElfTruncated],
    ["beyond RAM", [0x100000, 0x100000, 0, 0x500000, 0x100000], Status.ElfNoRoom],
  ])("addresses that are refused: %s", (_what, fields, status) => {
    const kernel = Buffer.alloc(0x2000);
    kernel.set(header(0x10000, fields), 0);
    expect(boot({ kind, kernel }).status).toBe(status);
  });

  test("no header in the first 8 KiB, a wrong sum, an unaligned one", () => {
    expect(boot({ kind, kernel: Buffer.alloc(0x3000) })).toMatchObject({ status: Status.MultibootNoHeader, value: 0x3000n });
    const late = elf([CODE], { change: (file) => file.fill(0, 0x800, 0x80c) && file.set(header(), 0x2000) });
    expect(boot({ kind, kernel: late }).status).toBe(Status.MultibootNoHeader);
    const sum = elf([CODE], { change: (file) => void file.writeUInt32LE(0, 0x808) });
    expect(boot({ kind, kernel: sum }).status).toBe(Status.MultibootNoHeader);
    const unaligned = elf([CODE], { change: (file) => file.fill(0, 0x800, 0x80c) && file.set(header(), 0x802) });
    expect(boot({ kind, kernel: unaligned }).status).toBe(Status.MultibootNoHeader);
    expect(boot({ kind, kernel: Buffer.from(header()).subarray(0, 11) }).status).toBe(Status.MultibootNoHeader);
  });

  test.each([4, 8, 0x8000])("required flag %i is refused", (flags) => {
    expect(boot({ kind, kernel: elf([CODE], { flags }) })).toMatchObject({ status: Status.MultibootFlags, value: BigInt(flags) });
  });

  test.each([
    ["neither ELF nor addresses", () => elf([CODE], { change: (file) => void file.fill(0, 0, 4) }), Status.ElfBad],
    ["64-bit class", () => elf([CODE], { change: (file) => void file.writeUInt8(2, 4) }), Status.ElfBad],
    ["big endian", () => elf([CODE], { change: (file) => void file.writeUInt8(2, 5) }), Status.ElfBad],
    ["shared object", () => elf([CODE], { change: (file) => void file.writeUInt16LE(3, 16) }), Status.ElfBad],
    ["ARM", () => elf([CODE], { change: (file) => void file.writeUInt16LE(40, 18) }), Status.ElfBad],
    ["small program headers", () => elf([CODE], { change: (file) => void file.writeUInt16LE(31, 42) }), Status.ElfBad],
    ["table behind the file", () => elf([CODE], { change: (file) => void file.writeUInt32LE(0xfffffff0, 28) }), Status.ElfTruncated],
    ["many entries", () => elf([CODE], { change: (file) => void file.writeUInt16LE(0xffff, 44) }), Status.ElfTruncated],
    ["data behind the file", () => elf([{ ...CODE, offset: 0xffffffff }]), Status.ElfTruncated],
    ["more data than memory", () => elf([{ ...CODE, memory: 63 }]), Status.ElfBad],
    ["wraps", () => elf([CODE, { address: 0xfffff000, data: [], memory: 0x2000 }]), Status.ElfOverflow],
    ["beyond RAM", () => elf([{ ...CODE, memory: 3 * MIB + 1 }]), Status.ElfNoRoom],
    ["overlap of segments", () => elf([CODE, { address: 0x102fff, data: [1] }]), Status.ElfOverlap],
    ["overlap with the file", () => elf([CODE, { address: KERNEL - 1, data: [1], memory: 2 }]), Status.ElfOverlap],
    ["overlap with boot data", () => elf([CODE, { address: 0x1ffff, data: [1] }]), Status.ElfOverlap],
    ["overlap with a module", () => elf([CODE, { address: MODULE, data: [1] }]), Status.ElfOverlap],
    ["entry in no segment", () => elf([CODE], { entry: 0x103000 }), Status.ElfEntryOutside],
    ["no segment", () => elf([{ ...CODE, type: 4 }]), Status.ElfEntryOutside],
  ] as const)("ELF that is refused: %s", (_what, make, status) => {
    const { guest, ...result } = boot({ kind, kernel: make(), modules: [{ address: MODULE, bytes: 0x1000 }] });
    expect(result.status).toBe(status);
    // Nothing was loaded, and nothing set.
    expect(guest.ram.subarray(0x100000, KERNEL).every((byte) => byte === 0)).toBe(true);
    expect(guest.registers.size).toBe(0);
  });

  test("modules are on pages when the kernel wants it", () => {
    const modules = [{ address: MODULE + 8, bytes: 8 }];
    expect(boot({ kind, kernel: elf([CODE]), modules }).status).toBe(Status.Ok);
    expect(boot({ kind, kernel: elf([CODE], { flags: 1 }), modules })).toMatchObject({
      status: Status.ModuleNoRoom,
      value: BigInt(MODULE + 8),
    });
  });

  property.prop([fc.array(fc.tuple(fc.integer({ min: 0, max: 0x8ff }), fc.integer({ min: 0, max: 255 })), { maxLength: 12 })], {
    numRuns: 60,
  })("no damage to a file's headers does more than fail", (damage) => {
    const kernel = elf([CODE, { address: 0x108000, data: [1, 2, 3] }]);
    for (const [at, byte] of damage) kernel[at] = byte;
    const { guest, status } = boot({ kind, kernel });
    if (status !== Status.Ok) expect(guest.registers.size).toBe(0);
    else expect(guest.get(Register.Rip) < BigInt(guest.ram.length)).toBe(true);
  });
});

// --- the boot block ---

describe("the boot block", () => {
  const kernel = sector();
  const kind = GuestKind.BootSector;
  const huge = 0xffff_ffff_ffff_fff0n;

  test.each([
    ["magic", { [BootBlock.Magic]: 1n }, undefined],
    ["kernel outside of RAM", { [BootBlock.Kernel]: huge }, undefined],
    ["kernel in low memory", { [BootBlock.Kernel]: 0x1000n }, undefined],
    ["kernel's length wraps", { [BootBlock.KernelBytes]: huge }, undefined],
    ["command line outside", { [BootBlock.CommandLine]: huge, [BootBlock.CommandLineBytes]: 16n }, undefined],
    ["too many modules", { [BootBlock.Modules]: 17n }, undefined],
    ["more modules than words", { [BootBlock.Modules]: 1n }, 48],
    ["modules' count wraps", { [BootBlock.Modules]: huge }, undefined],
    ["too short", {}, 47],
    ["too long", {}, 65537],
  ])("is refused: %s", (_what, words, blockBytes) => {
    expect(boot({ kind, kernel, words, ...(blockBytes === undefined ? {} : { blockBytes }) }).status).toBe(Status.BootBlockBad);
  });

  test.each([
    ["outside", { address: 4 * MIB - 1, bytes: 2 }],
    ["in low memory", { address: 0x5000, bytes: 2 }],
  ])("a module %s is refused", (_where, module) => {
    expect(boot({ kind, kernel, modules: [module] }).status).toBe(Status.BootBlockBad);
  });

  test("a command line of 2048 bytes is refused", () => {
    expect(boot({ kind, kernel, commandLine: "x".repeat(2048) })).toMatchObject({ status: Status.CommandLineTooLong, value: 2048n });
  });

  test("outside of RAM is refused; so is an unknown kind", () => {
    const guest = new Guest();
    for (const block of [4n << 20n, 0xffff_ffff_ffff_ffffn, 1n << 62n])
      expect(guest.machine.boot(kind, BigInt.asIntN(64, block), 64)).toBe(Status.BootBlockBad);
    expect(boot({ kind: 9 as GuestKind, kernel })).toMatchObject({ status: Status.KindUnknown, value: 9n });
  });
});
