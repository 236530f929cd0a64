// The registers as gdb knows them: names, sizes, order, and where each is in the guest's state. description.ts makes the XML of it that gdb
// reads; the names of the system registers are those of QEMU's stub. FPU offsets: SDM vol. 1, table 10-2 (FXSAVE) and 13.5.2 (AVX).
import { Register } from "../../../protocol/state.js";
import type { Cpu } from "./cpu.js";
import type { Target } from "./target.js";

export type Feature = "core" | "segments" | "sse" | "avx" | "system";

export interface RegisterInfo {
  feature: Feature;
  name: string;
  bytes: number;
  /** of gdb's types */
  type: string;
  place: { register: Register } | { fpu: number; bytes: number } | { tags: true };
}

const general: readonly [string, Register][] = [
  ["rax", Register.Rax],
  ["rbx", Register.Rbx],
  ["rcx", Register.Rcx],
  ["rdx", Register.Rdx],
  ["rsi", Register.Rsi],
  ["rdi", Register.Rdi],
  ["rbp", Register.Rbp],
  ["rsp", Register.Rsp],
  ...Array.from({ length: 8 }, (_, index): [string, Register] => [`r${index + 8}`, Register.R8 + index]),
  ["rip", Register.Rip],
];
const segments: readonly [string, Register][] = [
  ["cs", Register.CsSelector],
  ["ss", Register.SsSelector],
  ["ds", Register.DsSelector],
  ["es", Register.EsSelector],
  ["fs", Register.FsSelector],
  ["gs", Register.GsSelector],
];
const system: readonly [string, Register][] = [
  ["k_gs_base", Register.KernelGsBase],
  ["cr0", Register.Cr0],
  ["cr2", Register.Cr2],
  ["cr3", Register.Cr3],
  ["cr4", Register.Cr4],
  ["cr8", Register.Cr8],
  ["efer", Register.Efer],
];
/** Name, offset in FXSAVE's area, bytes there. gdb has them all with 32 bits. */
const control: readonly [string, number, number][] = [
  ["fiseg", 12, 2],
  ["fioff", 8, 4],
  ["foseg", 20, 2],
  ["fooff", 16, 4],
  ["fop", 6, 2],
];
const MXCSR = 24;
const ST0 = 32;
const XMM0 = 160;
const XSTATE_BV = 512;
const YMM0_HIGH = 576;
const TAGS = 4;

/** In the order in which gdb numbers them. */
export function registerTable({ avx }: Pick<Target, "avx">): RegisterInfo[] {
  const of = (feature: Feature, bytes: number, type: (name: string) => string, rows: readonly [string, Register][]): RegisterInfo[] =>
    rows.map(([name, register]) => ({ feature, name, bytes, type: type(name), place: { register } }));
  const fpu = (feature: Feature, name: string, bytes: number, type: string, at: number, size = bytes): RegisterInfo => ({
    feature,
    name,
    bytes,
    type,
    place: { fpu: at, bytes: size },
  });
  const sixteen = <T>(make: (index: number) => T): T[] => Array.from({ length: 16 }, (_, index) => make(index));
  return [
    ...of("core", 8, (name) => (name === "rip" ? "code_ptr" : name === "rsp" || name === "rbp" ? "data_ptr" : "int64"), general),
    ...of("core", 4, () => "i386_eflags", [["eflags", Register.Rflags]]),
    ...of("core", 4, () => "int32", segments),
    ...Array.from({ length: 8 }, (_, index) => fpu("core", `st${index}`, 10, "i387_ext", ST0 + 16 * index)),
    fpu("core", "fctrl", 4, "int", 0, 2),
    fpu("core", "fstat", 4, "int", 2, 2),
    { feature: "core", name: "ftag", bytes: 4, type: "int", place: { tags: true } },
    ...control.map(([name, at, size]) => fpu("core", name, 4, "int", at, size)),
    ...of("segments", 8, () => "int64", [
      ["fs_base", Register.FsBase],
      ["gs_base", Register.GsBase],
    ]),
    ...sixteen((index) => fpu("sse", `xmm${index}`, 16, "vec128", XMM0 + 16 * index)),
    fpu("sse", "mxcsr", 4, "i386_mxcsr", MXCSR),
    ...(avx ? sixteen((index) => fpu("avx", `ymm${index}h`, 16, "uint128", YMM0_HIGH + 16 * index)) : []),
    ...of("system", 8, (name) => (["cr0", "cr4", "efer"].includes(name) ? `x64_${name}` : "int64"), system),
  ];
}

/** Little endian, as the packets have it. */
export async function readRegister(cpu: Cpu, { bytes, place }: RegisterInfo): Promise<Buffer> {
  const value = Buffer.alloc(bytes);
  if ("register" in place) {
    const whole = Buffer.alloc(8);
    whole.writeBigUInt64LE(await cpu.get(place.register));
    whole.copy(value);
    return value;
  }
  const fpu = await cpu.fpu();
  if ("tags" in place) value.writeUInt16LE(wideTags(fpu[TAGS] ?? 0));
  else value.set(fpu.subarray(place.fpu, place.fpu + place.bytes));
  return value;
}

/** Errors: E_DEBUG_REGISTER, when the CPU would not take it. */
export async function writeRegister(cpu: Cpu, { place, bytes }: RegisterInfo, value: Buffer): Promise<void> {
  if ("register" in place) {
    const whole = Buffer.alloc(8);
    value.copy(whole, 0, 0, bytes);
    await cpu.set([place.register, whole.readBigUInt64LE()]);
    return;
  }
  const fpu = Uint8Array.from(await cpu.fpu());
  if ("tags" in place) fpu[TAGS] = narrowTags(value.readUInt16LE());
  else fpu.set(value.subarray(0, place.bytes), place.fpu);
  if (cpu.target.xsave) inUse(fpu);
  await cpu.setFpu(fpu);
}

/** XRSTOR takes a component from the area only when the header says that it is there. */
function inUse(fpu: Uint8Array): void {
  const high = fpu.subarray(YMM0_HIGH).some((byte) => byte !== 0);
  fpu[XSTATE_BV] = (fpu[XSTATE_BV] ?? 0) | 3 | (high ? 4 : 0);
}

/** FXSAVE has a bit a register, "not empty"; gdb has two, 11 for empty. */
function wideTags(tags: number): number {
  let wide = 0;
  for (let index = 0; index < 8; index++) if (!((tags >> index) & 1)) wide |= 3 << (2 * index);
  return wide;
}

function narrowTags(wide: number): number {
  let tags = 0;
  for (let index = 0; index < 8; index++) if (((wide >> (2 * index)) & 3) !== 3) tags |= 1 << index;
  return tags;
}
