// The faults that led to a triple fault, put together from where the guest stands: no handler was entered, so RIP is still at what raised the
// first exception, CR2 has the last page fault, and the tables are as the CPU found them. What the CPU was delivering at the last exit is on
// record where the vendor keeps it.
import { HvkitError } from "../errors.js";
import { readCode } from "../inspect/code.js";
import { eventOf } from "../inspect/devices/machine.js";
import type { Instruction } from "../inspect/disasm.js";
import { cached, faultText } from "../inspect/memory.js";
import { linearOf, type MachineView, pagingOf, type Registers, register } from "../inspect/view.js";
import { walkPages } from "../inspect/walk.js";
import { checkGate, type GateCheck } from "./gate.js";

export interface FaultChain {
  /** the exception that came first; undefined: nothing tells */
  first: { vector: number; because: string } | undefined;
  /** why it could not be delivered */
  gate: GateCheck | undefined;
  /** why the double fault could not be delivered either */
  doubleFault: GateCheck;
  /** CR2, and why there is no page; null: CR2 is mapped, or was never set */
  pageFault: { address: bigint; why: string } | null;
  /** CR2 lies in this gate, and its page is mapped: the CPU could not read what the guest's tables let it read; null: no sign of that */
  unread: { vector: number; address: bigint } | null;
}

const DF = 8;
const CR0_PG = 1n << 31n;
const EFER_LMA = 1n << 10n;

/** @param recorded events that the CPU was delivering at the last exit, in ExitField.Vectoring's form, the surest first */
export async function collectFault(view: MachineView, registers: Registers, recorded: readonly bigint[]): Promise<FaultChain> {
  const memory = cached(view.memory);
  const fetched = linearOf(registers, "cs", register(registers, "rip"));
  const code = await readCode(memory, registers, fetched, 1).catch((error: unknown) => {
    if (error instanceof HvkitError && error.code === "E_UNMAPPED") return error.message;
    throw error;
  });
  const cr2 = register(registers, "cr2");
  const atCr2 = await walkPages(memory, pagingOf(registers), cr2);
  const why = atCr2.fault ? faultText(atCr2) : "";
  const pageFault = cr2 !== 0n && atCr2.fault ? { address: cr2, why } : null;
  const first = firstFault(recorded, code, pageFault !== null);
  const gate = first && first.vector !== DF ? await checkGate(memory, registers, first.vector) : undefined;
  const doubleFault = await checkGate(memory, registers, DF);
  return { first, gate, doubleFault, pageFault, unread: atCr2.fault ? null : unreadGate(registers, cr2, [doubleFault, gate]) };
}

/** The gate that CR2 lies in. A gate that was read and is bad leaves CR2 alone, or at the address that raised #PF. */
function unreadGate(registers: Registers, cr2: bigint, gates: readonly (GateCheck | undefined)[]): FaultChain["unread"] {
  if (!(register(registers, "cr0") & CR0_PG)) return null;
  const bytes = register(registers, "efer") & EFER_LMA ? 16n : 8n;
  const found = gates.find((gate) => gate && cr2 >= gate.address && cr2 < gate.address + bytes);
  return found ? { vector: found.vector, address: found.address } : null;
}

const RAISES: Readonly<Record<string, number>> = {
  ud2: 6,
  ud1: 6,
  ud0: 6,
  db: 6,
  int3: 3,
  int1: 1,
  div: 0,
  idiv: 0,
  hlt: 13,
  lidt: 13,
  lgdt: 13,
};

/** @param code at RIP, or why there is none */
export function firstFault(
  recorded: readonly bigint[],
  code: { instructions: readonly Instruction[] } | string,
  pageFault: boolean,
): FaultChain["first"] {
  for (const value of recorded) {
    const event = eventOf(value);
    if (event?.type === "exception") return { vector: event.vector, because: "the CPU was delivering it" };
  }
  if (typeof code === "string") return { vector: 14, because: `the instruction cannot be fetched: ${code}` };
  const [instruction] = code.instructions;
  const vector = instruction && RAISES[instruction.mnemonic];
  if (vector !== undefined) return { vector, because: `'${instruction?.text}' raises it` };
  if (pageFault) return { vector: 14, because: "CR2 has an address that is not mapped" };
  return undefined;
}
