// A guest in TypeScript: what hv/machine/guest.ts imports, RAM and registers to look at, and exits as either vendor's CPU makes them.
// Tests say what the guest executes; whether that becomes a VMX or an SVM exit is decided here.
import { ExitRecord, Layout, VcpuRecord } from "../../../hv/machine/layout.js";
import { CpuModel, type Status, Vendor } from "../../../protocol/messages.js";
import { ExitField, Register } from "../../../protocol/state.js";
import { compiled } from "./devices/compile.js";

export const VENDORS = [
  ["VMX", Vendor.Vmx],
  ["SVM", Vendor.Svm],
] as const;

export interface Machine {
  memory: WebAssembly.Memory;
  init(wallSeconds: bigint, cpuModel: number): number;
  boot(kind: number, block: bigint, bytes: number): number;
  bootValue(): bigint;
  exit(): number;
  exitInFull(): number;
  event(bits: number): number;
  restore(halted: number): number;
}

/** Compiled while the test file loads: no test's time. */
export const machineWasm = compiled("machine", 'export * from "../../../../hv/machine/main";\n');
const product = new WebAssembly.Module(machineWasm as BufferSource);

export interface GuestOptions {
  vendor?: Vendor;
  ramBytes?: number;
  tscKhz?: number;
  wallSeconds?: bigint;
  cpuModel?: CpuModel;
  /** EAX, EBX, ECX, EDX of the physical CPU */
  hostCpuid?: (leaf: number, subleaf: number) => readonly [number, number, number, number];
  /** another build of the module, and what it imports besides `guest` */
  module?: WebAssembly.Module;
  coverage?: WebAssembly.ModuleImports;
  /** stands between the module and its imports, and between the tests and its exports */
  beside?: { imports(real: WebAssembly.ModuleImports): WebAssembly.ModuleImports; exports(real: Machine): Machine };
}

/** What a raw exit carries, besides RIP. */
export interface Exit {
  length?: number;
  shadow?: number;
  qualification?: bigint;
  /** VMX: guest-physical address; SVM: EXITINFO2 */
  info2?: bigint;
  full?: boolean;
}

export interface PortAccess {
  port: number;
  size: 1 | 2 | 4;
  input: boolean;
  /** string I/O: the instruction, from which SVM reads its prefixes */
  string?: { repeat: boolean; addressBytes: 2 | 4 | 8; segment: number };
  bytes: number[];
}

const ONES = 0xffff_ffff_ffff_ffffn;
const EFER_LMA = 0x400n;
const CR0_PG = 0x8000_0000n;
const SVME = 0x1000n;

/** Raw reasons: VMX exit reason, SVM exit code. */
export const RAW = {
  cpuid: [10, 0x72],
  hypercall: [18, 0x81],
  hlt: [12, 0x78],
  io: [30, 0x7b],
  rdmsr: [31, 0x7c],
  wrmsr: [32, 0x7c],
  xsetbv: [55, 0x8d],
  invd: [13, 0x76],
  wbinvd: [54, 0x89],
  pause: [40, 0x77],
  interruptWindow: [7, 0x64],
  nmiWindow: [8, 0x74],
  nestedFault: [48, 0x400],
  tripleFault: [2, 0x7f],
  taskSwitch: [9, 0x7d],
  init: [3, 0x63],
  monitor: [39, 0x8a],
  rdpmc: [15, 0x6f],
  unknown: [200, 0x405],
  entryFailed: [0x80000021, 0xffffffff],
} as const;

export class Guest {
  readonly ram: Buffer;
  readonly machine: Machine;
  /** of init */
  readonly status: Status;
  readonly registers = new Map<number, bigint>();
  /** fields written, in order */
  written: [field: number, value: bigint][] = [];
  refuse = new Set<number>();
  now = 0n;
  deadline = ONES;
  output = "";
  input: number[] = [];
  ended: { reason: number; value: bigint } | undefined;
  counts = new Map<number, number>();
  readonly vendor: Vendor;
  readonly tscKhz: number;
  private readonly cpuidOf: NonNullable<GuestOptions["hostCpuid"]>;

  constructor(options: GuestOptions = {}) {
    const { vendor = Vendor.Svm, ramBytes = 4 << 20, tscKhz = 2_000_000, wallSeconds = 0n, hostCpuid = fullCpu } = options;
    const { cpuModel = CpuModel.Host } = options;
    this.vendor = vendor;
    this.tscKhz = tscKhz;
    this.cpuidOf = hostCpuid;
    this.ram = Buffer.alloc(ramBytes);
    const { module = product, coverage = {}, beside } = options;
    const imports = { guest: beside?.imports(this.imports()) ?? this.imports(), coverage };
    const machine = new WebAssembly.Instance(module, imports).exports as unknown as Machine;
    this.machine = beside?.exports(machine) ?? machine;
    this.status = this.machine.init(wallSeconds, cpuModel);
    this.long();
  }

