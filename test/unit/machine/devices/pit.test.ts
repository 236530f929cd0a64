// The 8254 against its data sheet, and as Linux uses it. Ticks are 1193182 Hz; at(n) is the first nanosecond of tick n.
import { describe, expect, test } from "vitest";
import { Board, NEVER, PIT_HZ, SECOND } from "./board.js";

const at = (tick: bigint): bigint => (tick * SECOND + PIT_HZ - 1n) / PIT_HZ;
const CONTROL = 0x43;

function program(board: Board, counter: number, control: number, count: number): void {
  board.out(CONTROL, (counter << 6) | control);
  if (control & 0x10) board.out(0x40 + counter, count & 0xff);
  if (control & 0x20) board.out(0x40 + counter, count >> 8);
}

function readCount(board: Board, counter: number): number {
  board.out(CONTROL, counter << 6);
  const low = board.in(0x40 + counter);
  return low | (board.in(0x40 + counter) << 8);
}

/** OUT of counter 2. */
const out2 = (board: Board): number => (board.in(0x61) >> 5) & 1;

/** Times at which IRQ0 came, acknowledged at once. */
function collectTicks(board: Board, until: bigint): bigint[] {
  const ticks: bigint[] = [];
  board.runUntil(until, () => {
    if (!board.pending) return;
    board.acknowledge();
    ticks.push(board.clock);
  });
  return ticks;
}

function timerBoard(): Board {
  const board = new Board();
  board.initPics(0x0001, 0x03);
  return board;
}

