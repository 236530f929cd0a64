// Whether an exception can be delivered: its gate in the IDT, the handler's code segment, the handler, the stack, step by step as the CPU goes
// (SDM vol. 3, 6.12 and 6.14), by the guest's own tables. Stops at the first step that fails.
import { HvkitError } from "../errors.js";
import { hex } from "../hex.js";
import { readLinear } from "../inspect/memory.js";
import { vectorName } from "../inspect/vectors.js";
import { pagingOf, privilege, type Registers, register } from "../inspect/view.js";
import { type PhysicalMemory, walkPages } from "../inspect/walk.js";

export interface GateCheck {
  vector: number;
  /** where the gate lies, linear */
  address: bigint;
  /** of the handler; undefined: the gate could not be read, or is none */
  handler: bigint | undefined;
  /** the first thing that keeps the exception from being delivered; null: nothing was found */
  problem: string | null;
}

const LONG_GATES = [14, 15];
/** 16- and 32-bit interrupt and trap gates, and the task gate */
const GATES = [5, 6, 7, 14, 15];
const TASK_GATE = 5;

/** Fails only as `memory` does. */
export async function checkGate(memory: PhysicalMemory, registers: Registers, vector: number): Promise<GateCheck> {
  const value = (name: string): bigint => register(registers, name);
  const long = (value("efer") & 0x400n) !== 0n;
  const real = (value("cr0") & 1n) === 0n;
  const bytes = long ? 16 : real ? 4 : 8;
  const address = value("idtr.base") + BigInt(vector * bytes);
  const result = (problem: string | null, handler?: bigint): GateCheck => ({ vector, address, handler, problem });
  const read = (at: bigint, length: number): Promise<DataView | string> => readBytes(memory, registers, at, length);

  const last = vector * bytes + bytes - 1;
  if (BigInt(last) > value("idtr.limit")) {
    const what = value("idtr.limit") === 0n ? "the IDT's limit is 0" : `the IDT's limit is ${hex(value("idtr.limit"))}`;
    return result(`${what}: there is no gate for ${vectorName(vector)}`);
  }
  const gate = await read(address, bytes);
  if (typeof gate === "string") return result(`the IDT at ${hex(value("idtr.base"))} cannot be read: ${gate}`);
  if (real) return result(null, BigInt(gate.getUint16(2, true) * 16 + gate.getUint16(0, true)));

  const attributes = gate.getUint16(4, true);
  const type = (attributes >> 8) & 31;
  const offset = BigInt(gate.getUint16(0, true)) | (BigInt(gate.getUint16(6, true)) << 16n);
  const handler = long ? offset | (BigInt(gate.getUint32(8, true)) << 32n) : offset;
  const name = `${vectorName(vector)}'s gate at ${hex(address)}`;
  if (!(attributes & 0x8000)) return result(`${name} is not present${empty(gate) ? " (it is all zeros)" : ""}`);
  if (!(long ? LONG_GATES : GATES).includes(type)) return result(`${name} has type ${type}, which is no gate for an exception`);
  if (type === TASK_GATE) return result(null);

  const selector = gate.getUint16(2, true);
  const segment = await checkSegment(read, value, selector, long);
  if (segment !== null) return result(`${name} names ${segment}`, handler);
  const code = await whyNot(memory, registers, handler, "executable");
  if (code !== null) return result(`the handler of ${vectorName(vector)} at ${hex(handler)} cannot be executed: ${code}`, handler);
  const stack = await checkStack(memory, registers, read, long ? attributes & 7 : 0);
  return result(stack === null ? null : `the handler of ${vectorName(vector)} has no stack: ${stack}`, handler);
}

type Read = (at: bigint, length: number) => Promise<DataView | string>;

async function checkSegment(read: Read, value: (name: string) => bigint, selector: number, long: boolean): Promise<string | null> {
  const name = `code segment ${hex(selector)}`;
  if ((selector & ~3) === 0) return "a null code segment";
  if (selector & 4) return null; // of an LDT, which is rare enough to be believed
  if (BigInt((selector & ~7) + 7) > value("gdtr.limit")) return `${name}, beyond the GDT's limit ${hex(value("gdtr.limit"))}`;
  const descriptor = await read(value("gdtr.base") + BigInt(selector & ~7), 8);
  if (typeof descriptor === "string") return `${name}, but the GDT at ${hex(value("gdtr.base"))} cannot be read: ${descriptor}`;
  const attributes = descriptor.getUint16(5, true);
  if (!(attributes & 0x80)) return `${name}, which is not present`;
  if ((attributes & 0x18) !== 0x18) return `${name}, which is no code segment`;
  if (long && (attributes & 0x6000) !== 0x2000) return `${name}, which is no 64-bit code segment`;
  return null;
}

/** The stack that the handler gets: of the IST, of a more privileged level, or the one that there is. */
async function checkStack(memory: PhysicalMemory, registers: Registers, read: Read, ist: number): Promise<string | null> {
  const long = (register(registers, "efer") & 0x400n) !== 0n;
  const flat = register(registers, "rsp") + (long ? 0n : register(registers, "ss.base"));
  let top = long ? flat : BigInt.asUintN(32, flat);
  let where = "RSP";
  if (long && (ist > 0 || privilege(registers) > 0)) {
    where = ist > 0 ? `IST${ist} of the TSS` : "RSP0 of the TSS";
    const base = register(registers, "tr.base");
    const field = await read(base + BigInt(ist > 0 ? 0x24 + 8 * (ist - 1) : 4), 8);
    if (typeof field === "string") return `the TSS at ${hex(base)} cannot be read: ${field}`;
    top = field.getBigUint64(0, true);
  } else if (!long && privilege(registers) > 0) return null; // ESP0 of a TSS: not looked into
  const why = await whyNot(memory, registers, BigInt.asUintN(64, top - 8n), "writable");
  return why === null ? null : `${where} is ${hex(top)}: ${why}`;
}

/** Why code at `linear` cannot be executed, or data not be written; null: it can. */
async function whyNot(
  memory: PhysicalMemory,
  registers: Registers,
  linear: bigint,
  right: "executable" | "writable",
): Promise<string | null> {
  const { physical, rights } = await walkPages(memory, pagingOf(registers), linear);
  if (physical === undefined || rights === undefined) {
    const found = await readBytes(memory, registers, linear, 1);
    return typeof found === "string" ? found : null;
  }
  if (physical >= memory.bytes) return `${hex(linear)} is guest-physical ${hex(physical)}, where there is no memory`;
  if (!rights[right] && (right === "executable" || register(registers, "cr0") & 0x10000n))
    return `the page of ${hex(linear)} is not ${right}`;
  return null;
}

/** The bytes, or why they cannot be read. */
async function readBytes(memory: PhysicalMemory, registers: Registers, at: bigint, length: number): Promise<DataView | string> {
  try {
    const bytes = await readLinear(memory, pagingOf(registers), BigInt.asUintN(64, at), length);
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  } catch (error) {
    if (error instanceof HvkitError && error.code === "E_UNMAPPED") return error.message;
    throw error;
  }
}

const empty = (view: DataView): boolean =>
  Array.from({ length: view.byteLength }, (_, at) => view.getUint8(at)).every((byte) => byte === 0);
