// The keyboard controller: reset, and the questions that Linux's i8042 driver asks.
import { describe, expect, test } from "vitest";
import { EndReason } from "../../../../protocol/messages.js";
import { Board } from "./board.js";

const OUTPUT_FULL = 0x01;
const INPUT_FULL = 0x02;

function command(board: Board, value: number, parameter?: number): number | undefined {
  expect(board.in(0x64) & INPUT_FULL).toBe(0);
  board.out(0x64, value);
  if (parameter !== undefined) board.out(0x60, parameter);
  return board.in(0x64) & OUTPUT_FULL ? board.in(0x60) : undefined;
}

describe("commands", () => {
  test("self test, interface test, and the system flag", () => {
    const board = new Board();
    expect(command(board, 0xaa)).toBe(0x55);
    expect(command(board, 0xab)).toBe(0x00);
    expect(board.in(0x64) & 0x04).toBe(0x04);
  });

  test("the command byte", () => {
    const board = new Board();
    command(board, 0x60, 0x47);
    expect(command(board, 0x20)).toBe(0x47);
    command(board, 0xad);
    expect(command(board, 0x20)).toBe(0x57);
    command(board, 0xae);
    expect(command(board, 0x20)).toBe(0x47);
  });

  test("A20 by the output port", () => {
    const board = new Board();
    expect(command(board, 0xd0)).toBe(0x03);
    command(board, 0xd1, 0xdf);
    expect(command(board, 0xd0)).toBe(0xcf);
    expect(board.ended).toBeUndefined();
  });

  test("there is no second channel, and Linux hears so at once", () => {
    const board = new Board();
    // i8042_check_aux: the loop's answer must come from the mouse's side to count.
    board.out(0x64, 0xd3);
    board.out(0x60, 0x5a);
    expect(board.in(0x64) & 0x21).toBe(OUTPUT_FULL);
    board.in(0x60);
    // Then the interface test: anything but 0, FAh and FFh says that it is absent.
    expect(command(board, 0xa9)).toBe(0x01);
  });

  test("a byte to the keyboard is answered at once: nobody there", () => {
    const board = new Board();
    board.initPics(0x0002);
    command(board, 0x60, 0x05);
    board.out(0x60, 0xf2);
    expect(board.in(0x64) & 0x41).toBe(0x41);
    expect(board.acknowledge()).toBe(0x31);
    expect(board.in(0x60)).toBe(0xfe);
    expect(board.in(0x64) & 0x41).toBe(0);
  });

  test("flushing an idle controller ends", () => {
    expect(new Board().in(0x64) & OUTPUT_FULL).toBe(0);
  });
});

describe("reset", () => {
  test("Linux's way: FEh pulses the reset line", () => {
    const board = new Board();
    board.out(0x64, 0xfe);
    expect(board.ended).toEqual({ reason: EndReason.Reset, value: 0x64n });
  });

  test("by the output port", () => {
    const board = new Board();
    board.out(0x64, 0xd1);
    board.out(0x60, 0xfe);
    expect(board.ended?.reason).toBe(EndReason.Reset);
  });

  test("FFh pulses nothing", () => {
    const board = new Board();
    board.out(0x64, 0xff);
    expect(board.ended).toBeUndefined();
  });
});
