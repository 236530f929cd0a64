// The 16550A against its data sheet, and the sequences by which Linux's 8250 driver finds out what it has.
import { describe, expect, test } from "vitest";
import { Board, NEVER } from "./board.js";

const COM1 = 0x3f8;
const COM2 = 0x2f8;
const [RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR] = [0, 1, 2, 3, 4, 5, 6, 7];
const FCR = IIR;
const NO_INTERRUPT = 0x01;

/** One port of a board, with its IRQ unmasked alone. */
class Port {
  readonly board = new Board();
  constructor(
    readonly base = COM1,
    readonly console = base === COM1 ? 0 : 1,
  ) {
    this.board.initPics(base === COM1 ? 0x10 : 0x08);
  }
  in(register: number): number {
    return this.board.in(this.base + register);
  }
  out(register: number, value: number): void {
    this.board.out(this.base + register, value);
  }
  /** As a driver opens it: 8n1, FIFOs on with trigger 8, DTR RTS OUT2. */
  open(enables: number): this {
    this.out(LCR, 0x03);
    this.out(FCR, 0x87);
    this.out(MCR, 0x0b);
    this.out(IER, enables);
    return this;
  }
  get output(): number[] {
    return this.board.output[this.console] ?? [];
  }
}

describe("registers", () => {
  test("scratch keeps what is written; IER and MCR only the bits that exist", () => {
    const port = new Port();
    for (const value of [0xff, 0x00, 0x5a]) {
      port.out(SCR, value);
      expect(port.in(SCR)).toBe(value);
    }
    port.out(IER, 0xff);
    expect(port.in(IER)).toBe(0x0f);
    port.out(MCR, 0xff);
    expect(port.in(MCR)).toBe(0x1f);
  });

  test("the divisor latch covers offsets 0 and 1, and nothing else", () => {
    const port = new Port();
    port.out(IER, 0x05);
    port.out(LCR, 0x83);
    port.out(RBR, 0x0c);
    port.out(IER, 0x12);
    expect(port.in(RBR)).toBe(0x0c);
    expect(port.in(IER)).toBe(0x12);
    expect(port.in(IIR)).toBe(NO_INTERRUPT);
    port.out(LCR, 0x03);
    expect(port.in(IER)).toBe(0x05);
    expect(port.output).toEqual([]);
  });

  test("COM1 and COM2 are two ports", () => {
    const board = new Board();
    board.out(COM1, 0x41);
    board.out(COM2, 0x42);
    board.out(COM2 + SCR, 0x99);
    expect(board.output).toEqual([[0x41], [0x42]]);
    expect(board.in(COM1 + SCR)).toBe(0);
  });
});

describe("Linux's 8250 driver", () => {
  test("autoconfig: IER, loopback and FIFO tests see a 16550A and nothing better", () => {
    const port = new Port();
    // "Do a simple existence test first; if we fail this, there's no point trying anything else."
    port.out(IER, 0);
    expect(port.in(IER) & 0x0f).toBe(0);
    port.out(IER, 0x0f);
    expect(port.in(IER) & 0x0f).toBe(0x0f);
    port.out(IER, 0);
    // Loopback: MCR's outputs come back in MSR.
    port.out(MCR, 0x10 | 0x0a);
    expect(port.in(MSR) & 0xf0).toBe(0x90);
    port.out(MCR, 0);
    // FIFO: bits 7:6 of IIR are both set only on a 16550A.
    port.out(LCR, 0xbf);
    port.out(FCR, 0);
    port.out(LCR, 0);
    port.out(FCR, 0x01);
    expect(port.in(IIR) >> 6).toBe(3);
    // autoconfig_16550a: an EFR would read 0 in configuration mode A; a NatSemi shows MCR's loop bit at offset 2.
    port.out(LCR, 0x80);
    expect(port.in(IIR)).not.toBe(0);
    port.out(LCR, 0xe0);
    const first = port.in(IIR);
    port.out(LCR, 0);
    port.out(MCR, 0x10);
    port.out(LCR, 0xe0);
    expect(port.in(IIR)).toBe(first);
    port.out(LCR, 0);
    port.out(MCR, 0);
    // XScale's UUE bit does not stick.
    port.out(IER, 0x40);
    expect(port.in(IER) & 0x40).toBe(0);
  });

  test("startup: enabling THRI again raises the transmitter interrupt each time (UART_BUG_THRE, UART_BUG_TXEN)", () => {
    const port = new Port().open(0);
    for (let round = 0; round < 3; round++) {
      port.out(IER, 0x02);
      expect(port.in(IIR) & 0x0f).toBe(0x02);
      port.out(IER, 0x00);
      port.out(IER, 0x02);
      expect(port.in(LSR) & 0x40).toBe(0x40);
      expect(port.in(IIR) & NO_INTERRUPT).toBe(0);
      port.out(IER, 0x00);
    }
  });

  test("sending by interrupt: 16 bytes for each one, until the driver disables it", () => {
    const port = new Port().open(0x05);
    const text = [...Array(50).keys()];
    let sent = 0;
    port.out(IER, 0x07);
    let interrupts = 0;
    while (port.board.pending) {
      interrupts++;
      expect(port.board.acknowledge()).toBe(0x34);
      for (let cause = port.in(IIR); !(cause & NO_INTERRUPT); cause = port.in(IIR)) {
        expect(cause).toBe(0xc2);
        expect(port.in(LSR) & 0x20).toBe(0x20);
        for (let count = 0; count < 16 && sent < text.length; count++) port.out(RBR, text[sent++] ?? 0);
        if (sent === text.length) port.out(IER, 0x05);
      }
      port.board.out(0x20, 0x20);
    }
    expect(port.output).toEqual(text);
    expect(interrupts).toBe(1);
  });
});

