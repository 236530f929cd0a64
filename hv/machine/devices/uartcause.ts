// Why a 16550A interrupts: the causes by priority, and the IRQ that follows from them (PC16550D data sheet, 8.6 and table IV). uart.ts
// has the registers, uartline.ts the bytes; both call refresh after each change.

import { com1 } from "../state";
import { setLine } from "./pic";
import { UartRecord } from "./records";

export enum Ier {
  Received = 0x01,
  Empty = 0x02,
  LineStatus = 0x04,
  ModemStatus = 0x08,
}

/** In the order of priority (data sheet, table IV). */
export enum Iir {
  LineStatus = 0x06,
  Received = 0x04,
  Timeout = 0x0c,
  Empty = 0x02,
  ModemStatus = 0x00,
  None = 0x01,
  Fifos = 0xc0,
}

export enum Fcr {
  Enable = 0x01,
  ResetReceiver = 0x02,
  ResetTransmitter = 0x04,
  Trigger = 0xc0,
}

export enum Mcr {
  Rts = 0x02,
  Out2 = 0x08,
  Loop = 0x10,
}

const FIFO_BYTES: u32 = 16;

export function cause(uart: UartRecord): u32 {
  const ier: u32 = uart.ier;
  if (ier & Ier.LineStatus && uart.errors) return Iir.LineStatus;
  if (ier & Ier.Received) {
    if (uart.rxCount >= trigger(uart)) return Iir.Received;
    if (uart.timeout) return Iir.Timeout;
  }
  if (ier & Ier.Empty && uart.empty) return Iir.Empty;
  if (ier & Ier.ModemStatus && uart.deltas) return Iir.ModemStatus;
  return Iir.None;
}

/** The IRQ passes a gate that OUT2 opens; in loopback the outputs are inactive, so it is closed (data sheet, 8.8). */
export function refresh(uart: UartRecord): void {
  const open = (uart.mcr & (Mcr.Out2 | Mcr.Loop)) == Mcr.Out2;
  setLine(uart === com1 ? 4 : 3, open && cause(uart) != Iir.None);
}

/** Bytes in the receiver that raise the interrupt: 1, 4, 8 or 14. */
export function trigger(uart: UartRecord): u32 {
  return (0x0e080401 >> ((uart.fcr >> 6) << 3)) & 0xff;
}

export function depth(uart: UartRecord): u32 {
  return uart.fcr & Fcr.Enable ? FIFO_BYTES : 1;
}
