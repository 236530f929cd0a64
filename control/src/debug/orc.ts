// The kernel's ORC tables as DWARF call frame information: where the caller's frame is, for each instruction, so that gdb's back traces are right
// in a kernel without frame pointers or debug information (Linux, arch/x86/include/asm/orc_types.h; DWARF 5, 6.4).
import type { Section } from "./vmlinux.js";

const ENTRY_BYTES = 6;
/** Rows of one frame description: gdb executes all of those before the one that it wants. */
const ROWS = 48;

/** orc_entry.sp_reg and bp_reg */
enum Base {
  Undefined = 0,
  PreviousSp = 1,
  Bp = 4,
  Sp = 5,
}

/** orc_entry.type, until 6.2: a call's frame, pt_regs, the CPU's own frame */
enum Kind {
  Call = 0,
  Registers = 1,
  Interrupt = 2,
}

// DWARF numbers of registers (System V ABI, AMD64, figure 3.36), and opcodes.
const RBX = 3;
const RBP = 6;
const RSP = 7;
const RIP = 16;
const CALLEE_SAVED = [RBX, 12, 13, 14, 15];
const DEF_CFA_SF = 0x12;
const DEF_CFA_EXPRESSION = 0x0f;
const EXPRESSION = 0x10;
const UNDEFINED = 0x07;
const SAME_VALUE = 0x08;
const ADVANCE_LOC4 = 0x04;
const OFFSET_EXTENDED_SF = 0x11;
const OP_BREG0 = 0x70;
const OP_DEREF = 0x06;

/** Offsets in pt_regs. */
const PT_REGS: readonly [number, number][] = [
  [15, 0],
  [14, 8],
  [13, 16],
  [12, 24],
  [RBP, 32],
  [RBX, 40],
];
const PT_REGS_RIP = 128;
/** From RIP on the CPU's own frame: RIP, CS, RFLAGS, RSP. */
const FRAME_RSP = 24;

/** The section .debug_frame; undefined: the kernel has no ORC tables, or newer ones than this knows. */
export function debugFrame(sections: readonly Section[]): Buffer | undefined {
  const ips = sections.find(({ name }) => name === ".orc_unwind_ip");
  const entries = sections.find(({ name }) => name === ".orc_unwind");
  // .orc_header came with another form of the entries.
  if (!ips || !entries || sections.some(({ name }) => name === ".orc_header")) return undefined;
  const count = Math.min(Math.floor(ips.data.length / 4), Math.floor(entries.data.length / ENTRY_BYTES));
  const address = (index: number): bigint => ips.address + BigInt(index * 4 + ips.data.readInt32LE(index * 4));
  const parts = [commonInformation()];
  for (let first = 0; first + 1 < count; first += ROWS) {
    const last = Math.min(first + ROWS, count - 1);
    const begin = address(first);
    const code: number[] = [];
    let at = begin;
    let saved = false;
    for (let index = first; index < last; index++) {
      const next = address(index);
      if (next !== at) code.push(ADVANCE_LOC4, ...u32(Number(next - at)));
      at = next;
      const entry = entries.data.subarray(index * ENTRY_BYTES, (index + 1) * ENTRY_BYTES);
      // What pt_regs had of the registers that calls keep is undone behind it.
      if (saved) for (const register of CALLEE_SAVED) code.push(SAME_VALUE, register);
      saved = row(code, entry.readInt16LE(0), entry.readInt16LE(2), entry.readUInt16LE(4)) === Kind.Registers;
    }
    parts.push(description(begin, address(last) - begin, code));
  }
  return Buffer.concat(parts);
}

function row(code: number[], spOffset: number, bpOffset: number, bits: number): Kind {
  const sp = bits & 15;
  const bp = (bits >> 4) & 15;
  const kind = (bits >> 8) & 3;
  const base = sp === Base.Sp ? RSP : sp === Base.Bp ? RBP : undefined;
  if (base === undefined) {
    // No caller, or one that an instruction in the middle of a change of stacks has: the back trace ends.
    code.push(DEF_CFA_SF, RSP, ...sleb(-1), UNDEFINED, RIP);
    return Kind.Call;
  }
  if (kind === Kind.Call) {
    code.push(DEF_CFA_SF, base, ...sleb(spOffset / -8));
    code.push(OFFSET_EXTENDED_SF, RIP, ...sleb(1));
    if (bp === Base.PreviousSp) code.push(OFFSET_EXTENDED_SF, RBP, ...sleb(bpOffset / -8));
    else code.push(SAME_VALUE, RBP);
    return kind;
  }
  const at = (offset: number): number[] => [OP_BREG0 + base, ...sleb(spOffset + offset)];
  const rip = kind === Kind.Registers ? PT_REGS_RIP : 0;
  block(code, [DEF_CFA_EXPRESSION], [...at(rip + FRAME_RSP), OP_DEREF]);
  block(code, [EXPRESSION, RIP], at(rip));
  if (kind === Kind.Registers) for (const [register, offset] of PT_REGS) block(code, [EXPRESSION, register], at(offset));
  else code.push(SAME_VALUE, RBP);
  return kind;
}

function block(code: number[], opcode: readonly number[], expression: readonly number[]): void {
  code.push(...opcode, expression.length, ...expression);
}

/** Code alignment 1, data alignment -8, return address in RIP. */
function commonInformation(): Buffer {
  return entry([...u32(0xffffffff), 1, 0, 1, ...sleb(-8), RIP]);
}

function description(begin: bigint, length: bigint, code: readonly number[]): Buffer {
  const range = Buffer.alloc(16);
  range.writeBigUInt64LE(BigInt.asUintN(64, begin), 0);
  range.writeBigUInt64LE(length, 8);
  return entry([...u32(0), ...range, ...code]);
}

/** Its length, and no-operations to a multiple of eight. */
function entry(bytes: number[]): Buffer {
  while ((bytes.length + 4) % 8 !== 0) bytes.push(0);
  return Buffer.from([...u32(bytes.length), ...bytes]);
}

function u32(value: number): number[] {
  return [value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >>> 24) & 255];
}

function sleb(value: number): number[] {
  const bytes: number[] = [];
  for (;;) {
    const byte = value & 127;
    value >>= 7;
    if ((value === 0 && !(byte & 64)) || (value === -1 && byte & 64)) return [...bytes, byte];
    bytes.push(byte | 128);
  }
}
