// The devices under test on a board of the test's own: the same AssemblyScript as in the product, with `guest` (hv/machine/guest.ts)
// in TypeScript and a clock that the test moves.
import { EventBit } from "../../../../hv/machine/layout.js";
import { layout } from "../../../../scripts/lib/layout.mjs";
import type { Coverage } from "../../../support/fuzz/coverage.js";
import { compiled } from "./compile.js";

const table = layout();

export const NEVER = 0xffff_ffff_ffff_ffffn;
export const SECOND = 1_000_000_000n;
export const PIT_HZ = 1_193_182n;

interface Devices {
  memory: WebAssembly.Memory;
  deviceAt(port: number): number;
  deviceEvent(bits: number): void;
  devicesReset(wallSeconds: bigint): void;
  interruptAcknowledge(): number;
  interruptPending(): number;
  isNmiMasked(): number;
  ioIn(port: number, size: number): number;
  ioOut(port: number, size: number, value: number): void;
}

/** AssemblyScript: the devices by themselves. The product's entry is hv/machine/main.ts. */
const entry = `
  export { deviceAt } from "../../../../hv/machine/devices/bus";
  export { deviceEvent, devicesReset, interruptAcknowledge, interruptPending, isNmiMasked } from "../../../../hv/machine/interrupts";
  export { ioIn, ioOut } from "../../../../hv/machine/io";
`;
export const devicesWasm = compiled("devices", entry);
const devices = new WebAssembly.Module(devicesWasm as BufferSource);

export interface BoardOptions {
  wallSeconds?: number;
  ramBytes?: number;
  /** the devices with their decisions watched */
  coverage?: Coverage | undefined;
}

/** Where a field lies in the linear memory. */
export function place(record: string, name: string): { address: number; bytes: number } {
  const found = table.find((entry) => entry.record === record);
  const field = found?.fields.find((entry) => entry.name === name);
  if (found === undefined || field === undefined) throw new Error(`no ${record}.${name}`);
  return { address: found.address + field.offset, bytes: Number(field.type.slice(1)) / 8 };
}

export class Board {
  /** guest.clock() */
  clock = 0n;
  /** what guest.timer was last asked for (spent when it comes), and how often it was */
  timer = NEVER;
  timerCalls = 0;
  /** free bytes in each console ring */
  room = [Infinity, Infinity];
  output: number[][] = [[], []];
  lost = 0;
  input: number[][] = [[], []];
  ended: { reason: number; value: bigint } | undefined;
  readonly devices: Devices;

  constructor({ wallSeconds = 0, ramBytes = 128 << 20, coverage }: BoardOptions = {}) {
    const guest = {
      clock: () => this.clock,
      timer: (deadline: bigint) => {
        this.timer = BigInt.asUintN(64, deadline);
        this.timerCalls++;
      },
      ramSize: () => BigInt(ramBytes),
      consolePut: (port: number, byte: number) => this.consolePut(port, byte),
      consoleRoom: (port: number) => Math.min(this.room[port] ?? 0, 4096),
      consoleGet: (port: number) => this.input[port]?.shift() ?? -1,
      end: (reason: number, value: bigint) => {
        this.ended ??= { reason, value: BigInt.asUintN(64, value) };
      },
    };
    const imports = { guest, ...(coverage && { coverage: coverage.imports }) };
    this.devices = new WebAssembly.Instance(coverage?.module ?? devices, imports).exports as unknown as Devices;
    this.devices.devicesReset(BigInt(wallSeconds));
  }

  in(port: number, size = 1): number {
    return this.devices.ioIn(port, size) >>> 0;
  }

  out(port: number, value: number, size = 1): void {
    this.devices.ioOut(port, size, value);
  }

  get pending(): boolean {
    return this.devices.interruptPending() !== 0;
  }

  acknowledge(): number {
    return this.devices.interruptAcknowledge();
  }

  event(bits: number): void {
    this.devices.deviceEvent(bits);
  }

  /** Moves the clock, with a timer event at each deadline on the way, exactly when it was asked for. */
  runUntil(time: bigint, atEvent: () => void = () => undefined): void {
    while (this.timer <= time) {
      if (this.timer > this.clock) this.clock = this.timer;
      this.timer = NEVER;
      this.event(EventBit.Timer);
      atEvent();
    }
    this.clock = time;
  }

  run(nanoseconds: bigint, atEvent?: () => void): void {
    this.runUntil(this.clock + nanoseconds, atEvent);
  }

  /** Types on the keyboard of a console. */
  type(port: number, ...bytes: number[]): void {
    this.input[port]?.push(...bytes);
    this.event(EventBit.ConsoleInput);
  }

  /** The ring of `port` has room again. */
  drain(port: number, room: number): void {
    this.room[port] = room;
    this.event(EventBit.ConsoleRoom);
  }

  /** A field of a record of hv/machine/state.ts. */
  field(record: string, name: string, index = 0): bigint {
    const { address, bytes } = place(record, name);
    const view = new Uint8Array(this.devices.memory.buffer, address + index * bytes, bytes);
    return view.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  }

  /** As Linux initializes the pair (init_8259A): vectors 30h and 38h, all masked but `unmasked`, a bit for each IRQ. */
  initPics(unmasked: number, icw4 = 0x01): void {
    for (const [port, vector, cascade] of [
      [0x20, 0x30, 0x04],
      [0xa0, 0x38, 0x02],
    ] as const) {
      this.out(port, 0x11);
      for (const value of [vector, cascade, icw4]) this.out(port + 1, value);
    }
    this.out(0x21, ~unmasked & 0xff);
    this.out(0xa1, (~unmasked >> 8) & 0xff);
  }

  private consolePut(port: number, byte: number): number {
    const room = this.room[port] ?? 0;
    if (room <= 0) {
      this.lost++;
      return 0;
    }
    this.room[port] = room - 1;
    this.output[port]?.push(byte);
    return 1;
  }
}