  // --- registers ---

  get(field: number): bigint {
    if (field <= Register.R15 && field !== Register.Rsp) return this.record.getBigUint64(Layout.Region + field * 8, true);
    if (field === Register.Rip) return this.record.getBigUint64(Layout.Region + VcpuRecord.Rip, true);
    return this.registers.get(field) ?? 0n;
  }

  set(field: number, value: bigint | number): void {
    const bits = BigInt.asUintN(64, BigInt(value));
    if (field <= Register.R15 && field !== Register.Rsp) this.record.setBigUint64(Layout.Region + field * 8, bits, true);
    else if (field === Register.Rip) this.record.setBigUint64(Layout.Region + VcpuRecord.Rip, bits, true);
    else this.registers.set(field, bits);
  }

  segment(first: Register, selector: number, base: bigint | number, limit: number, attributes: number): void {
    this.set(first, selector);
    this.set(first + 1, base);
    this.set(first + 2, limit);
    this.set(first + 3, attributes);
  }

  private flat(code: number, data: number, limit: number): void {
    this.segment(Register.CsSelector, 0x10, 0, limit, code);
    for (const first of [Register.EsSelector, Register.SsSelector, Register.DsSelector, Register.FsSelector, Register.GsSelector]) {
      this.segment(first, 0x18, 0, limit, data);
    }
    this.set(Register.Rflags, 0x202);
  }

  /** 64-bit mode: identity by 2 MiB pages, tables at 1000h, 2000h, 3000h. */
  long(): void {
    this.ram.writeBigUInt64LE(0x2023n, 0x1000);
    this.ram.writeBigUInt64LE(0x3023n, 0x2000);
    for (let index = 0; index < 512; index++) this.ram.writeBigUInt64LE((BigInt(index) << 21n) | 0xe3n, 0x3000 + index * 8);
    this.flat(0xa09b, 0xc093, 0xffffffff);
    this.set(Register.Cr0, 0x80000011n);
    this.set(Register.Cr3, 0x1000);
    this.set(Register.Cr4, 0x20);
    this.set(Register.Efer, 0x500);
    this.set(Register.Rip, 0x100000);
  }

  /** 32-bit protected mode without paging. */
  protected(): void {
    this.flat(0xc09b, 0xc093, 0xffffffff);
    this.set(Register.Cr0, 0x11);
    this.set(Register.Cr4, 0);
    this.set(Register.Efer, 0);
    this.set(Register.Rip, 0x100000);
  }

  real(): void {
    this.flat(0x9b, 0x93, 0xffff);
    for (const first of [Register.CsSelector, Register.EsSelector, Register.SsSelector, Register.DsSelector]) this.set(first, 0);
    this.set(Register.Cr0, 0x10);
    this.set(Register.Cr4, 0);
    this.set(Register.Efer, 0);
    this.set(Register.Rip, 0x8000);
  }

  // --- exits ---

  /** Bytes at RIP, in a guest without an odd mapping. */
  code(bytes: readonly number[]): void {
    const linear = this.get(Register.Rip) + (this.get(Register.Efer) & EFER_LMA ? 0n : this.get(Register.CsBase));
    this.ram.set(bytes, Number(linear));
  }

  /** An exit with a raw reason; the length is told on VMX only. */
  raw(reason: number, { length = 0, shadow = 0, qualification = 0n, info2 = 0n, full = false }: Exit = {}): number {
    const vmx = this.vendor === Vendor.Vmx;
    const at = (offset: number): number => Layout.Exit + offset;
    this.written = [];
    this.record.setUint32(at(ExitRecord.Reason), reason, true);
    this.record.setUint32(at(ExitRecord.Shadow), shadow, true);
    this.record.setBigUint64(at(ExitRecord.Rflags), this.get(Register.Rflags), true);
    this.record.setUint32(at(ExitRecord.Length), vmx ? length : 0, true);
    this.record.setBigUint64(at(ExitRecord.Info1), vmx ? 0n : qualification, true);
    this.record.setBigUint64(at(ExitRecord.Info2), vmx ? 0n : info2, true);
    if (!vmx) {
      const attributes = Number(this.get(Register.CsAttributes));
      this.record.setBigUint64(at(ExitRecord.Cr3), this.get(Register.Cr3), true);
      this.record.setUint32(at(ExitRecord.Efer), Number(this.get(Register.Efer) | SVME), true);
      this.record.setUint32(at(ExitRecord.CsAttributes), (attributes & 0xff) | ((attributes >> 4) & 0xf00), true);
    }
    this.registers.set(ExitField.Qualification, qualification);
    this.registers.set(ExitField.Info2, info2);
    this.registers.set(Register.InterruptShadow, BigInt(shadow & 1));
    // What the entry before has taken.
    this.registers.set(ExitField.Inject, 0n);
    if (vmx) this.registers.set(Register.PendingDebug, 0n);
    return full ? this.machine.exitInFull() : this.machine.exit();
  }

