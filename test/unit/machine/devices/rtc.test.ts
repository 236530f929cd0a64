// The MC146818 against its data sheet, and as Linux reads and sets it.
import { describe, expect, test } from "vitest";
import { Board, NEVER, SECOND } from "./board.js";

const [A, B, C, D] = [10, 11, 12, 13];
const MS = 1_000_000n;

const read = (board: Board, cell: number): number => {
  board.out(0x70, cell);
  return board.in(0x71);
};
const write = (board: Board, cell: number, value: number): void => {
  board.out(0x70, cell);
  board.out(0x71, value);
};
const seconds = (text: string): number => Date.parse(`${text}Z`) / 1000;
const fromBcd = (value: number): number => (value >> 4) * 10 + (value & 15);

/** As Linux's mc146818_get_time: only while UIP is 0. */
function dateOf(board: Board): string {
  while (read(board, A) & 0x80) board.run(MS);
  const [second, minute, hour, day, month, year, century] = [0, 2, 4, 7, 8, 9, 0x32].map((cell) => fromBcd(read(board, cell)));
  const two = (value: number | undefined): string => String(value).padStart(2, "0");
  return `${two(century)}${two(year)}-${two(month)}-${two(day)}T${two(hour)}:${two(minute)}:${two(second)}`;
}

function clockBoard(wall = "2024-02-28T23:59:58"): Board {
  const board = new Board({ wallSeconds: seconds(wall) });
  board.initPics(0x0104, 0x03);
  return board;
}

describe("time", () => {
  test.each([
    "1970-01-01T00:00:00",
    "1999-12-31T23:59:59",
    "2000-02-29T12:00:00",
    "2024-03-01T00:00:00",
    "2038-01-19T03:14:08",
    "2100-02-28T13:37:00",
    "2400-12-31T01:02:03",
  ])("shows %s", (text) => {
    expect(dateOf(clockBoard(text))).toBe(text);
  });

  test("shows every day of 1970 to 2110, with its weekday", () => {
    const board = new Board();
    for (let day = 0; day < 51_000; day += 13) {
      board.clock = BigInt(day) * 86_400n * SECOND;
      const date = new Date(day * 86_400_000);
      expect(dateOf(board)).toBe(date.toISOString().slice(0, 19));
      expect(read(board, 6)).toBe(date.getUTCDay() + 1);
    }
  });

  test("goes on with the guest's clock, over midnight of a leap day", () => {
    const board = clockBoard();
    board.run(2n * SECOND);
    expect(dateOf(board)).toBe("2024-02-29T00:00:00");
    board.run(86_400n * SECOND);
    expect(dateOf(board)).toBe("2024-03-01T00:00:00");
  });

  test("UIP is set before each update, and the cells change when it ends", () => {
    const board = clockBoard();
    expect(read(board, A)).toBe(0x26);
    board.run(997_771_999n);
    expect(read(board, A)).toBe(0x26);
    board.run(1n);
    expect(read(board, A)).toBe(0xa6);
    expect(read(board, 0)).toBe(0x58);
    board.run(2_228_000n);
    expect(read(board, A)).toBe(0x26);
    expect(read(board, 0)).toBe(0x59);
  });

  test("binary and 12-hour forms", () => {
    const board = clockBoard("2024-12-31T23:45:59");
    write(board, B, 0x06);
    expect([0, 2, 4, 7, 8, 9].map((cell) => read(board, cell))).toEqual([59, 45, 23, 31, 12, 24]);
    write(board, B, 0x00);
    expect(read(board, 4)).toBe(0x80 | 0x11);
    write(board, B, 0x04);
    expect(read(board, 4)).toBe(0x80 | 11);
    for (const [hour, shown] of [
      ["00", 0x12],
      ["01", 0x01],
      ["11", 0x11],
      ["12", 0x92],
      ["13", 0x81],
    ] as const) {
      const noon = clockBoard(`2024-01-01T${hour}:00:00`);
      write(noon, B, 0x00);
      expect(read(noon, 4)).toBe(shown);
    }
  });

  test("Linux sets it: SET, divider reset, cells, back; half a second later comes the first update", () => {
    const board = clockBoard();
    board.run(300n * MS);
    write(board, B, 0x82);
    write(board, A, 0x76);
    [
      [9, 0x30],
      [0x32, 0x20],
      [8, 0x06],
      [7, 0x15],
      [4, 0x10],
      [2, 0x20],
      [0, 0x30],
    ].forEach(([cell, value]) => {
      write(board, cell ?? 0, value ?? 0);
    });
    board.run(5n * SECOND);
    expect(read(board, 0)).toBe(0x30);
    write(board, B, 0x02);
    write(board, A, 0x26);
    expect(dateOf(board)).toBe("2030-06-15T10:20:30");
    board.run(499n * MS);
    expect(read(board, 0)).toBe(0x30);
    board.run(1n * MS);
    expect(dateOf(board)).toBe("2030-06-15T10:20:31");
  });

  test("SET alone stops the time and keeps the second's phase", () => {
    const board = clockBoard("2024-01-01T00:00:00");
    board.run(1_700n * MS);
    write(board, B, 0x82);
    board.run(10_000n * MS);
    expect(read(board, 0)).toBe(0x01);
    expect(read(board, A)).toBe(0x26);
    write(board, B, 0x02);
    board.run(299n * MS);
    expect(read(board, 0)).toBe(0x01);
    board.run(1n * MS);
    expect(read(board, 0)).toBe(0x02);
  });

  test("a cell that is written while time runs takes effect", () => {
    const board = clockBoard("2024-01-01T00:00:00");
    write(board, 4, 0x17);
    expect(dateOf(board)).toBe("2024-01-01T17:00:00");
  });

  test("the set time follows the 12-hour form", () => {
    const board = clockBoard("2024-01-01T00:00:00");
    write(board, B, 0x80);
    write(board, 4, 0x92);
    write(board, B, 0x00);
    write(board, B, 0x02);
    expect(dateOf(board)).toBe("2024-01-01T12:00:00");
  });
});

