// Random operations on each device, and on all of them, guided by the decisions that they reach in the product's Wasm. invariants.ts says what
// must hold after each operation; at a sequence's end a driver reads all there is, and everything must come to rest.
import { expect, test } from "vitest";
import { type Coverage, withCoverage } from "../../../support/fuzz/coverage.js";
import { fuzz, type Target } from "../../../support/fuzz/guided.js";
import { scaled, seedOf } from "../../../support/scale.js";
import { Board, devicesWasm } from "./board.js";
import { checkDevices, checkRest, drain } from "./invariants.js";

const OPERATIONS = scaled(200_000, 50_000_000);
/** operations of a sequence; each begins with a machine that was just reset */
const LENGTH = 200;

const uart = (base: number): number[] => Array.from({ length: 8 }, (_, offset) => base + offset);
const groups: Record<string, number[]> = {
  pic: [0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x60, 0x64, 0x3f9, 0x3fc],
  pit: [0x40, 0x41, 0x42, 0x43, 0x61],
  uart: uart(0x3f8),
  "second uart": uart(0x2f8),
  rtc: [0x70, 0x71],
  i8042: [0x60, 0x64],
  port61: [0x61, 0x42, 0x43],
  power: [0x604, 0xb004, 0xcf9, 0xf4, 0x8900, 0x64],
  debug: [0x80, 0xe9],
};
const everything = [...new Set(Object.values(groups).flat()), 0x99, 0xffff, 0x60f];

test.each([...Object.entries(groups), ["everything", everything] as const])(
  "%s",
  { timeout: scaled(120_000, 7_200_000) },
  (_name, ports) => {
    const coverage = withCoverage(devicesWasm);
    const target = new Devices(ports, coverage);
    fuzz({ target, seed: seedOf(20_261), operations: OPERATIONS, length: LENGTH, fresh: coverage.fresh });
    // 85 to 91% with all ports; what is missing takes years of guest time, or cannot be reached through a port.
    if (ports === everything) expect(coverage.reached() / coverage.outcomes).toBeGreaterThan(0.8);
    else expect(coverage.reached()).toBeGreaterThan(100);
  },
);

/** An operation's bits: 3:0 what, 9:4 which port, 13:10 how wide, 31:16 the value or the time. */
class Devices implements Target {
  #board = new Board();
  #fresh = new Uint8Array();

  constructor(
    private readonly ports: readonly number[],
    private readonly coverage: Coverage,
  ) {}

  reset(): void {
    this.coverage.begin();
    this.#board = new Board({ wallSeconds: 1_700_000_000, coverage: this.coverage });
    this.#fresh = new Uint8Array(this.#board.devices.memory.buffer.slice(0));
    this.#board.initPics(0xffff);
  }

  apply(operation: number): void {
    this.coverage.begin();
    this.#act(operation);
    checkDevices(this.#board);
  }

  settle(): void {
    this.coverage.begin();
    drain(this.#board);
    checkRest(this.#board, this.#fresh);
  }

  #act(operation: number): void {
    const board = this.#board;
    const port = this.ports[((operation >>> 4) & 63) % this.ports.length] ?? 0;
    const width = (operation >>> 10) & 15;
    const size = width === 0 ? 4 : width === 1 ? 2 : 1;
    const value = operation >>> 16;
    switch (operation & 15) {
      case 8:
      case 9:
      case 10:
      case 11: {
        const read = board.in(port, size);
        if (read >= 2 ** (8 * size)) throw new Error(`in(${port}, ${size}) = ${read}`);
        return;
      }
      case 12:
        // Up to 0.1 s, mostly much less: a time of its own for each power of two.
        board.run(BigInt(value & 0xfff) << BigInt((value >>> 12) & 15));
        if (board.timer <= board.clock) throw new Error("timers: a deadline that is past when its event is");
        return;
      case 13:
        board.type(value & 1, ...Array.from({ length: (value >>> 1) % 20 }, (_, index) => (value + index) & 0xff));
        return;
      case 14:
        board.drain(value & 1, (value >>> 1) % 40);
        return;
      case 15:
        // Late, as a busy host is.
        if (board.pending) board.acknowledge();
        else board.clock += BigInt(value) << 9n;
        return;
      default:
        // Mostly one byte; what a byte device makes of more, its neighbours get.
        board.out(port, size === 1 ? value & 0xff : (value * 0x10001) >>> 0, size);
    }
  }
}
