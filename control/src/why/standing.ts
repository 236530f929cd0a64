// Where a guest stands, for the rules: its registers, the devices around it, and the code at RIP. Read from a view, whatever is behind it.
import { HvkitError } from "../errors.js";
import { readCode } from "../inspect/code.js";
import { machineOf } from "../inspect/devices/machine.js";
import { cached, readLinear } from "../inspect/memory.js";
import { linearOf, type MachineView, pagingOf, type Registers, register } from "../inspect/view.js";
import type { Standing } from "./evidence.js";

/** instructions that are shown of where it stands */
const CODE = 8;
/** bytes before RIP: the longest IN or OUT that is no string instruction */
const BEFORE = 2;
const UNREADABLE = ["E_UNMAPPED", "E_HV_MEMORY_GONE"];

export async function standingOf(view: MachineView, registers: Registers): Promise<Standing> {
  const machine = machineOf(await view.machine());
  const memory = cached(view.memory);
  const rip = linearOf(registers, "cs", register(registers, "rip"));
  const behind = await orUnmapped(() => readLinear(memory, pagingOf(registers), BigInt.asUintN(64, rip - BigInt(BEFORE)), BEFORE));
  const code = await orUnmapped(() => readCode(memory, registers, rip, CODE));
  const before = typeof behind === "string" ? new Uint8Array() : behind;
  return typeof code === "string"
    ? { registers, machine, code: [], unmapped: code, before }
    : { registers, machine, code: code.instructions, unmapped: null, before };
}

/** What is read, or why it cannot be: it is not mapped, or the guest gave its RAM. */
async function orUnmapped<T>(read: () => Promise<T>): Promise<T | string> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof HvkitError && UNREADABLE.includes(error.code)) return error.message;
    throw error;
  }
}
