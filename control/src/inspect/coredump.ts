// A guest as an ELF core file (System V ABI; ET_CORE, in the form that QEMU writes): RAM as it lies, then notes and program headers, which can be
// made when RAM was copied: the guest's page tables are read from the copy. gdb and readelf open it.
//
//   0        ELF header
//   1000     guest-physical memory, byte for byte; pages of zeros are holes
//   then     notes: NT_PRSTATUS of the CPU, and QEMU's own of version 1, from which crash(8) takes CR3 and IDTR
//   then     program headers: PT_NOTE, and a PT_LOAD for each run of linear addresses (or one for RAM)

import { listMappings, type Mapping } from "./mappings.js";
import { codeBits, pagingOf, type Registers, register } from "./view.js";
import type { PhysicalMemory } from "./walk.js";

export const RAM_OFFSET = 0x1000;
const PAGE = 4096;
const EHDR = 64;
const PHDR = 56;
const ET_CORE = 4;
const EM_X86_64 = 62;
const PT_LOAD = 1;
const PT_NOTE = 4;
const NT_PRSTATUS = 1;
const [PF_X, PF_W, PF_R] = [1, 2, 4];
/** struct elf_prstatus of x86-64: the process id, and where user_regs_struct begins */
const PRSTATUS = { bytes: 336, pid: 32, registers: 112 } as const;
/** user_regs_struct */
const USER_REGS = [
  ...["r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi", "rax", "rip", "cs.selector"],
  ...["rflags", "rsp", "ss.selector", "fs.base", "gs.base", "ds.selector", "es.selector", "fs.selector", "gs.selector"],
];
const QEMU_GENERAL = ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp"];
const QEMU_SEGMENTS = ["cs", "ds", "es", "fs", "gs", "ss", "ldtr", "tr", "gdtr", "idtr"];

export interface CoreSink {
  write(bytes: Uint8Array, position: number): Promise<void>;
}

export interface CoreOptions {
  /** segments by guest-physical address, whatever the guest's paging */
  physical: boolean;
  /** bytes of RAM that were copied, and all of them; it may throw to break off */
  onProgress: (done: number, total: number) => void;
}

const CHUNK = 1 << 20;

/** RAM, at RAM_OFFSET. */
export async function copyRam(sink: CoreSink, memory: PhysicalMemory, onProgress: CoreOptions["onProgress"]): Promise<void> {
  const read = (at: number): Promise<Uint8Array> => memory.read(at, Math.min(CHUNK, memory.bytes - at));
  let next = read(0);
  for (let at = 0; at < memory.bytes; at += CHUNK) {
    const part = await next;
    if (at + CHUNK < memory.bytes) {
      next = read(at + CHUNK);
      next.catch(() => undefined); // taken up at the next turn, if there is one
    }
    for (const { start, end } of usedRuns(part)) await sink.write(part.subarray(start, end), RAM_OFFSET + at + start);
    onProgress(at + part.length, memory.bytes);
  }
}

/** All but RAM. `copy` is what was copied. Resolves to the file's length, and the number of segments. */
export async function finishCore(
  sink: CoreSink,
  copy: PhysicalMemory,
  registers: Registers,
  { physical }: Pick<CoreOptions, "physical">,
): Promise<{ bytes: number; segments: number }> {
  const paging = pagingOf(registers);
  const segments = await listMappings(copy, physical ? { ...paging, cr0: 0n } : paging);
  const notes = coreNotes(registers);
  const notesAt = RAM_OFFSET + copy.bytes;
  const headersAt = notesAt + notes.length;
  const headers = programHeaders(segments, notesAt, notes.length);
  await sink.write(notes, notesAt);
  await sink.write(headers, headersAt);
  await sink.write(elfHeader(headersAt, segments.length + 1), 0);
  return { bytes: headersAt + headers.length, segments: segments.length };
}

/** The parts of whole pages that are not all zeros. */
export function usedRuns(bytes: Uint8Array): { start: number; end: number }[] {
  const runs: { start: number; end: number }[] = [];
  for (let start = 0; start < bytes.length; start += PAGE) {
    const end = Math.min(start + PAGE, bytes.length);
    if (isZero(bytes.subarray(start, end))) continue;
    const last = runs.at(-1);
    if (last?.end === start) last.end = end;
    else runs.push({ start, end });
  }
  return runs;
}

const ZEROS = Buffer.alloc(PAGE);
const isZero = (page: Uint8Array): boolean => ZEROS.subarray(0, page.length).equals(page);