describe("counter 0 as the tick", () => {
  test.each([
    ["mode 2, HZ=250", 0x34, 4773],
    ["mode 3, HZ=1000", 0x36, 1193],
    ["mode 2, the largest count", 0x34, 0],
    ["mode 3, an odd count", 0x36, 11933],
  ])("%s: a minute has its exact ticks, each in its time", (_, control, count) => {
    const board = timerBoard();
    program(board, 0, control, count);
    const period = BigInt(count === 0 ? 0x10000 : count);
    const ticks = collectTicks(board, 60n * SECOND);
    expect(ticks.length).toBe(Number((60n * PIT_HZ - 1n) / period));
    ticks.forEach((time, index) => {
      if (time !== at(1n + period * BigInt(index + 1))) expect.fail(`tick ${index} came at ${time}`);
    });
  });

  test.each([
    ["mode 0", 0x30, 0n],
    ["mode 4, Linux's one-shot", 0x38, 1n],
  ])("%s comes once, to the tick", (_, control, extra) => {
    const board = timerBoard();
    for (let shot = 0; shot < 3; shot++) {
      const start = (board.clock * PIT_HZ) / SECOND + 1n;
      program(board, 0, control, 0x4000);
      expect(collectTicks(board, board.clock + SECOND)).toEqual([at(start + 0x4000n + extra)]);
      expect(board.timer).toBe(NEVER);
    }
  });

  test("a new count alone restarts a one-shot", () => {
    const board = timerBoard();
    program(board, 0, 0x38, 0x1000);
    board.run(1_000_000n);
    const start = (board.clock * PIT_HZ) / SECOND + 1n;
    board.out(0x40, 0x00);
    board.out(0x40, 0x20);
    expect(collectTicks(board, SECOND)).toEqual([at(start + 0x2001n)]);
  });

  test("a new count in mode 2 waits for the end of the period", () => {
    const board = timerBoard();
    program(board, 0, 0x34, 1000);
    board.runUntil(at(500n));
    board.out(0x40, 200 & 0xff);
    board.out(0x40, 200 >> 8);
    expect(collectTicks(board, at(1450n))).toEqual([at(1001n), at(1201n), at(1401n)]);
  });

  test("a new count in mode 3 waits for the end of the half period", () => {
    const board = timerBoard();
    program(board, 0, 0x36, 1000);
    board.runUntil(at(100n));
    // The high half ends at 501; the low half already has the new count, so OUT rises 50 ticks later.
    board.out(0x40, 100);
    board.out(0x40, 0);
    expect(collectTicks(board, at(760n))).toEqual([at(551n), at(651n), at(751n)]);
  });

  test("missed ticks: one waits, the others come 50 us after each is taken", () => {
    const board = timerBoard();
    program(board, 0, 0x34, 1000);
    board.runUntil(at(5100n));
    expect(owedTicks(board)).toBe(4n);
    for (let tick = 0; tick < 5; tick++) {
      expect(board.pending).toBe(true);
      expect(board.acknowledge()).toBe(0x30);
      expect(board.pending).toBe(false);
      board.run(49_999n);
      expect(board.pending).toBe(false);
      board.run(1n);
    }
    expect(owedTicks(board)).toBe(0n);
    expect(board.pending).toBe(false);
    board.clock = at(8100n);
    board.event(1);
    expect(owedTicks(board)).toBe(2n);
    expect(board.acknowledge()).toBe(0x30);
    board.run(50_000n);
    expect(owedTicks(board)).toBe(1n);
  });

  test("an hour that a guest did not run in: at most a minute's worth is made up for", () => {
    const board = timerBoard();
    program(board, 0, 0x34, 1193);
    board.clock = 3600n * SECOND;
    board.event(1);
    expect(owedTicks(board)).toBe(59_999n);
  });

  test("no tick is owed from the time before IRQ0 was unmasked, or another count was programmed", () => {
    const board = timerBoard();
    board.out(0x21, 0xff);
    program(board, 0, 0x34, 1000);
    board.runUntil(at(5100n));
    board.out(0x21, 0xfe);
    expect(board.acknowledge()).toBe(0x30);
    expect(board.pending).toBe(false);
    board.runUntil(at(9100n));
    expect(owedTicks(board)).toBe(3n);
    program(board, 0, 0x34, 2000);
    expect(owedTicks(board)).toBe(0n);
  });

  test("a period too short for the host is delivered slower", () => {
    const board = timerBoard();
    program(board, 0, 0x34, 2);
    const ticks = collectTicks(board, SECOND / 10n);
    expect(ticks.length).toBeLessThan(5000);
    expect(ticks.length).toBeGreaterThan(4000);
    expect(owedTicks(board)).toBe(0n);
  });

  test.each([0x34, 0x36])("the illegal count 1 gives no ticks (control %i)", (control) => {
    const board = timerBoard();
    program(board, 0, control, 1);
    expect(collectTicks(board, SECOND)).toEqual([]);
  });

  test("stopping it in mode 0 takes back a tick that waits", () => {
    const board = timerBoard();
    program(board, 0, 0x34, 1000);
    board.runUntil(at(1500n));
    expect(board.pending).toBe(true);
    board.out(CONTROL, 0x30);
    expect(board.pending).toBe(false);
    expect(board.timer).toBe(NEVER);
  });

  test("from mode 0 to mode 2 OUT rises: that is an edge", () => {
    const board = timerBoard();
    board.out(CONTROL, 0x30);
    expect(board.pending).toBe(false);
    board.out(CONTROL, 0x34);
    expect(board.pending).toBe(true);
  });

  test("nothing ticks before it is programmed", () => {
    const board = timerBoard();
    expect(collectTicks(board, SECOND)).toEqual([]);
    expect(board.timerCalls).toBe(0);
  });

  test("an event that comes early is asked for again", () => {
    const board = timerBoard();
    program(board, 0, 0x34, 1000);
    const deadline = board.timer;
    board.clock = deadline - 1n;
    board.timer = NEVER;
    board.event(1);
    expect(board.pending).toBe(false);
    expect(board.timer).toBe(deadline);
  });
});

