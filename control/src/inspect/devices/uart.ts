// A 16550A in words (National PC16550D): what is in its FIFOs, what it interrupts for, and whether that interrupt gets out.
import type { Records } from "../view.js";
import { recordOf } from "./record.js";

const FIFO_BYTES = 16;
const TRIGGERS = [1, 4, 8, 14] as const;
const SOURCES = ["received data", "transmitter empty", "line status", "modem status"] as const;
const OUT2 = 0x08;
const LOOP = 0x10;
const RTS = 0x02;

export interface UartState {
  port: "COM1" | "COM2";
  irq: 4 | 3;
  baud: number;
  /** data bits, parity, stop bits: "8N1" */
  format: string;
  fifos: boolean;
  /** bytes that the guest has not read, oldest first */
  received: Uint8Array;
  /** bytes that wait to be sent */
  sending: Uint8Array;
  /** console input that the guest makes no room for */
  waiting: number;
  /** IER: what may interrupt */
  enabled: string[];
  /** what does, the most urgent; null: nothing */
  cause: string | null;
  /** MCR.OUT2, which a PC's board needs to let the interrupt out; not in loopback */
  gateOpen: boolean;
  rts: boolean;
  loopback: boolean;
  overrun: boolean;
}

export function uartsOf(records: Records, inputBytes: readonly [number, number]): [UartState, UartState] {
  return [uartOf(records, "COM1", 4, inputBytes[0]), uartOf(records, "COM2", 3, inputBytes[1])];
}

function uartOf(records: Records, port: "COM1" | "COM2", irq: 4 | 3, waiting: number): UartState {
  const { number, bytes } = recordOf(records, port.toLowerCase());
  const fifo = (name: string): Uint8Array => {
    const ring = bytes(name, FIFO_BYTES);
    const count = Math.min(number(`${name}Count`), FIFO_BYTES);
    return Uint8Array.from({ length: count }, (_, index) => ring[(number(`${name}Head`) + index) % FIFO_BYTES] ?? 0);
  };
  const lcr = number("lcr");
  const mcr = number("mcr");
  const ier = number("ier");
  const parity = ["N", "O", "N", "E", "N", "M", "N", "S"][(lcr >> 3) & 7] ?? "N";
  const received = fifo("rx");
  return {
    port,
    irq,
    baud: Math.round(115_200 / Math.max(number("divisor"), 1)),
    format: `${5 + (lcr & 3)}${parity}${lcr & 4 ? ((lcr & 3) === 0 ? "1.5" : 2) : 1}`,
    fifos: (number("fcr") & 1) !== 0,
    received,
    sending: fifo("tx"),
    waiting,
    enabled: SOURCES.filter((_, bit) => (ier >> bit) & 1),
    cause: causeOf({ ier, received: received.length, trigger: TRIGGERS[number("fcr") >> 6] ?? 1, number }),
    gateOpen: (mcr & (OUT2 | LOOP)) === OUT2,
    rts: (mcr & RTS) !== 0 || number("flowControl") === 0,
    loopback: (mcr & LOOP) !== 0,
    overrun: number("errors") !== 0,
  };
}

/** By priority (data sheet, table IV). */
function causeOf({
  ier,
  received,
  trigger,
  number,
}: {
  ier: number;
  received: number;
  trigger: number;
  number: (field: string) => number;
}): string | null {
  if (ier & 4 && number("errors")) return "line status";
  if (ier & 1 && received >= trigger) return "received data";
  if (ier & 1 && number("timeout")) return "character timeout";
  if (ier & 2 && number("empty")) return "transmitter empty";
  if (ier & 8 && number("deltas")) return "modem status";
  return null;
}