/** CORE's NT_PRSTATUS, then QEMU's note. */
export function coreNotes(registers: Registers): Buffer {
  return Buffer.concat([note("CORE", NT_PRSTATUS, prstatus(registers)), note("QEMU", 0, qemuState(registers))]);
}

function note(name: string, type: number, description: Buffer): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt32LE(name.length + 1, 0);
  header.writeUInt32LE(description.length, 4);
  header.writeUInt32LE(type, 8);
  return Buffer.concat([header, padded(Buffer.from(`${name}\0`)), padded(description)]);
}

const padded = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);

/** The second rax is orig_rax: of a CPU that is in no system call. */
function prstatus(registers: Registers): Buffer {
  const found = Buffer.alloc(PRSTATUS.bytes);
  found.writeUInt32LE(1, PRSTATUS.pid);
  for (const [index, name] of USER_REGS.entries()) {
    const value = index === USER_REGS.lastIndexOf("rax") ? 0xffff_ffff_ffff_ffffn : register(registers, name);
    found.writeBigUInt64LE(value, PRSTATUS.registers + 8 * index);
  }
  return found;
}

/** version 1: eight general registers, R8 to R15, RIP, RFLAGS, ten segments, CR0 to CR4, KERNEL_GS_BASE. A segment: selector, limit, flags (a
 *  descriptor's second dword), padding, base. */
function qemuState(registers: Registers): Buffer {
  const parts: Buffer[] = [];
  const u64 = (value: bigint): void => {
    const part = Buffer.alloc(8);
    part.writeBigUInt64LE(value);
    parts.push(part);
  };
  for (const name of [...QEMU_GENERAL, "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip", "rflags"])
    u64(register(registers, name));
  for (const name of QEMU_SEGMENTS) {
    const field = (part: string): bigint => register(registers, `${name}.${part}`);
    u64((BigInt.asUintN(32, field("limit")) << 32n) | BigInt.asUintN(32, field("selector")));
    u64((field("attributes") & 0xf0ffn) << 8n);
    u64(field("base"));
  }
  for (const name of ["cr0", "cr1", "cr2", "cr3", "cr4", "kernelGsBase"]) u64(register(registers, name));
  const state = Buffer.concat(parts);
  const head = Buffer.alloc(8);
  head.writeUInt32LE(1, 0);
  head.writeUInt32LE(state.length + head.length, 4);
  return Buffer.concat([head, state]);
}

function elfHeader(headersAt: number, count: number): Buffer {
  const header = Buffer.alloc(EHDR);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]); // ELF64, little endian
  header.writeUInt16LE(ET_CORE, 16);
  header.writeUInt16LE(EM_X86_64, 18);
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(BigInt(headersAt), 32);
  header.writeUInt16LE(EHDR, 52);
  header.writeUInt16LE(PHDR, 54);
  header.writeUInt16LE(count, 56);
  return header;
}

function programHeaders(segments: readonly Mapping[], notesAt: number, notesBytes: number): Buffer {
  const headers = Buffer.alloc((segments.length + 1) * PHDR);
  const put = (index: number, type: number, flags: number, offset: number, linear: bigint, physical: number, bytes: number): void => {
    const at = index * PHDR;
    headers.writeUInt32LE(type, at);
    headers.writeUInt32LE(flags, at + 4);
    headers.writeBigUInt64LE(BigInt(offset), at + 8);
    headers.writeBigUInt64LE(linear, at + 16);
    headers.writeBigUInt64LE(BigInt(physical), at + 24);
    headers.writeBigUInt64LE(BigInt(bytes), at + 32);
    headers.writeBigUInt64LE(BigInt(bytes), at + 40);
    headers.writeBigUInt64LE(type === PT_NOTE ? 4n : BigInt(PAGE), at + 48);
  };
  put(0, PT_NOTE, PF_R, notesAt, 0n, 0, notesBytes);
  for (const [index, { linear, physical, bytes, writable, executable }] of segments.entries()) {
    const flags = PF_R | (writable ? PF_W : 0) | (executable ? PF_X : 0);
    put(index + 1, PT_LOAD, flags, RAM_OFFSET + physical, linear, physical, bytes);
  }
  return headers;
}

/** For whoever opens the file: what gdb must be told. */
export const gdbArchitecture = (registers: Registers): string => ({ 16: "i8086", 32: "i386", 64: "i386:x86-64" })[codeBits(registers)];
