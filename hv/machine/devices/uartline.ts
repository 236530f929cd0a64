// The bytes of a 16550A: from THR through the transmit FIFO to the console ring, and from the console ring through the receive FIFO
// to RBR. uart.ts has the registers, uartcause.ts the interrupts; events of the host come in here.

import * as guest from "../guest";
import { com1, com2, timers } from "../state";
import { NEVER, rearm } from "../timers";
import { UartRecord } from "./records";
import { depth, Fcr, Mcr, refresh, trigger } from "./uartcause";

const SECOND: u64 = 1000000000;
/** of divisor 1: 1.8432 MHz / 16 */
const BAUD: u64 = 115200;

export enum Lcr {
  WordLength = 0x03,
  StopBits = 0x04,
  Parity = 0x08,
  DivisorLatch = 0x80,
}

export enum Lsr {
  DataReady = 0x01,
  Overrun = 0x02,
  HoldingEmpty = 0x20,
  Empty = 0x40,
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

export function transmit(uart: UartRecord, value: u32): void {
  uart.empty = 0;
  if (uart.mcr & Mcr.Loop) {
    if (uart.rxCount < depth(uart)) pushReceived(uart, value);
    else {
      uart.errors |= <u8>Lsr.Overrun;
      if (!(uart.fcr & Fcr.Enable)) store<u8>(receiveFifo(uart) + uart.rxHead, <u8>value);
    }
    // What waits for the ring still does.
    uart.empty = uart.txCount ? 0 : 1;
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

export function readReceived(uart: UartRecord): u32 {
  if (uart.rxCount == 0) return 0;
  const byte = load<u8>(receiveFifo(uart) + uart.rxHead);
  uart.rxHead = (uart.rxHead + 1) & 15;
  uart.rxCount--;
  uartInput(uart);
  receivedChanged(uart);
  return byte;
}

function pushReceived(uart: UartRecord, byte: u32): void {
  store<u8>(receiveFifo(uart) + ((uart.rxHead + uart.rxCount) & 15), <u8>byte);
  uart.rxCount++;
}

/** Every byte that comes or goes restarts the character timeout: four characters' time with bytes below the trigger level. */
export function receivedChanged(uart: UartRecord): void {
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
