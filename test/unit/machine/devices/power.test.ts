// The ways in which a guest ends itself.
import { expect, test } from "vitest";
import { EndReason } from "../../../../protocol/messages.js";
import { Board } from "./board.js";

test.each([0x604, 0xb004])("ACPI power-off at %i: SLP_EN with type 0", (port) => {
  const board = new Board();
  board.out(port, 0x0000, 2);
  board.out(port, 0x1c00 | 0x2000, 2);
  board.out(port, 0x20, 1);
  expect(board.ended).toBeUndefined();
  board.out(port, 0x2000, 2);
  expect(board.ended).toEqual({ reason: EndReason.PowerOff, value: 0n });
  expect(board.field("power", "ended")).toBe(1n);
});

test.each([
  ["Shutdown", true],
  ["ShutShutdown", true],
  ["SShutdown", true],
  ["Shutdow", false],
  ["Shutodwn", false],
  ["shutdown", false],
])("8900h: %s", (text, ends) => {
  const board = new Board();
  for (const byte of Buffer.from(text)) board.out(0x8900, byte);
  expect(board.ended?.reason).toBe(ends ? EndReason.PowerOff : undefined);
});

test("CF9h resets when bit 2 is written, and reads back the others", () => {
  const board = new Board();
  board.out(0xcf9, 0x02);
  expect(board.in(0xcf9)).toBe(0x02);
  expect(board.ended).toBeUndefined();
  board.out(0xcf9, 0x06);
  expect(board.ended).toEqual({ reason: EndReason.Reset, value: 0xcf9n });
});

test.each([
  [1, 0x10, 0x21n],
  [2, 0x1234, 0x2469n],
  [4, 0x8000_0000, 0x1_0000_0001n],
])("isa-debug-exit, %i bytes wide", (size, value, expected) => {
  const board = new Board();
  board.out(0xf4, value, size);
  expect(board.ended).toEqual({ reason: EndReason.DebugExit, value: expected });
});
