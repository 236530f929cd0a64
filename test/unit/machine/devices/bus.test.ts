// The port table, widths, the debug ports, and the timer that all devices share.
import { describe, expect, test } from "vitest";
import { Board, NEVER } from "./board.js";

/** Each device's ports: a second list on purpose, so that a slip in the table shows. */
const claimed = [
  [0x20, 2],
  [0x40, 4],
  [0x60, 2],
  [0x64, 1],
  [0x70, 2],
  [0x80, 1],
  [0xa0, 2],
  [0xe9, 1],
  [0xf4, 1],
  [0x2f8, 8],
  [0x3f8, 8],
  [0x4d0, 2],
  [0x604, 1],
  [0xcf9, 1],
  [0x8900, 1],
  [0xb004, 1],
] as const;

describe("the table", () => {
  test("claims what it should, and nothing else", () => {
    const board = new Board();
    const expected = new Set(claimed.flatMap(([base, count]) => Array.from({ length: count }, (_, index) => base + index)));
    for (let port = 0; port < 0x10000; port++) {
      if ((board.devices.deviceAt(port) !== 0) !== expected.has(port)) expect.fail(`port ${port.toString(16)}`);
    }
  });

  test("a device has one range, but for the pairs of one chip", () => {
    const board = new Board();
    const ranges = new Map<number, number>();
    for (let port = 0, last = 0; port < 0x10000; port++) {
      const device = board.devices.deviceAt(port);
      if (device !== 0 && device !== last) ranges.set(device, (ranges.get(device) ?? 0) + 1);
      last = device;
    }
    // Pm1 is where QEMU has it and where Bochs has it.
    expect([...ranges.values()].filter((count) => count > 1)).toEqual([2]);
  });

  test("unclaimed ports read all ones of their width, and drop writes", () => {
    const board = new Board();
    for (const port of [0x00, 0x22, 0x65, 0x81, 0x1f7, 0x3c0, 0x5000, 0xffff]) {
      expect(board.in(port, 1)).toBe(0xff);
      expect(board.in(port, 2)).toBe(0xffff);
      expect(board.in(port, 4)).toBe(0xffff_ffff);
      board.out(port, 0x12345678, 4);
    }
    expect(board.ended).toBeUndefined();
  });
});

describe("widths", () => {
  test("a word to byte devices is two bytes at two ports, low one first", () => {
    const board = new Board();
    board.out(0x3f8 + 7, 0x00a5, 2);
    expect(board.in(0x3f8 + 7)).toBe(0xa5);
    expect(board.in(0x3f8 + 7, 2)).toBe(0xffa5);
    board.out(0x70, 0x5a0f, 2);
    board.out(0x70, 0x0f);
    expect(board.in(0x71)).toBe(0x5a);
    expect(board.in(0x70, 2)).toBe(0x5aff);
    board.out(0x20, 0x8811, 2);
    expect(board.field("picMaster", "base")).toBe(0x88n);
  });

  test("a doubleword is four bytes", () => {
    const board = new Board();
    board.out(0x7e, 0x00cc0000, 4);
    expect(board.in(0x80)).toBe(0xcc);
    expect(board.in(0x7e, 4)).toBe(0xffccffff);
  });

  test("an access beyond the last port wraps, as addresses do", () => {
    expect(new Board().in(0xfffe, 4)).toBe(0xffff_ffff);
  });
});

describe("debug ports", () => {
  test("80h keeps the last code", () => {
    const board = new Board();
    board.out(0x80, 0x42);
    expect(board.in(0x80)).toBe(0x42);
  });

  test("E9h reads E9h and prints on console 0", () => {
    const board = new Board();
    expect(board.in(0xe9)).toBe(0xe9);
    for (const byte of Buffer.from("hi")) board.out(0xe9, byte);
    expect(board.output).toEqual([[0x68, 0x69], []]);
  });

  test("E9h has no way to wait: a full ring loses the byte, and counts it", () => {
    const board = new Board();
    board.room[0] = 0;
    board.out(0xe9, 0x61);
    expect(board.lost).toBe(1);
  });
});

describe("the shared timer", () => {
  test("is asked for the earliest deadline, and only when that changes", () => {
    const board = new Board();
    board.out(0x43, 0x34);
    board.out(0x40, 0);
    board.out(0x40, 0);
    expect(board.timerCalls).toBe(1);
    const tick = board.timer;
    board.out(0x70, 0x0b);
    board.out(0x71, 0x12);
    expect(board.timerCalls).toBe(1);
    board.out(0x3f8 + 1, 0x01);
    board.out(0x3f8 + 2, 0x81);
    board.type(0, 0x41);
    expect(board.timerCalls).toBe(2);
    expect(board.timer).toBeLessThan(tick);
    board.in(0x3f8);
    expect(board.timer).toBe(tick);
    board.out(0x43, 0x30);
    expect(board.timer).toBe(1_000_000_000n);
    board.out(0x71, 0x02);
    expect(board.timer).toBe(NEVER);
  });
});
