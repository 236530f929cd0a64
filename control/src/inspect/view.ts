// What the tools that look inside need of a guest, wherever it comes from: the hypervisor that has it now (client/liveview.ts), or a file.
// Commands and diagnoses are written against this alone.
import type { PagingRegisters, PhysicalMemory } from "./walk.js";

/** By the names of `hvkit regs`: rax, cs.base, efer, ... */
export type Registers = Readonly<Record<string, bigint>>;

/** A field of a record of the machine's state region: its value, or the values of an array. */
export type Field = bigint | readonly bigint[];
/** The state region, by the names of hv/machine/state.ts: records.picMaster.imr */
export type Records = Readonly<Record<string, Readonly<Record<string, Field>>>>;

/** The machine around the vCPU. */
export interface MachineState {
  records: Records;
  /** the guest's time, in which the devices' times are told */
  clockNs: bigint;
  /** it waits in HLT */
  halted: boolean;
  /** the event that the next entry delivers, in ExitField.Inject's form (protocol/state.ts); 0: none */
  inject: bigint;
  /** EventBit bits that the machine was not told yet */
  events: number;
  /** bytes of console input that it has not taken from COM1's and COM2's rings */
  inputBytes: readonly [number, number];
}

export interface MachineView {
  /** the guest's name */
  readonly name: string;
  readonly memory: PhysicalMemory;
  registers(): Promise<Registers>;
  machine(): Promise<MachineState>;
}

export const register = (registers: Registers, name: string): bigint => registers[name] ?? 0n;

export function pagingOf(registers: Registers): PagingRegisters {
  const { cr0 = 0n, cr3 = 0n, cr4 = 0n, efer = 0n } = registers;
  return { cr0, cr3, cr4, efer };
}

/** Bits 13 (L) and 14 (D) of a code segment's attributes, EFER.LMA. */
const LONG = 0x2000n;
const DEFAULT_32 = 0x4000n;
const EFER_LMA = 0x400n;

/** The size that code has now: of the default operand, and of what a disassembler expects. */
export function codeBits(registers: Registers): 16 | 32 | 64 {
  const attributes = register(registers, "cs.attributes");
  if (attributes & LONG && register(registers, "efer") & EFER_LMA) return 64;
  return attributes & DEFAULT_32 ? 32 : 16;
}

/** CPL: SS.DPL has it in every mode (SDM vol. 3, 25.4.1). */
export const privilege = (registers: Registers): number => Number((register(registers, "ss.attributes") >> 5n) & 3n);

/** Of the code segment; 64-bit mode has none. */
export const codeBase = (registers: Registers): bigint => (codeBits(registers) === 64 ? 0n : register(registers, "cs.base"));

/** A linear address of an offset in the code segment, or in the stack's. */
export function linearOf(registers: Registers, segment: "cs" | "ss", offset: bigint): bigint {
  if (codeBits(registers) === 64) return offset;
  return BigInt.asUintN(32, register(registers, `${segment}.base`) + offset);
}
