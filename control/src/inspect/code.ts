// The guest's code at an address, read through its page tables and disassembled: for `hvkit disasm`, and as evidence of `hvkit why`.
import type { HvkitError } from "../errors.js";
import { type CodeBits, disassemble, type Instruction, MAX_INSTRUCTION } from "./disasm.js";
import { readMapped } from "./memory.js";
import { codeBase, codeBits, pagingOf, type Registers } from "./view.js";
import type { PagingRegisters, PhysicalMemory } from "./walk.js";

export interface Code {
  bits: CodeBits;
  instructions: Instruction[];
  /** why there are fewer than were asked for: the page behind them is not there */
  unmapped: HvkitError | undefined;
}

/** @param paging by default the guest's; without paging `address` is guest-physical. Throws E_UNMAPPED when nothing is there. */
export async function readCode(
  memory: PhysicalMemory,
  registers: Registers,
  address: bigint,
  count: number,
  { bits = codeBits(registers), paging = pagingOf(registers) }: { bits?: CodeBits; paging?: PagingRegisters } = {},
): Promise<Code> {
  const { bytes, unmapped } = await readMapped(memory, paging, address, count * MAX_INSTRUCTION);
  return { bits, instructions: disassemble(bits, address, bytes, count, codeBase(registers)), unmapped };
}