describe("transmitting", () => {
  test("a full console ring holds THRE and TEMT at 0 until there is room; nothing is lost or doubled", () => {
    const port = new Port().open(0x02);
    port.in(IIR);
    port.board.room[0] = 5;
    for (let byte = 0; byte < 16; byte++) port.out(RBR, byte);
    expect(port.output).toEqual([0, 1, 2, 3, 4]);
    expect(port.in(LSR) & 0x60).toBe(0);
    expect(port.in(IIR) & NO_INTERRUPT).toBe(NO_INTERRUPT);
    port.board.drain(0, 4);
    expect(port.in(LSR) & 0x60).toBe(0);
    expect(port.board.pending).toBe(false);
    port.board.drain(0, 100);
    expect(port.in(LSR) & 0x60).toBe(0x60);
    expect(port.board.pending).toBe(true);
    expect(port.output).toEqual([...Array(16).keys()]);
    expect(port.board.lost).toBe(0);
  });

  test("without FIFOs one byte waits", () => {
    const port = new Port();
    port.board.room[0] = 0;
    port.out(RBR, 0x61);
    expect(port.in(LSR) & 0x20).toBe(0);
    port.out(RBR, 0x62);
    port.board.drain(0, 9);
    expect(port.output).toEqual([0x61]);
  });

  test("resetting the transmit FIFO drops what waits", () => {
    const port = new Port().open(0);
    port.board.room[0] = 0;
    port.out(RBR, 0x61);
    port.out(FCR, 0x05);
    expect(port.in(LSR) & 0x60).toBe(0x60);
    port.board.drain(0, 9);
    expect(port.output).toEqual([]);
  });
});

describe("receiving", () => {
  test("the trigger level raises the interrupt, below it the character timeout does", () => {
    const port = new Port().open(0x01);
    port.board.type(0, 1, 2, 3, 4, 5, 6, 7);
    expect(port.board.pending).toBe(false);
    expect(port.in(IIR)).toBe(0xc1);
    port.board.type(0, 8);
    expect(port.in(IIR)).toBe(0xc4);
    expect(port.board.acknowledge()).toBe(0x34);
    expect(port.in(RBR)).toBe(1);
    expect(port.in(IIR)).toBe(0xc1);
    // Four characters of 10 bits at 115200.
    port.board.run(347_000n);
    expect(port.in(IIR)).toBe(0xc1);
    port.board.run(1_000n);
    expect(port.in(IIR)).toBe(0xcc);
    expect(port.in(RBR)).toBe(2);
    expect(port.in(IIR)).toBe(0xc1);
    port.board.run(348_000n);
    expect(port.in(IIR)).toBe(0xcc);
    for (let byte = 3; byte <= 8; byte++) expect(port.in(RBR)).toBe(byte);
    expect(port.in(LSR) & 1).toBe(0);
    expect(port.in(IIR)).toBe(0xc1);
    expect(port.board.timer).toBe(NEVER);
  });

  test.each([
    [0x01, 1],
    [0x41, 4],
    [0x81, 8],
    [0xc1, 14],
  ])("FCR %i triggers at %i bytes", (control, level) => {
    const port = new Port().open(0x01);
    port.out(FCR, control);
    for (let count = 1; count <= level; count++) {
      port.board.type(0, count);
      expect(port.in(IIR) & 0x0f).toBe(count < level ? 0x01 : 0x04);
    }
  });

  test("the character timeout follows the divisor and the frame", () => {
    const port = new Port().open(0x01);
    port.out(LCR, 0x9f);
    port.out(RBR, 12);
    port.out(IER, 0);
    port.out(LCR, 0x1f);
    port.board.type(0, 1);
    // 8 data bits, parity, 2 stop bits at 9600: 12 bits with the start bit.
    expect(port.board.timer).toBe((4n * 12n * 1_000_000_000n) / 9600n);
  });

  test("more input than the FIFO holds waits in the console ring: nothing overruns", () => {
    const port = new Port().open(0x01);
    const text = [...Array(100).keys()];
    port.board.type(0, ...text);
    expect(port.board.input[0]?.length).toBe(84);
    const read: number[] = [];
    while (port.in(LSR) & 1) read.push(port.in(RBR));
    expect(read).toEqual(text);
    expect(port.in(LSR) & 0x02).toBe(0);
  });

  test("without FIFOs one byte is there at a time", () => {
    const port = new Port();
    port.out(IER, 0x01);
    port.board.type(0, 0x61, 0x62);
    expect(port.in(IIR)).toBe(0x04);
    expect([port.in(RBR), port.in(LSR) & 1, port.in(RBR), port.in(LSR) & 1, port.in(RBR)]).toEqual([0x61, 1, 0x62, 0, 0]);
    expect(port.in(IIR)).toBe(0x01);
  });

  test("once MCR was written, input waits for RTS", () => {
    const port = new Port();
    port.out(MCR, 0x08);
    port.board.type(0, 0x61);
    port.out(FCR, 0x07);
    expect(port.in(LSR) & 1).toBe(0);
    port.out(MCR, 0x0b);
    expect(port.in(RBR)).toBe(0x61);
  });
});

