// A 16550A serial port (National PC16550D data sheet), COM1 and COM2. What the guest sends goes to its console ring at once, with no
// baud rate; when the ring is full the transmit FIFO fills and THRE stays 0 until EventBit.ConsoleRoom, as on a slow line. Input
// stays in the console ring until the receive FIFO has room, so nothing overruns; once the guest has written MCR it also waits for
// RTS, so that what is typed while a driver probes and resets the chip is not lost. The other end is always there: CTS, DSR, DCD.
// Not modelled: break, parity and framing errors (the ring has none), DMA signalling (no wires on a PC).
//
//   offset    0         1     2         3     4     5     6     7
//   DLAB 0    RBR/THR   IER   IIR/FCR   LCR   MCR   LSR   MSR   SCR
//   DLAB 1    DLL       DLM

import { UartRecord } from "./records";
import { cause, Fcr, Ier, Iir, Mcr, refresh } from "./uartcause";
import { Lcr, Lsr, readReceived, receivedChanged, transmit, uartInput } from "./uartline";

enum Msr {
  RingTrailing = 0x04,
  Cts = 0x10,
  Dsr = 0x20,
  Ring = 0x40,
  Dcd = 0x80,
}

export function uartReset(uart: UartRecord): void {
  uart.divisor = 1;
  uart.lcr = 0x03;
}

export function uartRead(uart: UartRecord, offset: u32): u32 {
  switch (offset) {
    case 0:
      return isLatchOpen(uart) ? uart.divisor & 0xff : readReceived(uart);
    case 1:
      return isLatchOpen(uart) ? uart.divisor >> 8 : uart.ier;
    case 2:
      return readCause(uart);
    case 3:
      return uart.lcr;
    case 4:
      return uart.mcr;
    case 5:
      return readLineStatus(uart);
    case 6:
      return readModemStatus(uart);
    default:
      return uart.scratch;
  }
}

export function uartWrite(uart: UartRecord, offset: u32, value: u32): void {
  switch (offset) {
    case 0:
      if (isLatchOpen(uart)) uart.divisor = <u16>((uart.divisor & 0xff00) | value);
      else transmit(uart, value);
      break;
    case 1:
      if (isLatchOpen(uart)) uart.divisor = <u16>((uart.divisor & 0xff) | (value << 8));
      else writeEnables(uart, value);
      break;
    case 2:
      writeFifoControl(uart, value);
      break;
    case 3:
      uart.lcr = <u8>value;
      break;
    case 4:
      writeModemControl(uart, value);
      break;
    case 7:
      uart.scratch = <u8>value;
      break;
    default:
      // LSR and MSR: factory test only.
      break;
  }
}

function readCause(uart: UartRecord): u32 {
  const found = cause(uart);
  if (found == Iir.Empty) {
    uart.empty = 0;
    refresh(uart);
  }
  return uart.fcr & Fcr.Enable ? found | Iir.Fifos : found;
}

function readLineStatus(uart: UartRecord): u32 {
  let status: u32 = uart.errors;
  if (uart.rxCount) status |= Lsr.DataReady;
  if (uart.txCount == 0) status |= Lsr.HoldingEmpty | Lsr.Empty;
  if (uart.errors) {
    uart.errors = 0;
    refresh(uart);
  }
  return status;
}

function readModemStatus(uart: UartRecord): u32 {
  const status = modemLines(uart) | uart.deltas;
  uart.deltas = 0;
  refresh(uart);
  return status;
}

/** Enabling the transmitter interrupt while THR is empty raises it at once: drivers start sending that way. */
function writeEnables(uart: UartRecord, value: u32): void {
  if (value & ~(<u32>uart.ier) & Ier.Empty && uart.txCount == 0) uart.empty = 1;
  uart.ier = <u8>(value & 0x0f);
  refresh(uart);
}

/** Turning the FIFOs on or off empties both; the other bits are taken only with the enable bit (data sheet, 8.5). */
function writeFifoControl(uart: UartRecord, value: u32): void {
  const toggled = ((value ^ uart.fcr) & Fcr.Enable) != 0;
  uart.fcr = value & Fcr.Enable ? <u8>(value & (Fcr.Enable | Fcr.Trigger)) : 0;
  if (toggled || value & Fcr.ResetReceiver) uart.rxCount = 0;
  if ((toggled || value & Fcr.ResetTransmitter) && uart.txCount) {
    uart.txCount = 0;
    uart.empty = 1;
  }
  uartInput(uart);
  receivedChanged(uart);
}

function writeModemControl(uart: UartRecord, value: u32): void {
  const before = modemLines(uart);
  uart.mcr = <u8>(value & 0x1f);
  uart.flowControl = 1;
  const after = modemLines(uart);
  const changed = before ^ after;
  uart.deltas |= <u8>((changed & (Msr.Cts | Msr.Dsr | Msr.Dcd)) >> 4);
  if (changed & before & Msr.Ring) uart.deltas |= <u8>Msr.RingTrailing;
  uartInput(uart);
  refresh(uart);
}

/** MSR bits 7:4: a peer that is ready, or in loopback the four outputs of MCR. */
function modemLines(uart: UartRecord): u32 {
  const mcr: u32 = uart.mcr;
  if (!(mcr & Mcr.Loop)) return Msr.Cts | Msr.Dsr | Msr.Dcd;
  return ((mcr & 1) << 5) | ((mcr & 2) << 3) | ((mcr & 0x0c) << 4);
}

function isLatchOpen(uart: UartRecord): bool {
  return (uart.lcr & Lcr.DivisorLatch) != 0;
}
