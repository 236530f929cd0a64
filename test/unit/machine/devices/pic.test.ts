// The 8259A pair against its data sheet. Inputs are driven through devices that have one: the keyboard controller is IRQ1, the
// UARTs are IRQ3 and IRQ4, the timer is IRQ0, the clock IRQ8.
import { describe, expect, test } from "vitest";
import { Board } from "./board.js";

const MASTER = 0x20;
const SLAVE = 0xa0;
const NON_SPECIFIC_EOI = 0x20;

/** IRQ1 up: command D2h puts a byte into the keyboard's output buffer; reading it lets IRQ1 fall. */
function raiseKeyboard(board: Board): void {
  board.out(0x64, 0x60);
  board.out(0x60, 0x05);
  board.out(0x64, 0xd2);
  board.out(0x60, 0x99);
}

/** IRQ4 (3F8h) or IRQ3 (2F8h) up: the transmitter is empty. */
function raiseSerial(board: Board, base: number): void {
  board.out(base + 4, 0x0b);
  board.out(base + 1, 0x02);
}

function lowerSerial(board: Board, base: number): void {
  board.out(base + 1, 0x00);
}

/** IRQ8 up: the clock's alarm flag of the second that has passed. */
function raiseClock(board: Board): void {
  board.out(0x70, 0x0b);
  board.out(0x71, 0x12);
  board.run(1_000_000_000n);
}

function readIrr(board: Board, chip: number): number {
  board.out(chip, 0x0a);
  return board.in(chip);
}

function readIsr(board: Board, chip: number): number {
  board.out(chip, 0x0b);
  return board.in(chip);
}

describe("initialization", () => {
  test("untouched chips have all masked", () => {
    const board = new Board();
    expect(board.in(0x21)).toBe(0xff);
    raiseKeyboard(board);
    expect(board.pending).toBe(false);
  });

  test("ICW1 to ICW4 set the vectors and clear the mask; nothing is signalled in between", () => {
    const board = new Board();
    raiseKeyboard(board);
    lowerSerial(board, 0x3f8);
    board.out(MASTER, 0x11);
    board.out(0x21, 0x40);
    raiseSerial(board, 0x3f8);
    expect(board.pending).toBe(false);
    board.out(0x21, 0x04);
    expect(board.pending).toBe(false);
    board.out(0x21, 0x01);
    expect(board.in(0x21)).toBe(0);
    expect(board.acknowledge()).toBe(0x44);
  });

  test("ICW1 forgets edges that came before it", () => {
    const board = new Board();
    board.initPics(0xffff);
    raiseKeyboard(board);
    expect(board.pending).toBe(true);
    board.out(MASTER, 0x11);
    expect(readIrr(board, MASTER)).toBe(0);
  });

  test("a single chip without ICW4 is ready after ICW2", () => {
    const board = new Board();
    board.out(MASTER, 0x12);
    board.out(0x21, 0x68);
    board.out(0x21, 0xfd);
    expect(board.in(0x21)).toBe(0xfd);
    raiseKeyboard(board);
    expect(board.acknowledge()).toBe(0x69);
  });

  test("the vector's low bits are the input, whatever ICW2 says", () => {
    const board = new Board();
    board.out(MASTER, 0x11);
    for (const value of [0x37, 0x04, 0x01]) board.out(0x21, value);
    raiseKeyboard(board);
    expect(board.acknowledge()).toBe(0x31);
  });
});

