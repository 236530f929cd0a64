// Exits at random, from a number: what a hostile guest does to its machine. The same number in the same state is the same exit, so that a
// sequence of them can be repeated, mutated, and run on two machines side by side.
import { EventBit, type Verdict } from "../../../hv/machine/layout.js";
import { BootBlock, BootLimit } from "../../../protocol/boot.js";
import { GuestKind, Vendor } from "../../../protocol/messages.js";
import { ExitField, Register } from "../../../protocol/state.js";
import { randomFrom } from "../../support/scale.js";
import { type Guest, RAW } from "./guest.js";

type Random = (below: number) => number;

const PORTS = [0x20, 0x21, 0x40, 0x42, 0x43, 0x60, 0x61, 0x64, 0x70, 0x71, 0x80, 0xa0, 0xa1, 0xe9, 0x2f9, 0x2fc, 0x3f8, 0x3f9, 0x3fa];
PORTS.push(0x3fb, 0x3fc, 0x3fd, 0x3fe, 0x3ff, 0x4d0, 0x4d1, 0x99, 0xffff);
/** these end the guest */
const ENDS = [0xf4, 0x604, 0xcf9, 0x8900, 0xb004];
const MSRS = [0x10, 0x277, 0x174, 0x175, 0x8b, 0x3a, 0x1a0, 0x1d9, 0xc0000080, 0xc0000081, 0xc0000082, 0xc0000084, 0xc0000100, 0xc0000102];
MSRS.push(0xc0010015, 0xc0011029, 0x4b564d00, 0x4b564d01, 0x4b564d01);
const LEAVES = [0, 1, 4, 6, 7, 0xb, 0xd, 0x15, 0x40000000, 0x40000001, 0x80000000, 0x80000001, 0x80000008, 0x8000001f];
const PLAIN = ["hlt", "hypercall", "pause", "wbinvd", "invd", "monitor", "rdpmc", "xsetbv"] as const;
const CODE: Record<(typeof PLAIN)[number], number[]> = {
  hlt: [0xf4],
  hypercall: [],
  pause: [0xf3, 0x90],
  wbinvd: [0x0f, 0x09],
  invd: [0x0f, 0x08],
  monitor: [0x0f, 0x01, 0xc8],
  rdpmc: [0x0f, 0x33],
  xsetbv: [0x0f, 0x01, 0xd1],
};
const PREFIXES = [[], [], [], [0x66], [0x2e], [0x48], [0xf2, 0x3e], [0xf0]];
/** page tables, code, and the border of RAM */
const PLACES = [0x1000, 0x2000, 0x3000, 0x8000, 0x100000, 0x1ffff0];
const FLAGS = [0x2n, 0x202n, 0x202n, 0x302n, 0x602n, 0x40202n, 0x20202n];
const WITH_ERROR = [8, 10, 11, 12, 13, 14, 17];
const VALID = 0x8000_0000n;

/** 64 bits: small ones, large ones, those at a border. */
function word(random: Random): bigint {
  const bits = (BigInt(random(2 ** 32)) << 32n) | BigInt(random(2 ** 32));
  const width = random(70);
  return width < 64 ? BigInt.asUintN(width + 1, bits) : width < 67 ? 0xffff_ffff_ffff_ffffn - BigInt(random(16)) : bits;
}

function pick<T>(random: Random, from: readonly T[]): T {
  return from[random(from.length)] as T;
}

