// Devices in words, against what the devices themselves answer a guest.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fateText } from "../../../../control/src/inspect/devices/pic.js";
import { EventBit } from "../../../../hv/machine/layout.js";
import { Board, SECOND } from "../../machine/devices/board.js";
import { machineOn } from "./board.js";

describe("PIC", () => {
  it("knows a controller that nobody initialized", () => {
    const board = new Board();
    const { master, slave } = machineOn(board).pics;
    expect(master).toMatchObject({ initialized: false, vector: 8, masked: [0, 1, 2, 3, 4, 5, 6, 7], int: false });
    expect(slave).toMatchObject({ initialized: false, vector: 0x70, masked: [8, 9, 10, 11, 12, 13, 14, 15] });
  });

  it("tells what becomes of a request, up to the CPU", () => {
    const board = new Board();
    board.out(0x43, 0x34);
    board.out(0x40, 100);
    board.out(0x40, 0);
    board.run(SECOND / 1000n);
    expect(fate(board, 0)).toBe("the master PIC was never initialized (no ICW1 was written to it): all its inputs are masked");
    board.initPics(0x0000);
    board.run(SECOND / 1000n);
    expect(fate(board, 0)).toBe("IRQ0 (timer) is masked in the master PIC's IMR (bit 0 of port 21h)");
    board.out(0x21, 0xfe);
    expect(board.pending).toBe(true);
    expect(machineOn(board).pics.fate(0)).toEqual({ kind: "taken" });
    expect(board.acknowledge()).toBe(0x30);
    board.run(SECOND / 1000n);
    expect(board.pending).toBe(false);
    expect(fate(board, 0)).toBe("IRQ0 (timer) is still in service: no EOI was written for it, which keeps back the next one");
    board.out(0x20, 0x11); // an initialization that is broken off
    board.run(SECOND / 1000n);
    expect(fate(board, 0)).toBe("the master PIC's initialization is not complete: it waits for another ICW");
    expect(machineOn(board).pics.master).toMatchObject({ expects: "ICW2" });
  });

  it("follows the slave's requests through the cascade", () => {
    const board = new Board({ wallSeconds: 1_000_000 });
    board.initPics(0x0100); // IRQ8, but not IRQ2
    board.out(0x70, 0x0b);
    board.out(0x71, 0x12); // update-ended interrupt
    board.run(2n * SECOND);
    expect(machineOn(board).pics.slave).toMatchObject({ requested: [8], int: true });
    expect(fate(board, 8)).toBe("IRQ8 (RTC) comes through the cascade, IRQ2, which is masked in the master PIC's IMR (bit 2 of port 21h)");
    board.out(0x21, 0xfb);
    expect(board.pending).toBe(true);
    expect(machineOn(board).pics.fate(8)).toEqual({ kind: "taken" });
  });

  it("agrees with the controller whether something is pending, whatever was written to it", () => {
    const write = fc.tuple(fc.constantFrom(0x20, 0x21, 0xa0, 0xa1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(write, { maxLength: 30 }), fc.nat(0xffff), (writes, unmasked) => {
        const board = new Board();
        board.initPics(unmasked);
        board.out(0x43, 0x34);
        board.out(0x40, 100);
        board.out(0x40, 0);
        board.out(0x70, 0x0b);
        board.out(0x71, 0x12);
        for (const [port, value] of writes) {
          board.out(port, value);
          board.run(SECOND / 10n, () => (value & 1 ? board.pending && board.acknowledge() : undefined));
          const { pics } = machineOn(board);
          const taken = [0, 8].some((irq) => pics.fate(irq).kind === "taken");
          expect(taken).toBe(board.pending);
        }
      }),
      { numRuns: 200 },
    );
  });

  function fate(board: Board, irq: number): string | undefined {
    return fateText(irq, machineOn(board).pics.fate(irq));
  }
});