describe("reading", () => {
  test("the latch holds both bytes until they are read; a second latch command changes nothing", () => {
    const board = new Board();
    program(board, 0, 0x34, 0x1000);
    board.clock = at(1n + 0x123n);
    board.out(CONTROL, 0x00);
    board.clock = at(1n + 0x456n);
    board.out(CONTROL, 0x00);
    expect(board.in(0x40) | (board.in(0x40) << 8)).toBe(0x1000 - 0x123);
    expect(board.in(0x40) | (board.in(0x40) << 8)).toBe(0x1000 - 0x456);
  });

  test.each([
    ["low byte only", 0x14, 0x0080, 0x80 - 0x12],
    ["high byte only", 0x24, 0x8000, (0x8000 - 0x12) >> 8],
  ])("%s", (_, control, count, expected) => {
    const board = new Board();
    program(board, 0, control, count);
    board.clock = at(1n + 0x12n);
    expect(board.in(0x40)).toBe(expected);
    board.out(CONTROL, 0x00);
    board.clock = at(1n + 0x40n);
    expect(board.in(0x40)).toBe(expected);
  });

  test("BCD counts in decimal", () => {
    const board = new Board();
    program(board, 0, 0x31, 0x1234);
    board.clock = at(1n + 35n);
    expect(readCount(board, 0)).toBe(0x1199);
    program(board, 0, 0x35, 0x0000);
    board.clock += at(8001n);
    const left = readCount(board, 0);
    expect(left >= 0x1998 && left <= 0x2000).toBe(true);
  });

  test("mode 0 wraps below zero and OUT stays high", () => {
    const board = new Board();
    board.out(0x61, 1);
    program(board, 2, 0x30, 100);
    board.clock = at(1n + 99n);
    expect(out2(board)).toBe(0);
    board.clock = at(1n + 100n);
    expect(out2(board)).toBe(1);
    board.clock = at(1n + 103n);
    expect(readCount(board, 2)).toBe(0xfffd);
    expect(out2(board)).toBe(1);
  });

  test("mode 3 counts down by two in each half, an odd count from one less", () => {
    const board = new Board();
    program(board, 0, 0x36, 10);
    const even = [10, 8, 6, 4, 2, 10, 8, 6, 4, 2, 10];
    even.forEach((expected, tick) => {
      board.clock = at(1n + BigInt(tick));
      expect(readCount(board, 0), `tick ${tick}`).toBe(expected);
    });
    const odd = [6, 4, 2, 0, 6, 4, 2, 6];
    const start = (board.clock * PIT_HZ) / SECOND + 1n;
    program(board, 0, 0x36, 7);
    odd.forEach((expected, tick) => {
      board.clock = at(start + BigInt(tick));
      expect(readCount(board, 0), `tick ${tick}`).toBe(expected);
    });
  });

  test("read-back: status says OUT, null count and the program; status comes before the count", () => {
    const board = new Board();
    board.out(CONTROL, 0x34);
    board.out(CONTROL, 0xe2);
    expect(board.in(0x40)).toBe(0xc0 | 0x34);
    board.out(0x40, 0x00);
    board.out(0x40, 0x10);
    board.clock = at(0x11n);
    board.out(CONTROL, 0xc2);
    board.clock = at(0x100n);
    expect(board.in(0x40)).toBe(0x80 | 0x34);
    expect(board.in(0x40) | (board.in(0x40) << 8)).toBe(0x1000 - 0x10);
  });

  test("read-back of several counters at once", () => {
    const board = new Board();
    program(board, 0, 0x34, 0x2000);
    program(board, 2, 0x34, 0x3000);
    board.out(CONTROL, 0xee);
    expect(board.in(0x40) & 0x3f).toBe(0x34);
    expect(board.in(0x41) & 0x3f).toBe(0x14);
    expect(board.in(0x42) & 0x3f).toBe(0x34);
  });

  test("the control port reads all ones", () => {
    expect(new Board().in(CONTROL)).toBe(0xff);
  });
});

