// A guest's state besides its RAM, out of the hypervisor and into it: the operations behind guestStateSave and guestStateLoad of client.ts.
// Nothing is interpreted here but what the two vendors' CPUs keep in different places (transplant.ts).
import { ReasonTable } from "../../../hv/machine/layout.js";
import { CpuModel, GuestEntryReply, GuestLimit, GuestPart, GuestPartArgs, Op, type Vendor } from "../../../protocol/messages.js";
import { ExitField, Register } from "../../../protocol/state.js";
import { HvkitError } from "../errors.js";
import { type Message, roomBeside } from "./codec.js";
import { CPUID_BYTES, decodeCpuid, encodeCpuid } from "./cpuid.js";
import type { CpuidRow, GuestMachineInfo, SavedState } from "./saved.js";
import { transplant } from "./transplant.js";

export interface StateCalls {
  request(op: Op, words: readonly (bigint | number)[], bytes?: Uint8Array): Promise<Message>;
  consoleWrite(guest: number, port: number, bytes: Uint8Array): Promise<void>;
}

/** legacy region of the XSAVE area; then a header that begins with XSTATE_BV (SDM vol. 1, 13.4) */
const FPU_LEGACY_BYTES = 512;
const X87_AND_SSE = 3n;
const WRITE_BYTES = roomBeside(GuestPartArgs.Words);
/** Pairs of a register and its value in one message, beside the guest. */
const PAIRS = Math.floor((roomBeside(1) - 16) / 16);
/** Where each of these is allowed depends on those before it; PAE's page-directory pointers are read when CR0 comes. */
const first: readonly Register[] = [Register.Efer, Register.Cr4, Register.Cr3, Register.Cr0];

export async function saveState(calls: StateCalls, guest: number, xsave: boolean): Promise<SavedState> {
  const entry = await calls.request(Op.GuestEntry, [guest]);
  const reply = await calls.request(Op.GuestRegisters, [guest]);
  const registers = Array.from({ length: Register.Count }, (_, index) => reply.word(index));
  // Of the same moment as the clock.
  registers[Register.Tsc] = entry.word(GuestEntryReply.Tsc);
  const read = (part: GuestPart, bytes: number): Promise<Uint8Array> => readPart(calls, guest, part, bytes);
  const input = await read(GuestPart.Input, 2 * GuestLimit.InputBytes);
  const ring = (port: 0 | 1): Uint8Array => {
    const at = GuestEntryReply.InHead0 + 2 * port;
    return unroll(input.subarray(port * GuestLimit.InputBytes, (port + 1) * GuestLimit.InputBytes), entry.number(at + 1), entry.number(at));
  };
  return {
    registers,
    inject: entry.word(GuestEntryReply.Inject),
    injectLength: entry.number(GuestEntryReply.InjectLength),
    halted: entry.number(GuestEntryReply.Halted) !== 0,
    events: entry.number(GuestEntryReply.Events),
    clockNs: entry.word(GuestEntryReply.ClockNs),
    tscKhz: entry.number(GuestEntryReply.TscKhz),
    cpuModel: entry.number(GuestEntryReply.CpuModel) === CpuModel.Portable ? "portable" : "host",
    cpuid: await readCpuid(calls, guest),
    fpu: await read(GuestPart.Fpu, xsave ? GuestLimit.FpuBytes : FPU_LEGACY_BYTES),
    region: await read(GuestPart.Region, entry.number(GuestEntryReply.RegionBytes)),
    consoleInput: [ring(0), ring(1)],
  };
}

export async function loadState(calls: StateCalls, guest: number, saved: SavedState, xsave: boolean, vendor: Vendor): Promise<void> {
  const state = transplant(saved, vendor);
  const entry = await calls.request(Op.GuestEntry, [guest]);
  const regionBytes = entry.number(GuestEntryReply.RegionBytes);
  if (state.region.length !== regionBytes) {
    throw misfit(`its state region has ${state.region.length} bytes; this hypervisor's has ${regionBytes}`);
  }
  if (state.registers.length !== Register.Count) throw misfit(`it has ${state.registers.length} registers instead of ${Register.Count}`);
  await writePart(calls, guest, GuestPart.Region, state.region);
  await writePart(calls, guest, GuestPart.Fpu, fpuArea(state.fpu, xsave));
  await writePart(calls, guest, GuestPart.CpuidNew, encodeCpuid(state.cpuid));
  await writeRegisters(calls, guest, state);
  for (const port of [0, 1] as const) {
    if (state.consoleInput[port].length > GuestLimit.InputBytes) throw misfit("it has more console input than a guest's ring holds");
    if (state.consoleInput[port].length > 0) await calls.consoleWrite(guest, port, state.consoleInput[port]);
  }
  const tsc = state.registers[Register.Tsc] ?? 0n;
  await calls.request(Op.GuestRestore, [guest, state.halted ? 1 : 0, state.events, state.clockNs, tsc]);
}

