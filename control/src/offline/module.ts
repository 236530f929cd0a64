// The machine module in Node: build/machine.wasm, the very code that ran the guest, with its imports (hv/machine/guest.ts, docs/imports.md) over
// a snapshot instead of a CPU. Registers are numbers here, RAM is the file's; time is what it is set to. machine.ts drives it.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Layout, VcpuRecord } from "../../../hv/machine/layout.js";
import { type CpuModel, Vendor } from "../../../protocol/messages.js";
import { Register } from "../../../protocol/state.js";
import { projectRoot } from "../api/root.js";
import { HvkitError } from "../errors.js";
import type { SavedRam } from "./ram.js";

export interface Exports {
  memory: { buffer: ArrayBuffer };
  init(wallSeconds: bigint, cpuModel: number): number;
  restore(halted: number): number;
  bootValue(): bigint;
  exitInFull(): number;
  event(bits: number): number;
}

/** The part of WebAssembly's interface that is used: the control plane's types are those of Node and of the language alone. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { exports: unknown };
};

export const NEVER = 0xffff_ffff_ffff_ffffn;
const ONES = NEVER;
const FLAG_IF = 0x200n;
/** free bytes in a console's ring, whose reader is never slow here */
const ROOM = 4096;

let loaded: object | undefined;

/** Errors: E_NOT_BUILT. */
function machineModule(): object {
  const path = join(projectRoot(), "build/machine.wasm");
  try {
    loaded ??= new WebAssembly.Module(readFileSync(path));
  } catch (cause) {
    throw new HvkitError("E_NOT_BUILT", `${path} is missing, or is no module`, { hint: "Run: npm run build", cause });
  }
  return loaded;
}

export class MachineModule {
  readonly exports: Exports;
  /** Registers and ExitFields but those that lie in the module's memory */
  readonly fields = new Map<number, bigint>();
  /** guest.clock() */
  now = 0n;
  /** what guest.timer asked for; NEVER: nothing, or it has come */
  deadline = NEVER;
  /** what it wrote on each console, and what it can read from it */
  readonly sent: [number[], number[]] = [[], []];
  readonly input: [number[], number[]] = [[], []];
  ended: { reason: number; value: bigint } | undefined;
  /** While a hand is at the devices, the CPU takes no interrupt and no NMI: they stay asked for. */
  cpuTakes = false;

  constructor(
    private readonly ram: SavedRam,
    private readonly tscKhz: number,
    model: CpuModel,
  ) {
    this.exports = new WebAssembly.Instance(machineModule(), { guest: this.#imports() }).exports as Exports;
    this.exports.init(0n, model);
  }

  get(field: number): bigint {
    const at = place(field);
    return at === undefined ? (this.fields.get(field) ?? 0n) : this.view.getBigUint64(at, true);
  }

  set(field: number, value: bigint): void {
    const at = place(field);
    if (at === undefined) this.fields.set(field, BigInt.asUintN(64, value));
    else this.view.setBigUint64(at, BigInt.asUintN(64, value), true);
  }

  /** Made anew: the module's memory may have grown. */
  get view(): DataView {
    return new DataView(this.exports.memory.buffer);
  }

  #read(field: number): bigint {
    const value = this.get(field);
    if (this.cpuTakes) return value;
    if (field === Register.Rflags) return value & ~FLAG_IF;
    return field === Register.NmiBlocked ? 1n : value;
  }

  #imports(): Record<string, (...args: never[]) => unknown> {
    const place = (address: bigint, length: bigint): number | undefined => {
      const [at, bytes] = [BigInt.asUintN(64, address), BigInt.asUintN(64, length)];
      return at + bytes <= BigInt(this.ram.bytes) ? Number(at) : undefined;
    };
    const load = (bytes: number) => (address: bigint) => {
      const at = place(address, BigInt(bytes));
      return at === undefined ? -1 : Buffer.from(this.ram.load(at, bytes)).readUIntLE(0, bytes) | 0;
    };
    const store = (bytes: number) => (address: bigint, value: number) => {
      const at = place(address, BigInt(bytes));
      const word = Buffer.alloc(4);
      word.writeInt32LE(value | 0);
      if (at !== undefined) this.ram.store(at, word.subarray(0, bytes));
    };
    return {
      // Of the two, the one whose CPU says how long an instruction is: nothing need be fetched.
      vendor: () => Vendor.Vmx,
      clock: () => this.now,
      timer: (deadline: bigint) => {
        this.deadline = BigInt.asUintN(64, deadline);
      },
      tscKhz: () => this.tscKhz,
      // A CPU that has everything: what the guest was offered is in its own table, which comes with the snapshot.
      cpuidAB: () => -1n,
      cpuidCD: () => -1n,
      ramSize: () => BigInt(this.ram.bytes),
      ramLoad8: load(1),
      ramLoad16: load(2),
      ramLoad32: load(4),
      ramLoad64: (address: bigint) => {
        const at = place(address, 8n);
        return at === undefined ? ONES : Buffer.from(this.ram.load(at, 8)).readBigUInt64LE(0);
      },
      ramStore8: store(1),
      ramStore16: store(2),
      ramStore32: store(4),
      ramStore64: (address: bigint, value: bigint) => {
        const at = place(address, 8n);
        const word = Buffer.alloc(8);
        word.writeBigUInt64LE(BigInt.asUintN(64, value));
        if (at !== undefined) this.ram.store(at, word);
      },
      ramMove: (to: bigint, from: bigint, bytes: bigint) => {
        const [target, source] = [place(to, bytes), place(from, bytes)];
        if (target === undefined || source === undefined) return 0;
        this.ram.store(target, this.ram.load(source, Number(BigInt.asUintN(64, bytes))));
        return 1;
      },
      ramFill: (to: bigint, value: number, bytes: bigint) => {
        const target = place(to, bytes);
        if (target === undefined) return 0;
        this.ram.store(target, new Uint8Array(Number(BigInt.asUintN(64, bytes))).fill(value & 0xff));
        return 1;
      },
      read: (field: number) => this.#read(field),
      write: (field: number, value: bigint) => {
        this.set(field, value);
        return 1;
      },
      consolePut: (port: number, byte: number) => {
        this.sent[port & 1]?.push(byte & 0xff);
        return 1;
      },
      consoleRoom: () => ROOM,
      consoleGet: (port: number) => this.input[port & 1]?.shift() ?? -1,
      count: () => {},
      end: (reason: number, value: bigint) => {
        this.ended ??= { reason, value: BigInt.asUintN(64, value) };
      },
    };
  }
}

/** General registers but RSP, and RIP, lie in the state region. */
function place(field: number): number | undefined {
  if (field <= Register.R15 && field !== Register.Rsp) return Layout.Region + VcpuRecord.Gpr + field * 8;
  return field === Register.Rip ? Layout.Region + VcpuRecord.Rip : undefined;
}