describe("counter 2 and its gate", () => {
  test("Linux's pit_calibrate_tsc: gate on, mode 0, poll OUT2", () => {
    const board = new Board();
    board.out(0x61, (board.in(0x61) & ~0x02) | 0x01);
    program(board, 2, 0x30, 11931);
    let polls = 0;
    while (out2(board) === 0) {
      board.clock += 1000n;
      polls++;
    }
    expect(polls).toBe(Number(at(1n + 11931n) / 1000n) + 1);
  });

  test("Linux's quick_pit_calibrate: mode 0 from FFFFh, the high byte falls every 256 ticks", () => {
    const board = new Board();
    board.out(0x61, (board.in(0x61) & ~0x02) | 0x01);
    program(board, 2, 0x30, 0xffff);
    board.in(0x42);
    board.in(0x42);
    for (let high = 0xff; high > 0xf0; high--) {
      board.clock = at(1n + BigInt(0xffff - (high << 8)) - 1n);
      board.in(0x42);
      expect(board.in(0x42)).toBe(high);
      board.clock = at(1n + BigInt(0xffff - (high << 8)) + 1n);
      board.in(0x42);
      expect(board.in(0x42)).toBe(high - 1);
    }
  });

  test("gate low holds modes 0 and 4", () => {
    const board = new Board();
    board.out(0x61, 1);
    program(board, 2, 0x30, 1000);
    board.clock = at(1n + 400n);
    board.out(0x61, 0);
    board.clock = at(5000n);
    expect(readCount(board, 2)).toBe(600);
    board.out(0x61, 1);
    board.clock = at(5599n);
    expect(out2(board)).toBe(0);
    board.clock = at(5600n);
    expect(out2(board)).toBe(1);
  });

  test("mode 1: each rising gate starts the pulse again", () => {
    const board = new Board();
    program(board, 2, 0x32, 100);
    expect(out2(board)).toBe(1);
    board.out(0x61, 1);
    board.clock = at(60n);
    expect(out2(board)).toBe(0);
    board.out(0x61, 0);
    board.out(0x61, 1);
    board.clock = at(160n);
    expect(out2(board)).toBe(0);
    board.clock = at(161n);
    expect(out2(board)).toBe(1);
  });

  test("modes 2 and 3: gate low forces OUT high, its rise starts a period", () => {
    const board = new Board();
    board.out(0x61, 1);
    program(board, 2, 0x36, 100);
    board.clock = at(61n);
    expect(out2(board)).toBe(0);
    board.out(0x61, 0);
    expect(out2(board)).toBe(1);
    board.clock = at(1000n);
    board.out(0x61, 1);
    board.clock = at(1001n + 49n);
    expect(out2(board)).toBe(1);
    board.clock = at(1001n + 50n);
    expect(out2(board)).toBe(0);
    program(board, 2, 0x34, 100);
    board.clock = at(1052n + 99n);
    expect(out2(board)).toBe(0);
    board.clock = at(1052n + 100n);
    expect(out2(board)).toBe(1);
  });

  test("mode 5: a rising gate gives one low tick after the count", () => {
    const board = new Board();
    program(board, 2, 0x3a, 50);
    board.clock = at(100n);
    expect(out2(board)).toBe(1);
    board.out(0x61, 1);
    const levels = [49n, 50n, 51n].map((tick) => {
      board.clock = at(101n + tick);
      return out2(board);
    });
    expect(levels).toEqual([1, 0, 1]);
  });

  test("port 61h keeps its written bits and toggles the refresh bit with time", () => {
    const board = new Board();
    board.out(0x61, 0xff);
    expect(board.in(0x61) & 0x0f).toBe(0x0f);
    expect(board.in(0x61) & 0xc0).toBe(0);
    let toggles = 0;
    for (let last = board.in(0x61) & 0x10, step = 0; step < 1000; step++) {
      board.clock += 1000n;
      const now = board.in(0x61) & 0x10;
      if (now !== last) toggles++;
      last = now;
    }
    expect(toggles).toBe(66);
  });
});

/** `owed` of pit0's record (hv/machine/devices/records.ts), found by the layout table. */
function owedTicks(board: Board): bigint {
  return board.field("pit0", "owed");
}