describe("interrupts", () => {
  test("update-ended: once a second, until register C is read", () => {
    const board = clockBoard();
    write(board, B, 0x12);
    let ticks = 0;
    board.run(10n * SECOND, () => {
      if (!board.pending) return;
      expect(board.acknowledge()).toBe(0x38);
      expect(board.clock % SECOND).toBe(0n);
      expect(read(board, C) & 0x90).toBe(0x90);
      expect(read(board, C)).toBe(0);
      ticks++;
    });
    expect(ticks).toBe(10);
  });

  test("unread, it stays up and asks for no more timers", () => {
    const board = clockBoard();
    write(board, B, 0x12);
    board.run(SECOND);
    expect(board.pending).toBe(true);
    expect(board.timer).toBe(NEVER);
    board.run(5n * SECOND);
    board.acknowledge();
    expect(board.pending).toBe(false);
    read(board, C);
    expect(board.timer).toBe(7n * SECOND);
  });

  test.each([
    [0x26, 1024],
    [0x2f, 2],
    [0x23, 8192],
    [0x21, 256],
    [0x22, 128],
  ])("periodic, register A = %i: %i Hz, exactly", (control, rate) => {
    const board = clockBoard();
    write(board, A, control);
    write(board, B, 0x42);
    let ticks = 0;
    board.run(3n * SECOND, () => {
      if (!board.pending) return;
      board.acknowledge();
      expect(read(board, C) & 0xc0).toBe(0xc0);
      ticks++;
    });
    expect(ticks).toBe(3 * rate);
  });

  test("the alarm comes at its time, and only then", () => {
    const board = clockBoard("2024-01-01T10:00:00");
    write(board, 5, 0x11);
    write(board, 3, 0x30);
    write(board, 1, 0x15);
    write(board, B, 0x22);
    const times: bigint[] = [];
    board.run(86_400n * SECOND, () => {
      if (!board.pending) return;
      board.acknowledge();
      expect(read(board, C) & 0xa0).toBe(0xa0);
      times.push(board.clock);
    });
    expect(times).toEqual([5415n * SECOND]);
  });

  test("wildcards match everything", () => {
    const board = clockBoard("2024-01-01T10:00:00");
    write(board, 5, 0xff);
    write(board, 3, 0xc0);
    write(board, 1, 0x30);
    write(board, B, 0x22);
    let ticks = 0;
    board.run(600n * SECOND, () => {
      if (!board.pending) return;
      board.acknowledge();
      read(board, C);
      ticks++;
    });
    expect(ticks).toBe(10);
  });

  test("an alarm at no possible time never comes", () => {
    const board = clockBoard();
    write(board, 3, 0x75);
    write(board, B, 0x22);
    expect(board.timer).toBe(NEVER);
  });

  test("flags are set without their enables, which then raise the interrupt", () => {
    const board = clockBoard();
    board.run(2n * SECOND);
    expect(board.pending).toBe(false);
    write(board, B, 0x12);
    expect(board.pending).toBe(true);
    write(board, B, 0x02);
    expect(board.pending).toBe(false);
    expect(read(board, C) & 0x90).toBe(0x10);
  });

  test("SET clears the update interrupt's enable", () => {
    const board = clockBoard();
    write(board, B, 0x92);
    expect(read(board, B)).toBe(0x82);
  });
});

describe("cells", () => {
  test("what a firmware would have left: memory sizes and the checksum", () => {
    const board = new Board({ ramBytes: 128 << 20 });
    const word = (cell: number): number => read(board, cell) | (read(board, cell + 1) << 8);
    expect(word(0x15)).toBe(640);
    expect(word(0x17)).toBe(0xffff);
    expect(word(0x30)).toBe(0xffff);
    expect(word(0x34)).toBe((112 << 20) >> 16);
    let sum = 0;
    for (let cell = 0x10; cell < 0x2e; cell++) sum += read(board, cell);
    expect((read(board, 0x2e) << 8) | read(board, 0x2f)).toBe(sum);
    const small = new Board({ ramBytes: 2 << 20 });
    expect(read(small, 0x17) | (read(small, 0x18) << 8)).toBe(1024);
    expect(read(small, 0x34)).toBe(0);
  });

  test("the others keep what is written; C and D do not; D says the time is valid", () => {
    const board = new Board();
    write(board, 0x0f, 0x5a);
    write(board, 0x7f, 0xa5);
    write(board, D, 0x00);
    write(board, C, 0xff);
    expect([0x0f, 0x7f, D, C].map((cell) => read(board, cell))).toEqual([0x5a, 0xa5, 0x80, 0]);
  });

  test("port 70h bit 7 masks NMIs and is not part of the index", () => {
    const board = new Board();
    expect(board.devices.isNmiMasked()).toBe(0);
    board.out(0x70, 0x80 | D);
    expect(board.devices.isNmiMasked()).toBe(1);
    expect(board.in(0x71)).toBe(0x80);
    expect(board.in(0x70)).toBe(0xff);
  });
});