describe("PIT", () => {
  it("counts as the counters do, in every mode", () => {
    const control = fc.tuple(
      fc.nat(5),
      fc.nat(1),
      fc.oneof(fc.integer({ min: 2, max: 0xffff }), fc.integer({ min: 2, max: 20 })),
      fc.oneof(fc.nat(0xffff), fc.nat(20)),
    );
    fc.assert(
      fc.property(control, fc.oneof(fc.nat(1_000_000_000), fc.nat(20_000)), fc.nat(100_000), ([mode, bcd, first, second], wait, wait2) => {
        const board = new Board();
        const load = (count: number): void => {
          board.out(0x42, count & 255);
          board.out(0x42, count >> 8);
        };
        board.out(0x61, 1);
        board.out(0x43, 0xb0 | (mode << 1) | bcd);
        load(bcd ? ((first % 0x1000) & 0x777) | 2 : first);
        board.run(BigInt(wait));
        if (second & 1) load(bcd ? (second & 0x777) | 2 : second | 2);
        board.run(BigInt(wait2));
        const { count, out, mode: found, next } = machineOn(board).pits[2];
        expect(found).toBe(mode);
        expect(out).toBe(((board.in(0x61) >> 5) & 1) === 1);
        board.out(0x43, 0x80);
        const read = board.in(0x42) | (board.in(0x42) << 8);
        const shown = bcd ? Number.parseInt(String(count).padStart(4, "0").slice(-4), 16) : count & 0xffff;
        if (machineOn(board).pits[2].state !== "waiting" && next === null) expect(shown).toBe(read);
      }),
      { numRuns: 1000 },
    );
  });

  it("knows the tick's rate, and counters that have no count", () => {
    const board = new Board();
    board.out(0x43, 0x34);
    board.out(0x40, 4773 & 255);
    board.out(0x40, 4773 >> 8);
    const [tick, refresh] = machineOn(board).pits;
    expect(tick).toMatchObject({ modeName: "rate generator", state: "running", reload: 4773, hz: 249.986, gate: true, bcd: false });
    expect(refresh).toMatchObject({ counter: 1, state: "idle", hz: null });
    expect(machineOn(board).timers).toEqual([{ source: "pit", inNs: expect.any(BigInt) }]);
  });
});

describe("UART", () => {
  it("shows its FIFOs in their order, and why it interrupts", () => {
    const board = new Board();
    board.out(0x3fa, 0xc7);
    board.out(0x3f9, 1);
    board.out(0x3fb, 0x1a);
    board.type(0, ...Buffer.from("0123456789"));
    for (let byte = 0; byte < 8; byte++) board.in(0x3f8);
    board.type(0, ...Buffer.from("abcdefghij"));
    const [uart] = machineOn(board, { inputBytes: [7, 0] }).uarts;
    expect(Buffer.from(uart.received).toString()).toBe("89abcdefghij");
    expect(uart).toMatchObject({ baud: 115_200, format: "7E1", fifos: true, enabled: ["received data"], cause: null, waiting: 7 });
    board.run(SECOND);
    expect(machineOn(board).uarts[0]).toMatchObject({ cause: "character timeout", gateOpen: false });
    expect(board.in(0x3fa) & 15).toBe(0x0c);
    board.out(0x3fc, 0x0b);
    expect(machineOn(board).uarts[0].gateOpen).toBe(true);
    expect(machineOn(board).pics.master.requested).toEqual([4]);
  });

  it("shows what waits to be sent", () => {
    const board = new Board();
    board.out(0x2fa, 0x07);
    board.room[1] = 0;
    for (const byte of Buffer.from("xyz")) board.out(0x2f8, byte);
    expect(Buffer.from(machineOn(board).uarts[1].sending).toString()).toBe("xyz");
  });
});

describe("RTC", () => {
  it("has the time that its cells show", () => {
    const board = new Board({ wallSeconds: 1_700_000_000 });
    board.run(3_661n * SECOND);
    expect(machineOn(board).rtc).toMatchObject({
      time: "2023-11-14T23:14:21",
      running: true,
      enabled: [],
      periodicHz: 1024,
      alarm: "00:00:00",
    });
    board.out(0x70, 4);
    expect(board.in(0x71)).toBe(0x23);
  });

  it("shows what it interrupts for, its alarm, and that it stands still", () => {
    const board = new Board({ wallSeconds: 1_700_000_000 });
    for (const [cell, value] of [
      [5, 0xff],
      [3, 0x15],
      [1, 0x30],
      [0x8b, 0x22],
    ] as const) {
      board.out(0x70, cell);
      board.out(0x71, value);
    }
    board.run(3600n * SECOND);
    expect(machineOn(board).rtc).toMatchObject({
      alarm: "**:15:30",
      enabled: ["alarm"],
      flags: ["update", "alarm", "periodic"],
      interrupt: true,
      nmiMasked: true,
    });
    board.out(0x70, 0x0b);
    board.out(0x71, 0x82);
    expect(machineOn(board).rtc).toMatchObject({ time: null, running: false, nmiMasked: false });
  });
});

describe("the rest", () => {
  it("names what is about to come", () => {
    const machine = machineOn(new Board(), { inject: 0x5_8000_0b0en, events: EventBit.Timer | EventBit.Nmi, halted: true });
    expect(machine).toMatchObject({
      halted: true,
      injecting: { vector: 14, type: "exception", errorCode: 5 },
      deferred: null,
      events: ["timer", "NMI"],
      timers: [],
    });
  });

  it("shows the keyboard controller's byte and the POST code", () => {
    const board = new Board();
    board.out(0x64, 0xaa);
    board.out(0x80, 0x42);
    expect(machineOn(board)).toMatchObject({ keyboard: { output: 0x55, interruptEnabled: false, a20: true }, post: 0x42 });
  });
});