/** Performs an operation: the machine's verdict. The machine has not ended. */
export function perform(guest: Guest, operation: number): Verdict {
  const random = randomFrom(operation);
  guest.now += BigInt(random(2) * random(2 ** random(28)));
  // Code is written where RIP is.
  if (guest.get(Register.Rip) > 0x1fff00n) guest.set(Register.Rip, 0x100000);
  guest.set(ExitField.Vectoring, random(8) === 0 ? VALID | BigInt(pick(random, [0, 0x200, 0x300, 0x400]) | random(32)) : 0n);
  const vector = random(32);
  const error = WITH_ERROR.includes(vector) ? 0x800 : 0;
  guest.set(ExitField.Interruption, VALID | BigInt(0x300 | error | vector));
  guest.set(Register.Rflags, pick(random, FLAGS));
  const shadow = random(8) === 0 ? 1 : 0;
  const full = random(4) === 0;
  switch (operation & 15) {
    case 0:
    case 1:
    case 2:
    case 3: {
      const port = random(200) === 0 ? pick(random, ENDS) : pick(random, PORTS);
      const input = random(2) === 0;
      guest.set(Register.Rax, random(3) === 0 ? BigInt(random(256)) : word(random));
      return guest.io({ port, size: pick(random, [1, 1, 1, 2, 4]), input, bytes: [input ? 0xec : 0xee] }, { shadow, full });
    }
    case 4:
      return string(guest, random);
    case 5:
      guest.set(Register.Rax, random(8) === 0 ? word(random) : pick(random, LEAVES));
      guest.set(Register.Rcx, random(4));
      return guest.exit("cpuid", [...pick(random, PREFIXES), 0x0f, 0xa2], { shadow, full });
    case 6: {
      guest.set(Register.Rcx, random(8) === 0 ? random(2 ** 32) : pick(random, MSRS));
      guest.set(Register.Rax, random(2 ** 32) & (random(2) ? 0x1ffffd : -1));
      guest.set(Register.Rdx, random(4) === 0 ? random(2 ** 32) : 0);
      const [name, last] = random(2) ? (["wrmsr", 0x30] as const) : (["rdmsr", 0x32] as const);
      return guest.exit(name, [...pick(random, PREFIXES), 0x0f, last], { shadow, full });
    }
    case 7:
      return control(guest, random);
    case 8: {
      const name = pick(random, PLAIN);
      guest.set(Register.Rax, random(4));
      const hypercall = guest.vendor === Vendor.Vmx ? 0xc1 : 0xd9;
      const code = name === "hypercall" ? [0x0f, 0x01, hypercall] : CODE[name];
      return guest.exit(name, [...pick(random, PREFIXES), ...code], { shadow, full });
    }
    case 9:
      if (guest.vendor === Vendor.Vmx) return guest.raw(0, { shadow, qualification: word(random) });
      return guest.raw(0x40 + vector, { shadow, qualification: word(random), info2: word(random) });
    case 10:
      // Anything at all; rarely, as most of it ends the guest.
      if (random(16) !== 0) return guest.raw(guest.reason(pick(random, ["interruptWindow", "nmiWindow"])), { shadow });
      return anything(guest, random);
    case 11:
      guest.input.push(...Array.from({ length: random(20) }, () => random(256)));
      return guest.machine.event(random(16) & (EventBit.Timer | EventBit.ConsoleInput | EventBit.ConsoleRoom | EventBit.Nmi));
    case 12:
      guest[pick(random, ["long", "protected", "real"] as const)]();
      return guest.machine.event(0);
    case 13: {
      const at = pick(random, PLACES) + random(16);
      for (let byte = 0; byte < random(9); byte++) guest.ram[at + byte] = random(256);
      guest.set(random(16), word(random));
      return guest.machine.event(EventBit.Timer);
    }
    case 14:
      if (random(8) === 0) boot(guest, random);
      return guest.machine.event(EventBit.Timer);
    default:
      return guest.exit("cpuid", [0x0f, 0xa2], { full });
  }
}

/** INS and OUTS from anywhere to anywhere, with all prefixes. */
function string(guest: Guest, random: Random): Verdict {
  const input = random(2) === 0;
  const size = pick(random, [1, 2, 4] as const);
  const addressBytes = pick(random, [2, 4, 8] as const);
  const repeat = random(2) === 0;
  guest.set(Register.Rcx, random(4) === 0 ? word(random) : random(64));
  for (const pointer of [Register.Rsi, Register.Rdi]) {
    guest.set(pointer, random(3) === 0 ? word(random) : pick(random, PLACES) + random(0x1000));
  }
  const bytes = [...(repeat ? [0xf3] : []), ...pick(random, PREFIXES.slice(0, 5)), input ? 0x6c + random(2) : 0x6e + random(2)];
  // REP to a port that ends the guest is another test's.
  return guest.io({ port: pick(random, PORTS), size, input, string: { repeat, addressBytes, segment: random(6) }, bytes });
}