/** Of a guest in whatever state. */
export async function readCpuid(calls: StateCalls, guest: number): Promise<CpuidRow[]> {
  return decodeCpuid(await readPart(calls, guest, GuestPart.Cpuid, CPUID_BYTES));
}

/** Of a guest in whatever state. */
export async function readMachine(calls: StateCalls, guest: number): Promise<GuestMachineInfo> {
  const entry = await calls.request(Op.GuestEntry, [guest]);
  const waiting = (head: GuestEntryReply, tail: GuestEntryReply): number => (entry.number(head) - entry.number(tail)) >>> 0;
  return {
    inject: entry.word(GuestEntryReply.Inject),
    halted: entry.number(GuestEntryReply.Halted) !== 0,
    events: entry.number(GuestEntryReply.Events),
    clockNs: entry.word(GuestEntryReply.ClockNs),
    tsc: entry.word(GuestEntryReply.Tsc),
    tscKhz: entry.number(GuestEntryReply.TscKhz),
    inputBytes: [waiting(GuestEntryReply.InHead0, GuestEntryReply.InTail0), waiting(GuestEntryReply.InHead1, GuestEntryReply.InTail1)],
    region: await readPart(calls, guest, GuestPart.Region, entry.number(GuestEntryReply.RegionBytes)),
  };
}

/** The machine's ReasonTable: what its vendor's raw exit reasons mean. */
export function readReasons(calls: StateCalls, guest: number): Promise<Uint8Array> {
  return readPart(calls, guest, GuestPart.Reasons, ReasonTable.Bytes);
}

async function readPart(calls: StateCalls, guest: number, part: GuestPart, bytes: number): Promise<Uint8Array> {
  const result = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at += GuestLimit.ReadBytes) {
    const size = Math.min(GuestLimit.ReadBytes, bytes - at);
    const piece = (await calls.request(Op.GuestPartRead, [guest, part, at, size])).bytes(0);
    if (piece.length !== size) {
      throw new HvkitError("E_LINK_MESSAGE", `The hypervisor sent ${piece.length} bytes of a guest's state where ${size} were asked for.`);
    }
    result.set(piece, at);
  }
  return result;
}

async function writePart(calls: StateCalls, guest: number, part: GuestPart, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; at += WRITE_BYTES) {
    await calls.request(Op.GuestPartWrite, [guest, part, at], bytes.subarray(at, at + WRITE_BYTES));
  }
}

async function writeRegisters(calls: StateCalls, guest: number, state: SavedState): Promise<void> {
  const rest = [...state.registers.keys()].filter((register) => register !== Register.Tsc && !first.includes(register));
  const pairs = [...first, ...rest].flatMap((register) => [BigInt(register), state.registers[register] ?? 0n]);
  pairs.push(BigInt(ExitField.InjectLength), BigInt(state.injectLength), BigInt(ExitField.Inject), state.inject);
  for (let at = 0; at < pairs.length; at += 2 * PAIRS) {
    await calls.request(Op.GuestRegistersWrite, [guest, ...pairs.slice(at, at + 2 * PAIRS)]);
  }
}

/** What was saved by FXSAVE is loaded by XRSTOR as x87 and SSE state that is in use. */
function fpuArea(fpu: Uint8Array, xsave: boolean): Uint8Array {
  if (fpu.length !== FPU_LEGACY_BYTES && fpu.length !== GuestLimit.FpuBytes) throw misfit(`its FPU state has ${fpu.length} bytes`);
  if (!xsave) return fpu.subarray(0, FPU_LEGACY_BYTES);
  if (fpu.length > FPU_LEGACY_BYTES) return fpu;
  const area = new Uint8Array(GuestLimit.FpuBytes);
  area.set(fpu);
  new DataView(area.buffer).setBigUint64(FPU_LEGACY_BYTES, X87_AND_SSE, true);
  return area;
}

/** The bytes of a ring between two free-running indices. */
function unroll(ring: Uint8Array, tail: number, head: number): Uint8Array {
  const count = Math.min((head - tail) >>> 0, ring.length);
  return Uint8Array.from({ length: count }, (_, index) => ring[((tail >>> 0) + index) % ring.length] ?? 0);
}

/** A state that does not fit this hypervisor. */
function misfit(why: string): HvkitError {
  return new HvkitError("E_STATE", `The saved state does not fit: ${why}.`, {
    hint: "It was saved by another build of hvkit, or is damaged.",
  });
}