describe("priorities and end of interrupt", () => {
  test("a lower input waits for the end of a higher one", () => {
    const board = new Board();
    board.initPics(0xffff);
    raiseSerial(board, 0x3f8);
    raiseKeyboard(board);
    expect(board.acknowledge()).toBe(0x31);
    expect(board.pending).toBe(false);
    expect(readIsr(board, MASTER)).toBe(0x02);
    expect(readIrr(board, MASTER)).toBe(0x10);
    board.out(MASTER, NON_SPECIFIC_EOI);
    expect(board.acknowledge()).toBe(0x34);
    board.out(MASTER, NON_SPECIFIC_EOI);
    expect(readIsr(board, MASTER)).toBe(0);
  });

  test("a higher input interrupts a lower one; the non-specific EOI ends the higher first", () => {
    const board = new Board();
    board.initPics(0xffff);
    raiseSerial(board, 0x3f8);
    expect(board.acknowledge()).toBe(0x34);
    raiseKeyboard(board);
    expect(board.acknowledge()).toBe(0x31);
    expect(readIsr(board, MASTER)).toBe(0x12);
    board.out(MASTER, NON_SPECIFIC_EOI);
    expect(readIsr(board, MASTER)).toBe(0x10);
  });

  test("a specific EOI ends the one it names", () => {
    const board = new Board();
    board.initPics(0xffff);
    raiseSerial(board, 0x3f8);
    board.acknowledge();
    raiseKeyboard(board);
    board.acknowledge();
    board.out(MASTER, 0x64);
    expect(readIsr(board, MASTER)).toBe(0x02);
  });

  test("rotate on non-specific EOI makes the ended input the lowest", () => {
    const board = new Board();
    board.initPics(0xffff);
    raiseKeyboard(board);
    board.acknowledge();
    board.out(MASTER, 0xa0);
    board.in(0x60);
    raiseKeyboard(board);
    raiseSerial(board, 0x3f8);
    expect(board.acknowledge()).toBe(0x34);
  });

  test("rotate on specific EOI, and set priority", () => {
    const board = new Board();
    board.initPics(0xffff);
    raiseKeyboard(board);
    board.acknowledge();
    board.out(MASTER, 0xe1);
    expect(readIsr(board, MASTER)).toBe(0);
    board.in(0x60);
    raiseKeyboard(board);
    raiseSerial(board, 0x2f8);
    expect(board.acknowledge()).toBe(0x33);
    board.out(MASTER, NON_SPECIFIC_EOI);
    expect(board.acknowledge()).toBe(0x31);
    board.out(MASTER, NON_SPECIFIC_EOI);
    board.out(MASTER, 0xc3);
    lowerSerial(board, 0x2f8);
    raiseSerial(board, 0x2f8);
    raiseSerial(board, 0x3f8);
    expect(board.acknowledge()).toBe(0x34);
  });

  test("automatic EOI, with and without rotation", () => {
    const board = new Board();
    board.initPics(0xffff, 0x03);
    raiseKeyboard(board);
    raiseSerial(board, 0x3f8);
    expect(board.acknowledge()).toBe(0x31);
    expect(readIsr(board, MASTER)).toBe(0);
    expect(board.acknowledge()).toBe(0x34);
    board.out(MASTER, 0x80);
    board.in(0x60);
    raiseKeyboard(board);
    board.acknowledge();
    board.in(0x60);
    raiseKeyboard(board);
    lowerSerial(board, 0x3f8);
    raiseSerial(board, 0x3f8);
    expect(board.acknowledge()).toBe(0x34);
    board.out(MASTER, 0x00);
    expect(board.acknowledge()).toBe(0x31);
  });

  test("special mask mode lets lower inputs through a masked one in service, and its EOI leaves that one alone", () => {
    const board = new Board();
    board.initPics(0xffff);
    raiseKeyboard(board);
    board.acknowledge();
    raiseSerial(board, 0x3f8);
    expect(board.pending).toBe(false);
    board.out(0x21, 0x02);
    board.out(MASTER, 0x68);
    expect(board.acknowledge()).toBe(0x34);
    board.out(MASTER, NON_SPECIFIC_EOI);
    expect(readIsr(board, MASTER)).toBe(0x02);
    board.out(MASTER, NON_SPECIFIC_EOI);
    expect(readIsr(board, MASTER)).toBe(0x02);
    board.out(MASTER, 0x48);
    board.out(MASTER, NON_SPECIFIC_EOI);
    expect(readIsr(board, MASTER)).toBe(0);
  });
});

