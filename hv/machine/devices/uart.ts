// A 16550A serial port (National PC16550D data sheet), COM1 and COM2. What the guest sends goes to its console ring at once, with no
// baud rate; when the ring is full the transmit FIFO fills and THRE stays 0 until EventBit.ConsoleRoom, as on a slow line. Input
// stays in the console ring until the receive FIFO has room, so nothing overruns; once the guest has written MCR it also waits for
// RTS, so that what is typed while a driver probes and resets the chip is not lost. The other end is always there: CTS, DSR, DCD.
// Not modelled: break, parity and framing errors (the ring has none), DMA signalling (no wires on a PC).
//
//   offset    0         1     2         3     4     5     6     7
//   DLAB 0    RBR/THR   IER   IIR/FCR   LCR   MCR   LSR   MSR   SCR
//   DLAB 1    DLL       DLM

import * as guest from "../guest";
import { com1, com2, timers } from "../state";
import { NEVER, rearm } from "../timers";
import { setLine } from "./pic";
import { UartRecord } from "./records";

const FIFO_BYTES: u32 = 16;
const SECOND: u64 = 1000000000;
/** of divisor 1: 1.8432 MHz / 16 */
const BAUD: u64 = 115200;

enum Ier {
  Received = 0x01,
  Empty = 0x02,
  LineStatus = 0x04,
  ModemStatus = 0x08,
}

/** In the order of priority (data sheet, table IV). */
enum Iir {
  LineStatus = 0x06,
  Received = 0x04,
  Timeout = 0x0c,
  Empty = 0x02,
  ModemStatus = 0x00,
  None = 0x01,
  Fifos = 0xc0,
}

enum Fcr {
  Enable = 0x01,
  ResetReceiver = 0x02,
  ResetTransmitter = 0x04,
  Trigger = 0xc0,
}

enum Lcr {
  WordLength = 0x03,
  StopBits = 0x04,
  Parity = 0x08,
  DivisorLatch = 0x80,
}

enum Mcr {
  Rts = 0x02,
  Out2 = 0x08,
  Loop = 0x10,
}

enum Lsr {
  DataReady = 0x01,
  Overrun = 0x02,
  HoldingEmpty = 0x20,
  Empty = 0x40,
}

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

/** EventBit.ConsoleInput, and whenever the guest makes room: takes what fits from the console ring. */
export function uartInput(uart: UartRecord): void {
  if (uart.mcr & Mcr.Loop || (uart.flowControl && !(uart.mcr & Mcr.Rts))) return;
  let taken = false;
  while (uart.rxCount < depth(uart)) {
    const byte = guest.consoleGet(port(uart));
    if (byte < 0) break;
    pushReceived(uart, byte);
    taken = true;
  }
  if (taken) receivedChanged(uart);
}

/** EventBit.ConsoleRoom: sends what waited. */
export function uartRoom(uart: UartRecord): void {
  if (uart.txCount == 0) return;
  while (uart.txCount && guest.consoleRoom(port(uart))) {
    guest.consolePut(port(uart), load<u8>(transmitFifo(uart) + uart.txHead));
    uart.txHead = (uart.txHead + 1) & 15;
    uart.txCount--;
  }
  if (uart.txCount == 0) uart.empty = 1;
  refresh(uart);
}

/** EventBit.Timer, when the character timeout's deadline has come. */
export function uartTimer(uart: UartRecord): void {
  setDeadline(uart, NEVER);
  uart.timeout = uart.rxCount ? 1 : 0;
  refresh(uart);
}

function transmit(uart: UartRecord, value: u32): void {
  uart.empty = 0;
  if (uart.mcr & Mcr.Loop) {
    if (uart.rxCount < depth(uart)) pushReceived(uart, value);
    else {
      uart.errors |= <u8>Lsr.Overrun;
      if (!(uart.fcr & Fcr.Enable)) store<u8>(receiveFifo(uart) + uart.rxHead, <u8>value);
    }
    uart.empty = 1;
    receivedChanged(uart);
    return;
  }
  if (uart.txCount == 0 && guest.consoleRoom(port(uart))) {
    guest.consolePut(port(uart), value);
    uart.empty = 1;
  } else if (uart.txCount < depth(uart)) {
    store<u8>(transmitFifo(uart) + ((uart.txHead + uart.txCount) & 15), <u8>value);
    uart.txCount++;
  }
  refresh(uart);
}

function readReceived(uart: UartRecord): u32 {
  if (uart.rxCount == 0) return 0;
  const byte = load<u8>(receiveFifo(uart) + uart.rxHead);
  uart.rxHead = (uart.rxHead + 1) & 15;
  uart.rxCount--;
  uartInput(uart);
  receivedChanged(uart);
  return byte;
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

/** Turning the FIFOs on or off empties both; the other bits are taken only with the enable bit (data sheet, 8.4). */
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

function cause(uart: UartRecord): u32 {
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

/** The IRQ passes a gate that OUT2 opens; in loopback the outputs are inactive, so it is closed (data sheet, 8.6). */
function refresh(uart: UartRecord): void {
  const open = (uart.mcr & (Mcr.Out2 | Mcr.Loop)) == Mcr.Out2;
  setLine(uart === com1 ? 4 : 3, open && cause(uart) != Iir.None);
}

function pushReceived(uart: UartRecord, byte: u32): void {
  store<u8>(receiveFifo(uart) + ((uart.rxHead + uart.rxCount) & 15), <u8>byte);
  uart.rxCount++;
}

/** Every byte that comes or goes restarts the character timeout: four characters' time with bytes below the trigger level. */
function receivedChanged(uart: UartRecord): void {
  uart.timeout = 0;
  if (uart.rxCount && uart.rxCount < trigger(uart)) {
    const lcr: u32 = uart.lcr;
    const bits = 7 + (lcr & Lcr.WordLength) + (lcr & Lcr.StopBits ? 1 : 0) + (lcr & Lcr.Parity ? 1 : 0);
    setDeadline(uart, guest.clock() + (4 * <u64>bits * max<u64>(uart.divisor, 1) * SECOND) / BAUD);
  } else setDeadline(uart, NEVER);
  refresh(uart);
}

function setDeadline(uart: UartRecord, deadline: u64): void {
  if (uart === com1) timers.com1 = deadline;
  else timers.com2 = deadline;
  rearm();
}

/** Bytes in the receiver that raise the interrupt: 1, 4, 8 or 14. */
function trigger(uart: UartRecord): u32 {
  return (0x0e080401 >> ((uart.fcr >> 6) << 3)) & 0xff;
}

function depth(uart: UartRecord): u32 {
  return uart.fcr & Fcr.Enable ? FIFO_BYTES : 1;
}

function isLatchOpen(uart: UartRecord): bool {
  return (uart.lcr & Lcr.DivisorLatch) != 0;
}

function port(uart: UartRecord): u32 {
  return uart === com1 ? 0 : 1;
}

function receiveFifo(uart: UartRecord): usize {
  return changetype<usize>(uart) + offsetof<UartRecord>("rx0");
}

function transmitFifo(uart: UartRecord): usize {
  return changetype<usize>(uart) + offsetof<UartRecord>("tx0");
}

/** Both, for the events that do not say which. */
export function uartsInput(): void {
  uartInput(com1);
  uartInput(com2);
}

export function uartsRoom(): void {
  uartRoom(com1);
  uartRoom(com2);
}