/** MOV CR, CLTS, LMSW: VMX says what it was, SVM's bytes do. */
function control(guest: Guest, random: Random): Verdict {
  const number = pick(random, [0, 0, 2, 3, 4, 4, 8, random(16)]);
  const register = random(16);
  guest.set(register, random(2) ? word(random) : pick(random, [0x11, 0x80000011, 0x80000001, 0x20, 0xa0, 0x6a0, 0x1000, 0x8]));
  const kind = random(4);
  const rex = 0x40 | (register >> 3) | ((number >> 3) << 2);
  const modrm = 0xc0 | ((number & 7) << 3) | (register & 7);
  const code = [
    [0x0f, 0x22, modrm],
    [0x0f, 0x20, modrm],
    [0x0f, 0x06],
    [0x0f, 0x01, 0xf0 | (register & 7)],
  ][kind] as number[];
  const bytes = rex === 0x40 ? code : [rex, ...code];
  guest.code(bytes);
  const qualification = BigInt(number | (kind << 4) | (register << 8) | (random(65536) << 16));
  if (guest.vendor === Vendor.Vmx) return guest.raw(28, { length: bytes.length, qualification });
  return guest.raw(kind < 2 ? (kind === 0 ? 0x10 : 0) + number : 0x65, {});
}

function anything(guest: Guest, random: Random): Verdict {
  const names = Object.keys(RAW) as (keyof typeof RAW)[];
  const reason = random(2) ? guest.reason(pick(random, names)) : random(0x410);
  const linear = Number(guest.get(Register.Rip) & 0x1fffefn);
  for (let byte = 0; byte < 16; byte++) guest.ram[linear + byte] = random(256);
  guest.set(ExitField.InstructionInfo, random(0x40000));
  return guest.raw(reason, { length: random(16), shadow: random(2), qualification: word(random), info2: word(random) });
}

const BLOCK = 0x180000;
const KERNEL = 0x190000;

/** A boot block and a kernel that are nearly right: the loaders read both. */
function boot(guest: Guest, random: Random): void {
  const words: number[] = [];
  words[BootBlock.Magic] = BootLimit.Magic;
  words[BootBlock.Kernel] = KERNEL;
  words[BootBlock.KernelBytes] = random(0x10000);
  words[BootBlock.CommandLine] = BLOCK + 0x200;
  words[BootBlock.CommandLineBytes] = random(64);
  words[BootBlock.Modules] = random(3);
  for (let module = 0; module < 2; module++) words.push(0x1a0000, random(0x20000), BLOCK + 0x200, random(32));
  words.forEach((value, index) => {
    guest.ram.writeBigUInt64LE(random(40) === 0 ? word(random) : BigInt(value), BLOCK + index * 8);
  });
  const u32 = (offset: number, value: number): void => {
    guest.ram.writeUInt32LE((random(16) === 0 ? random(2 ** 32) : value) >>> 0, KERNEL + offset);
  };
  guest.ram.fill(0, KERNEL, KERNEL + 0x1000);
  const kind = pick(random, [GuestKind.Linux, GuestKind.Multiboot, GuestKind.BootSector, random(8)]);
  if (kind === GuestKind.Linux) {
    for (const [offset, value] of [
      [0x1f4, 0x200],
      [0x1f1, 1],
      [0x202, 0x53726448],
      [0x206, 0x20f],
      [0x236, 1],
      [0x238, 2047],
    ] as const)
      u32(offset, value);
    for (const offset of [0x22c, 0x230, 0x258, 0x260]) u32(offset, 2 ** random(24));
  } else if (kind === GuestKind.Multiboot) {
    const flags = pick(random, [0, 3, 0x10003, 4]);
    const [header, magic] = [0x200, 0x1badb002];
    [magic, flags, -(magic + flags), KERNEL + header, KERNEL, 0, 0x150000, KERNEL].forEach((value, index) => {
      u32(header + index * 4, value);
    });
    // ELF32 with two segments
    [0x464c457f, 0x010101].forEach((value, index) => {
      u32(index * 4, value);
    });
    for (const [offset, value] of [
      [16, 0x30002],
      [20, 1],
      [24, 0x100000],
      [28, 52],
      [40, 52 | (32 << 16)],
      [44, 2],
    ] as const)
      u32(offset, value);
    for (const at of [52, 84]) {
      [1, 0x400, 0x100000, 0x100000 + at, random(4096), random(8192), 7, 4096].forEach((value, index) => {
        u32(at + index * 4, value);
      });
    }
  } else guest.ram.writeUInt16LE(0xaa55, KERNEL + 510);
  guest.machine.boot(kind, BigInt(BLOCK), words.length * 8);
  guest.machine.bootValue();
}