  /** Executes an instruction that exits whole. */
  exit(name: keyof typeof RAW, bytes: readonly number[], extra: Exit = {}): number {
    this.code(bytes);
    const qualification = name === "wrmsr" && this.vendor === Vendor.Svm ? 1n : (extra.qualification ?? 0n);
    return this.raw(this.reason(name), { ...extra, length: bytes.length, qualification });
  }

  reason(name: keyof typeof RAW): number {
    return RAW[name][this.vendor === Vendor.Vmx ? 0 : 1];
  }

  cpuid(leaf: number, subleaf = 0, extra: Exit = {}): [number, number, number, number] {
    this.set(Register.Rax, leaf >>> 0);
    this.set(Register.Rcx, subleaf >>> 0);
    this.exit("cpuid", [0x0f, 0xa2], extra);
    const value = (field: Register): number => Number(this.get(field));
    return [value(Register.Rax), value(Register.Rbx), value(Register.Rcx), value(Register.Rdx)];
  }

  rdmsr(msr: number): bigint | undefined {
    this.set(Register.Rcx, msr >>> 0);
    this.exit("rdmsr", [0x0f, 0x32]);
    if (this.injected !== undefined) return undefined;
    return (this.get(Register.Rdx) << 32n) | this.get(Register.Rax);
  }

  /** false: #GP */
  wrmsr(msr: number, value: bigint): boolean {
    this.set(Register.Rcx, msr >>> 0);
    this.set(Register.Rax, value & 0xffffffffn);
    this.set(Register.Rdx, (value >> 32n) & 0xffffffffn);
    this.exit("wrmsr", [0x0f, 0x30]);
    return this.injected === undefined;
  }

  io({ port, size, input, string, bytes }: PortAccess, extra: Exit = {}): number {
    this.code(bytes);
    const bit = (set: boolean, number: number): bigint => (set ? 1n << BigInt(number) : 0n);
    const common = BigInt(port) << 16n;
    const address = string?.addressBytes ?? 8;
    this.registers.set(ExitField.InstructionInfo, (BigInt(Math.log2(address) - 1) << 7n) | (BigInt(string?.segment ?? 0) << 15n));
    const repeat = string?.repeat ?? false;
    const vmx = common | BigInt(size - 1) | bit(input, 3) | bit(string !== undefined, 4) | bit(repeat, 5);
    // EXITINFO1 without decode assists: no address size, no segment.
    const svm = common | bit(input, 0) | bit(string !== undefined, 2) | bit(repeat, 3) | (BigInt(size) << 4n);
    const qualification = this.vendor === Vendor.Vmx ? vmx : svm;
    const info2 = this.get(Register.Rip) + BigInt(bytes.length);
    return this.raw(this.reason("io"), { length: bytes.length, ...extra, qualification, info2 });
  }

  in(port: number, size: 1 | 2 | 4 = 1): bigint {
    this.io({ port, size, input: true, bytes: [0xec] });
    return this.get(Register.Rax);
  }

  out(port: number, value: number | bigint, size: 1 | 2 | 4 = 1): number {
    this.set(Register.Rax, value);
    return this.io({ port, size, input: false, bytes: [0xee] });
  }

  // --- results ---

  /** The event that the next entry injects. */
  get injected(): { vector: number; type: number; error: number | undefined } | undefined {
    const info = this.registers.get(ExitField.Inject) ?? 0n;
    if (!(info & 0x8000_0000n)) return undefined;
    return { vector: Number(info & 255n), type: Number((info >> 8n) & 7n), error: info & 0x800n ? Number(info >> 32n) : undefined };
  }

  private get record(): DataView {
    return new DataView(this.machine.memory.buffer);
  }

