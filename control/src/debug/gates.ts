// Where an interrupt or exception goes: its handler's first instruction, out of the guest's own table (SDM vol. 3, 6.10, 6.14.1, 20.1.4).
import { Register } from "../../../protocol/state.js";
import { HvkitError } from "../errors.js";
import type { Cpu } from "./cpu.js";

const CR0_PE = 1n;
const EFER_LMA = 0x400n;

/** Linear; undefined: the table has no such gate, or cannot be read. In protected mode code segments are taken to begin at 0. */
export async function handlerOf(cpu: Cpu, vector: number): Promise<bigint | undefined> {
  const [base, cr0, efer] = await Promise.all([cpu.get(Register.IdtrBase), cpu.get(Register.Cr0), cpu.get(Register.Efer)]);
  const size = !(cr0 & CR0_PE) ? 4 : efer & EFER_LMA ? 16 : 8;
  const gate = await readGate(cpu, base + BigInt(vector * size), size);
  if (!gate) return undefined;
  if (size === 4) return BigInt(gate.getUint16(2, true) * 16 + gate.getUint16(0, true));
  if (!(gate.getUint8(5) & 0x80)) return undefined;
  const low = BigInt(gate.getUint16(0, true)) | (BigInt(gate.getUint16(6, true)) << 16n);
  return size === 8 ? low : low | (BigInt(gate.getUint32(8, true)) << 32n);
}

async function readGate(cpu: Cpu, address: bigint, size: number): Promise<DataView | undefined> {
  try {
    const bytes = await cpu.memory.read(address, size);
    return bytes.length < size ? undefined : new DataView(bytes.buffer, bytes.byteOffset, size);
  } catch (error) {
    if (error instanceof HvkitError && error.code === "E_DEBUG_MEMORY") return undefined;
    throw error;
  }
}
