// Random operations on each device, and on all of them, with what must hold after each one: an interrupt line is up exactly while
// its cause is there, FIFOs stay inside their bounds, the timer that is armed is the earliest deadline, and nothing traps. Seeds are
// fixed, so a failure repeats; 200,000 operations a device at most.
import { expect, test } from "vitest";
import { Board } from "./board.js";

const OPERATIONS = 50_000;

/** xorshift32: quick, and the same everywhere. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const groups: Record<string, number[]> = {
  pic: [0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x60, 0x64, 0x3f9, 0x3fc],
  pit: [0x40, 0x41, 0x42, 0x43, 0x61],
  uart: Array.from({ length: 8 }, (_, offset) => 0x3f8 + offset),
  "second uart": Array.from({ length: 8 }, (_, offset) => 0x2f8 + offset),
  rtc: [0x70, 0x71],
  i8042: [0x60, 0x64],
};
const everything = [...new Set([...Object.values(groups).flat(), 0x80, 0xe9, 0x99, 0x604, 0xcf9, 0x8900])];

test.each([...Object.entries(groups), ["everything", everything] as const])("%s", { timeout: 60_000 }, (name, ports) => {
  const random = randomFrom(name.length * 2654435761 + 1);
  const board = new Board({ wallSeconds: 1_700_000_000 });
  board.initPics(0xffff);
  for (let operation = 0; operation < OPERATIONS; operation++) {
    const port = ports[random(ports.length)] ?? 0;
    const size = random(16) === 0 ? 1 << random(3) : 1;
    const choice = random(16);
    if (choice < 7) board.out(port, random(3) === 0 ? random(0x100) : random(2 ** 32), size);
    else if (choice < 12) {
      const value = board.in(port, size);
      if (value >= 2 ** (8 * size)) expect.fail(`in(${port}, ${size}) = ${value}`);
    } else if (choice === 12) board.run(BigInt(random(100_000_000)) / BigInt(1 + random(100_000)));
    else if (choice === 13) board.type(random(2), ...Array.from({ length: random(20) }, () => random(256)));
    else if (choice === 14) board.drain(random(2), random(40));
    else if (board.pending) board.acknowledge();
    else board.clock += BigInt(random(5000)) * BigInt(random(5000));
    if (operation % 4 === 0) check(board);
  }
  check(board);
});

function check(board: Board): void {
  const get = (record: string, field: string): number => Number(board.field(record, field));
  for (const [uart, irq] of [
    ["com1", 4],
    ["com2", 3],
  ] as const) {
    const depth = get(uart, "fcr") & 1 ? 16 : 1;
    if (get(uart, "rxCount") > depth || get(uart, "txCount") > depth) expect.fail(`${uart}: FIFO beyond ${depth}`);
    if (get(uart, "rxHead") > 15 || get(uart, "txHead") > 15) expect.fail(`${uart}: FIFO index`);
    if (get(uart, "timeout") && get(uart, "rxCount") === 0) expect.fail(`${uart}: timeout of nothing`);
    expectLine(board, irq, uartRequests(get, uart));
  }
  expectLine(board, 1, (get("keyboard", "status") & get("keyboard", "command") & 1) !== 0);
  const clock = (cell: number): number => Number(board.field("rtc", "cells", cell >> 3) >> BigInt((cell & 7) * 8)) & 0xff;
  expectLine(board, 8, (clock(12) & clock(11) & 0x70) !== 0);
  if (((clock(12) & 0x80) !== 0) !== ((clock(12) & clock(11) & 0x70) !== 0)) expect.fail("rtc: IRQF is not its flags");
  checkPic(get, "picMaster");
  checkPic(get, "picSlave");
  if (((get("picMaster", "lines") >> 2) & 1) !== get("picSlave", "int")) expect.fail("pic: the cascade is not the slave's INT");
  if (board.pending !== (get("picMaster", "int") !== 0)) expect.fail("pic: pending is not INT");
  const deadlines = ["pit", "rtc", "com1", "com2"].map((source) => board.field("timers", source));
  const [earliest] = deadlines.sort((a, b) => (a < b ? -1 : 1));
  if (board.field("timers", "armed") !== earliest || board.timer !== earliest) expect.fail("timers: not armed for the earliest");
}

function uartRequests(get: (record: string, field: string) => number, uart: string): boolean {
  const ier = get(uart, "ier");
  const trigger = [1, 4, 8, 14][get(uart, "fcr") >> 6] ?? 1;
  const causes =
    ((ier & 4) !== 0 && get(uart, "errors") !== 0) ||
    ((ier & 1) !== 0 && (get(uart, "rxCount") >= trigger || get(uart, "timeout") !== 0)) ||
    ((ier & 2) !== 0 && get(uart, "empty") !== 0) ||
    ((ier & 8) !== 0 && get(uart, "deltas") !== 0);
  return causes && (get(uart, "mcr") & 0x18) === 0x08;
}

function expectLine(board: Board, irq: number, level: boolean): void {
  const lines = Number(board.field(irq < 8 ? "picMaster" : "picSlave", "lines"));
  if (((lines >> (irq & 7)) & 1) !== Number(level)) expect.fail(`IRQ${irq} is ${level ? "down with" : "stuck without"} a cause`);
}

/** A request has its input up; only IRQ0's is a latched pulse. */
function checkPic(get: (record: string, field: string) => number, chip: string): void {
  const pulses = chip === "picMaster" ? 1 : 0;
  if (get(chip, "irr") & ~get(chip, "lines") & ~pulses) expect.fail(`${chip}: a request without its input`);
  if (get(chip, "lowest") > 7) expect.fail(`${chip}: priority`);
  if (get(chip, "expected") !== 0 && get(chip, "int") !== 0) expect.fail(`${chip}: INT during initialization`);
}