describe("interrupts", () => {
  test("priorities: line status, data, transmitter, modem status", () => {
    const port = new Port();
    port.out(FCR, 0x01);
    port.out(MCR, 0x12);
    for (let byte = 0; byte < 17; byte++) port.out(RBR, byte);
    port.out(IER, 0x0f);
    expect(port.in(IIR)).toBe(0xc6);
    expect(port.in(LSR)).toBe(0x63);
    expect(port.in(LSR)).toBe(0x61);
    expect(port.in(IIR)).toBe(0xc4);
    port.out(FCR, 0x03);
    expect(port.in(IIR)).toBe(0xc2);
    expect(port.in(IIR)).toBe(0xc0);
    expect(port.in(MSR) & 0x0f).not.toBe(0);
    expect(port.in(IIR)).toBe(0xc1);
  });

  test("OUT2 gates the IRQ, loopback closes the gate", () => {
    const port = new Port();
    port.out(IER, 0x02);
    expect(port.board.pending).toBe(false);
    port.out(MCR, 0x08);
    expect(port.board.pending).toBe(true);
    port.out(MCR, 0x18);
    expect(port.board.pending).toBe(false);
    expect(port.in(IIR) & 0x0f).toBe(0x02);
  });

  test("COM2 is IRQ3", () => {
    const port = new Port(COM2).open(0x02);
    expect(port.board.acknowledge()).toBe(0x33);
    port.board.type(1, 0x41);
    expect(port.in(RBR)).toBe(0x41);
  });
});

describe("loopback", () => {
  test("what is sent comes back, and stays off the line", () => {
    const port = new Port();
    port.out(FCR, 0x07);
    port.out(MCR, 0x12);
    port.board.type(0, 0x99);
    for (const byte of [1, 2, 3]) port.out(RBR, byte);
    expect([port.in(RBR), port.in(RBR), port.in(RBR)]).toEqual([1, 2, 3]);
    expect(port.in(LSR)).toBe(0x60);
    expect(port.output).toEqual([]);
    port.out(MCR, 0x02);
    expect(port.in(RBR)).toBe(0x99);
  });

  test("a byte that waits for room on the line keeps the transmitter busy", () => {
    const port = new Port().open(0x02);
    port.board.room[0] = 0;
    port.out(RBR, 1);
    port.out(MCR, 0x1b);
    port.out(RBR, 2);
    port.out(MCR, 0x0b);
    expect(port.in(LSR) & 0x60).toBe(0);
    expect(port.in(IIR) & 0x0f).not.toBe(0x02);
    port.board.drain(0, 9);
    expect(port.in(IIR) & 0x0f).toBe(0x02);
    expect(port.output).toEqual([1]);
  });

  test("without FIFOs an unread byte is overrun", () => {
    const port = new Port();
    port.out(MCR, 0x10);
    port.out(RBR, 1);
    port.out(RBR, 2);
    expect(port.in(LSR)).toBe(0x63);
    expect(port.in(RBR)).toBe(2);
  });

  test.each([
    [0x01, 0x20],
    [0x02, 0x10],
    [0x04, 0x40],
    [0x08, 0x80],
  ])("MCR %i shows as MSR %i", (output, input) => {
    const port = new Port();
    port.out(MCR, 0x10 | output);
    expect(port.in(MSR) & 0xf0).toBe(input);
  });

  test("deltas tell changes once; the ring's only when it ends", () => {
    const port = new Port();
    port.out(MCR, 0x10);
    expect(port.in(MSR)).toBe(0x0b);
    port.out(MCR, 0x14);
    expect(port.in(MSR)).toBe(0x40);
    port.out(MCR, 0x10);
    expect(port.in(MSR)).toBe(0x04);
    expect(port.in(MSR)).toBe(0x00);
    port.out(MCR, 0x00);
    expect(port.in(MSR)).toBe(0xbb);
  });
});