describe("polling", () => {
  test("a poll acknowledges, at either address", () => {
    const board = new Board();
    board.initPics(0xffff);
    raiseSerial(board, 0x3f8);
    board.out(MASTER, 0x0c);
    expect(board.in(MASTER)).toBe(0x84);
    expect(readIsr(board, MASTER)).toBe(0x10);
    expect(board.pending).toBe(false);
    raiseKeyboard(board);
    board.out(MASTER, 0x0c);
    expect(board.in(0x21)).toBe(0x81);
    expect(board.in(0x21)).toBe(0);
  });

  test("with nothing to do the poll says so", () => {
    const board = new Board();
    board.initPics(0xffff);
    board.out(MASTER, 0x0c);
    expect(board.in(MASTER)).toBe(0);
  });
});

describe("cascade", () => {
  test("the slave's input comes through IR2 and needs two EOIs", () => {
    const board = new Board();
    board.initPics(0xffff);
    raiseClock(board);
    expect(readIrr(board, MASTER)).toBe(0x04);
    expect(board.acknowledge()).toBe(0x38);
    expect(readIsr(board, MASTER)).toBe(0x04);
    expect(readIsr(board, SLAVE)).toBe(0x01);
    board.out(SLAVE, NON_SPECIFIC_EOI);
    board.out(MASTER, NON_SPECIFIC_EOI);
    expect(board.pending).toBe(false);
  });

  test("a masked cascade holds the slave back", () => {
    const board = new Board();
    board.initPics(0xfffb);
    raiseClock(board);
    expect(board.pending).toBe(false);
    board.out(0x21, 0);
    expect(board.pending).toBe(true);
  });
});

describe("triggering", () => {
  test("an edge that falls before its acknowledge is gone, and INT with it", () => {
    const board = new Board();
    board.initPics(0xffff);
    raiseSerial(board, 0x3f8);
    expect(board.pending).toBe(true);
    lowerSerial(board, 0x3f8);
    expect(board.pending).toBe(false);
  });

  test("acknowledging nothing gives the spurious IRQ7, with no ISR bit", () => {
    const board = new Board();
    board.initPics(0xffff);
    expect(board.acknowledge()).toBe(0x37);
    expect(readIsr(board, MASTER)).toBe(0);
  });

  test("a slave whose request is gone after the master's acknowledge gives the spurious IRQ15", () => {
    const board = new Board();
    board.initPics(0xffff);
    raiseClock(board);
    // The slave's request is taken by a poll in the moment between: the master, level triggered, still has its input.
    board.out(MASTER, 0x19);
    for (const value of [0x30, 0x04, 0x01]) board.out(0x21, value);
    board.out(MASTER, 0x0c);
    expect(board.in(MASTER)).toBe(0x82);
    board.out(SLAVE, 0x0c);
    expect(board.in(SLAVE)).toBe(0x80);
    expect(readIsr(board, SLAVE)).toBe(0x01);
    expect(board.acknowledge()).toBe(0x37);
  });

  test("an edge input does not repeat while it stays high; a level input does", () => {
    const board = new Board();
    board.initPics(0xffff);
    raiseSerial(board, 0x3f8);
    board.acknowledge();
    board.out(MASTER, NON_SPECIFIC_EOI);
    expect(board.pending).toBe(false);
    board.out(0x4d0, 0x10);
    expect(board.in(0x4d0)).toBe(0x10);
    expect(board.acknowledge()).toBe(0x34);
    board.out(MASTER, NON_SPECIFIC_EOI);
    expect(board.pending).toBe(true);
    lowerSerial(board, 0x3f8);
    expect(board.pending).toBe(false);
  });

  test("a tick is taken once, on a level triggered pair too", () => {
    const board = new Board();
    board.out(MASTER, 0x19);
    for (const value of [0x30, 0x04, 0x03]) board.out(0x21, value);
    board.out(0x43, 0x34);
    for (const value of [0x00, 0x10]) board.out(0x40, value);
    board.run(4_000_000n);
    expect(board.acknowledge()).toBe(0x30);
    expect(board.pending).toBe(false);
    board.run(4_000_000n);
    expect(board.pending).toBe(true);
  });

  test("the system's own inputs stay edge triggered", () => {
    const board = new Board();
    board.out(0x4d0, 0xffff, 2);
    expect(board.in(0x4d0, 2)).toBe(0xdef8);
  });
});