  private imports(): WebAssembly.ModuleImports {
    const inside = (address: bigint, bytes: bigint): boolean => address + bytes <= BigInt(this.ram.length);
    const load = (bytes: number) => (address: bigint) => {
      const at = BigInt.asUintN(64, address);
      return inside(at, BigInt(bytes)) ? this.ram.readUIntLE(Number(at), bytes) : -1;
    };
    const store = (bytes: number) => (address: bigint, value: number) => {
      const at = BigInt.asUintN(64, address);
      if (inside(at, BigInt(bytes))) this.ram.writeUIntLE((value >>> 0) % 2 ** (8 * bytes), Number(at), bytes);
    };
    return {
      vendor: () => this.vendor,
      clock: () => this.now,
      timer: (deadline: bigint) => {
        this.deadline = BigInt.asUintN(64, deadline);
      },
      tscKhz: () => this.tscKhz,
      cpuidAB: (leaf: number, subleaf: number) => pair(this.cpuidOf(leaf >>> 0, subleaf >>> 0), 0),
      cpuidCD: (leaf: number, subleaf: number) => pair(this.cpuidOf(leaf >>> 0, subleaf >>> 0), 2),
      ramSize: () => BigInt(this.ram.length),
      ramLoad8: load(1),
      ramLoad16: load(2),
      ramLoad32: load(4),
      ramLoad64: (address: bigint) => {
        const at = BigInt.asUintN(64, address);
        return inside(at, 8n) ? this.ram.readBigUInt64LE(Number(at)) : ONES;
      },
      ramStore8: store(1),
      ramStore16: store(2),
      ramStore32: store(4),
      ramStore64: (address: bigint, value: bigint) => {
        const at = BigInt.asUintN(64, address);
        if (inside(at, 8n)) this.ram.writeBigUInt64LE(BigInt.asUintN(64, value), Number(at));
      },
      ramMove: (to: bigint, from: bigint, bytes: bigint) => {
        const [target, source, count] = [to, from, bytes].map((value) => BigInt.asUintN(64, value)) as [bigint, bigint, bigint];
        if (!inside(target, count) || !inside(source, count)) return 0;
        this.ram.copyWithin(Number(target), Number(source), Number(source + count));
        return 1;
      },
      ramFill: (to: bigint, value: number, bytes: bigint) => {
        const [target, count] = [BigInt.asUintN(64, to), BigInt.asUintN(64, bytes)];
        if (!inside(target, count)) return 0;
        this.ram.fill(value & 0xff, Number(target), Number(target + count));
        return 1;
      },
      read: (field: number) => this.get(field),
      write: (field: number, value: bigint) => this.write(field, BigInt.asUintN(64, value)),
      consolePut: (_port: number, byte: number) => {
        this.output += String.fromCharCode(byte);
        return 1;
      },
      consoleRoom: () => 4096,
      consoleGet: () => this.input.shift() ?? -1,
      count: (reason: number) => this.counts.set(reason, (this.counts.get(reason) ?? 0) + 1),
      end: (reason: number, value: bigint) => {
        this.ended ??= { reason, value: BigInt.asUintN(64, value) };
      },
    };
  }

  /** As hv/asm/fields.asm does, as far as the machine relies on it. */
  private write(field: number, value: bigint): number {
    this.written.push([field, value]);
    if (this.refuse.has(field)) return 0;
    if (field === Register.PendingDebug && this.vendor === Vendor.Svm && value !== 0n) return 0;
    if (field === Register.Cr0 && (value >> 32n || (value & 0x8000_0001n) === CR0_PG)) return 0;
    this.set(field, value);
    if (field === Register.Cr0 || field === Register.Efer) {
      const efer = this.get(Register.Efer) & ~EFER_LMA;
      this.set(Register.Efer, efer & 0x100n && this.get(Register.Cr0) & CR0_PG ? efer | EFER_LMA : efer);
    }
    return 1;
  }
}

function pair(row: readonly number[], first: number): bigint {
  return BigInt.asIntN(64, BigInt((row[first] ?? 0) >>> 0) | (BigInt((row[first + 1] ?? 0) >>> 0) << 32n));
}

/** A CPU that has everything: what the guest does not see, the policy has hidden. */
export function fullCpu(leaf: number, subleaf: number): readonly [number, number, number, number] {
  if (leaf === 0) return [0x20, 0x756e6547, 0x6c65746e, 0x49656e69];
  if (leaf === 0x80000000) return [0x80000020, 0, 0, 0];
  if (leaf === 0x80000008) return [0x3028, 0xffffffff, 0xffffffff, 0xffffffff];
  if (leaf === 0xd && subleaf === 0) return [0xe7, 0xa80, 0xa80, 0];
  if (leaf === 0xd && subleaf === 2) return [256, 576, 0, 0];
  return [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff];
}
