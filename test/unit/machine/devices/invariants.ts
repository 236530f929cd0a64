// What holds of the devices' records after every operation, whatever a guest does: fuzz.test.ts asks after each one. Written from the data
// sheets, not from the devices' code: an interrupt line is up exactly while its cause is there, INT is what the registers say, no index
// leaves its ring, and the timer that is armed is the earliest deadline.
import { Layout } from "../../../../hv/machine/layout.js";
import { layout } from "../../../../scripts/lib/layout.mjs";
import { type Board, NEVER, place } from "./board.js";

/** A record's one-byte fields as getters over the memory of the moment. */
let memory = new Uint8Array();
let words = new DataView(memory.buffer);

function byte(record: string, field: string): () => number {
  const { address, bytes } = place(record, field);
  if (bytes !== 1) throw new Error(`${record}.${field} has ${bytes} bytes`);
  return () => memory[address] ?? 0;
}

function word(record: string, field: string): () => bigint {
  const { address } = place(record, field);
  return () => words.getBigUint64(address, true);
}

function half(record: string, field: string): () => number {
  const { address } = place(record, field);
  return () => words.getUint32(address, true);
}

const uarts = (["com1", "com2"] as const).map((record, port) => ({
  record,
  irq: 4 - port,
  rxHead: byte(record, "rxHead"),
  rxCount: byte(record, "rxCount"),
  txHead: byte(record, "txHead"),
  txCount: byte(record, "txCount"),
  ier: byte(record, "ier"),
  fcr: byte(record, "fcr"),
  mcr: byte(record, "mcr"),
  errors: byte(record, "errors"),
  deltas: byte(record, "deltas"),
  empty: byte(record, "empty"),
  timeout: byte(record, "timeout"),
  deadline: word("timers", record),
}));

const chips = (["picMaster", "picSlave"] as const).map((record) => ({
  record,
  int: byte(record, "int"),
  lines: byte(record, "lines"),
  irr: byte(record, "irr"),
  isr: byte(record, "isr"),
  imr: byte(record, "imr"),
  elcr: byte(record, "elcr"),
  lowest: byte(record, "lowest"),
  icw1: byte(record, "icw1"),
  icw4: byte(record, "icw4"),
  expected: byte(record, "expected"),
  specialMask: byte(record, "specialMask"),
}));
type Chip = (typeof chips)[number];

const counters = (["pit0", "pit1", "pit2"] as const).map((record) => ({
  record,
  count: half(record, "count"),
  next: half(record, "next"),
  mode: byte(record, "mode"),
  state: byte(record, "state"),
  latched: byte(record, "latched"),
  control: byte(record, "control"),
  owed: word(record, "owed"),
}));

const keyboard = { status: byte("keyboard", "status"), command: byte("keyboard", "command") };
const power = { ended: byte("power", "ended"), spelled: byte("power", "spelled") };
const cells = place("rtc", "cells").address;
const timers = { armed: word("timers", "armed"), pit: word("timers", "pit"), rtc: word("timers", "rtc") };
const region = { end: Math.max(...layout().map(({ address, bytes }) => address + bytes)) };

const KEYBOARD_IRQ = 1;
const CASCADE = 2;
const RTC_IRQ = 8;
const COUNTING = 3;

function fail(text: string): never {
  throw new Error(text);
}

export function checkDevices(board: Board): void {
  memory = new Uint8Array(board.devices.memory.buffer);
  words = new DataView(memory.buffer);
  for (const uart of uarts) checkUart(uart);
  checkLine(KEYBOARD_IRQ, (keyboard.status() & keyboard.command() & 1) !== 0);
  checkClock();
  for (const counter of counters) checkCounter(counter);
  for (const chip of chips) checkPic(chip);
  const [master, slave] = chips as [Chip, Chip];
  if (((master.lines() >> CASCADE) & 1) !== slave.int()) fail("pic: the cascade is not the slave's INT");
  if (board.pending !== (master.int() !== 0)) fail("pic: pending is not INT");
  if ((power.ended() !== 0) !== (board.ended !== undefined)) fail("power: the end is not where it was told");
  if (power.spelled() > 7) fail("power: more letters than there are");
  checkTimers(board);
}

/** PC16550D, 8.6 and table IV. */
function checkUart(uart: (typeof uarts)[number]): void {
  const { record } = uart;
  const depth = uart.fcr() & 1 ? 16 : 1;
  const trigger = [1, 4, 8, 14][uart.fcr() >> 6] ?? 1;
  const received = uart.rxCount();
  if (received > depth || uart.txCount() > depth) fail(`${record}: a FIFO beyond ${depth}`);
  if (uart.rxHead() > 15 || uart.txHead() > 15) fail(`${record}: an index beyond its FIFO`);
  if (uart.timeout() && received === 0) fail(`${record}: a timeout of nothing`);
  if (uart.empty() && uart.txCount() > 0) fail(`${record}: the transmitter is empty and is not`);
  if (uart.errors() & ~2 || uart.deltas() & ~15) fail(`${record}: status bits that are none`);
  // Bytes below the trigger level are not forgotten: the timeout has passed, or is to come.
  const waits = received > 0 && received < trigger && !uart.timeout();
  if (waits !== (uart.deadline() !== NEVER)) fail(`${record}: ${waits ? "no timeout for bytes" : "a timeout without bytes"}`);
  const ier = uart.ier();
  const causes =
    ((ier & 4) !== 0 && uart.errors() !== 0) ||
    ((ier & 1) !== 0 && (received >= trigger || uart.timeout() !== 0)) ||
    ((ier & 2) !== 0 && uart.empty() !== 0) ||
    ((ier & 8) !== 0 && uart.deltas() !== 0);
  checkLine(uart.irq, causes && (uart.mcr() & 0x18) === 0x08);
}

/** MC146818: IRQF is a flag that is enabled; an enabled interrupt that has not come is waited for. */
function checkClock(): void {
  const [a = 0, b = 0, c = 0] = [memory[cells + 10], memory[cells + 11], memory[cells + 12]];
  const requests = (c & b & 0x70) !== 0;
  checkLine(RTC_IRQ, requests);
  if (((c & 0x80) !== 0) !== requests) fail("rtc: IRQF is not its flags");
  const divided = (a & 0x60) !== 0x60;
  const updates = divided && !(b & 0x80) && (b & 0x10) !== 0;
  const ticks = divided && (a & 0x0f) !== 0 && (b & 0x40) !== 0;
  if (requests && timers.rtc() !== NEVER) fail("rtc: a deadline for what has come");
  if (!requests && (updates || ticks) && timers.rtc() === NEVER) fail("rtc: an interrupt that never comes");
}

/** 231164: counts, modes, and that counter 0's next tick is waited for. */
function checkCounter(counter: (typeof counters)[number]): void {
  const { record } = counter;
  const count = counter.count();
  // BCD digits above 9 are taken at their weight: 15 * 1111 at most.
  if (count < 1 || count > 0x10000 || counter.next() > 0x10000) fail(`${record}: a count of ${count}, then ${counter.next()}`);
  if (counter.mode() > 5 || counter.state() > COUNTING || counter.latched() > 2 || counter.control() > 0x3f)
    fail(`${record}: no such mode`);
  if (record !== "pit0") return;
  const periodic = counter.state() === COUNTING && (counter.mode() & ~1) === 2 && count > 1;
  if (periodic && timers.pit() === NEVER) fail("pit: ticks that never come");
  // One that stands may have ticks to give that are owed from before.
  if (counter.state() !== COUNTING && counter.owed() === 0n && timers.pit() !== NEVER)
    fail("pit: a deadline of a counter that stands still");
}

/** 8259A: a request has its input up, but for IRQ0's, which is a latched pulse. INT is what IRR, IMR and ISR say. */
function checkPic(chip: Chip): void {
  const { record } = chip;
  const pulses = record === "picMaster" ? 1 : 0;
  const levels = (chip.icw1() & 8 ? 0xff : chip.elcr()) & ~pulses;
  if (chip.irr() & ~chip.lines() & ~pulses) fail(`${record}: a request without its input`);
  if ((chip.irr() ^ chip.lines()) & levels) fail(`${record}: a level that is not a request`);
  if (chip.lowest() > 7) fail(`${record}: priority`);
  if (chip.int() !== Number(interrupts(chip))) fail(`${record}: INT is ${chip.int()}`);
}

/** From the highest priority down: an unmasked request is passed on, one in service stops those at and below it. */
function interrupts(chip: Chip): boolean {
  if (chip.expected() !== 0) return false;
  const nested = chip.record === "picMaster" && (chip.icw4() & 0x10) !== 0;
  for (let rank = 1; rank <= 8; rank++) {
    const input = (chip.lowest() + rank) & 7;
    const masked = ((chip.imr() >> input) & 1) !== 0;
    const served = ((chip.isr() >> input) & 1) !== 0;
    if (served && !(masked && chip.specialMask()) && !(nested && input === CASCADE)) return false;
    if (((chip.irr() >> input) & 1) !== 0 && !masked) return true;
  }
  return false;
}

function checkLine(irq: number, level: boolean): void {
  const lines = (chips[irq >> 3] as Chip).lines();
  if (((lines >> (irq & 7)) & 1) !== Number(level)) fail(`IRQ${irq} is ${level ? "down with" : "stuck without"} a cause`);
}

function checkTimers(board: Board): void {
  let earliest = timers.pit();
  for (const deadline of [timers.rtc(), uarts[0]?.deadline() ?? NEVER, uarts[1]?.deadline() ?? NEVER]) {
    if (deadline < earliest) earliest = deadline;
  }
  if (timers.armed() !== earliest || board.timer !== earliest) fail("timers: not armed for the earliest deadline");
}

/** Nothing is kept outside of the records: what lies behind them is as it was made. */
export function checkRest(board: Board, fresh: Uint8Array): void {
  const bytes = Buffer.from(board.devices.memory.buffer);
  if (bytes.compare(fresh, region.end, Layout.End, region.end, Layout.End) !== 0) fail("memory behind the records was written");
  if (bytes.compare(fresh, 0, Layout.Region, 0, Layout.Region) !== 0) fail("memory before the records was written");
}

/** The state that a driver leaves which has taken all there was: no line is up, and nothing is pending for long. */
export function drain(board: Board): void {
  board.input = [[], []];
  board.drain(0, Infinity);
  board.drain(1, Infinity);
  board.in(0x60);
  board.out(0x70, 0x0c);
  board.in(0x71);
  for (const base of [0x3f8, 0x2f8]) {
    board.out(base + 3, 0x03);
    board.out(base + 4, 0x0b);
    for (let reads = 0; board.in(base + 5) & 1; reads++) {
      if (reads > 16) fail("uart: more bytes than its FIFO has");
      board.in(base);
    }
    board.in(base + 6);
    for (let reads = 0; !(board.in(base + 2) & 1); reads++) if (reads > 3) fail("uart: a cause that stays");
  }
  checkDevices(board);
  for (const chip of chips) {
    const up = chip.lines() & ~(chip.record === "picMaster" ? 1 << CASCADE : 0);
    if (up !== 0) fail(`${chip.record}: inputs ${up.toString(2)} are up after all was read`);
  }
  // No more ticks, and none that are owed.
  board.out(0x43, 0x30);
  // Requests without a cause: each is taken once, as the pair is programmed now.
  for (let taken = 0; board.pending; taken++) {
    if (taken > 16) fail("pic: a request that stays");
    board.acknowledge();
  }
  board.initPics(0xffff);
  for (let taken = 0; board.pending; taken++) {
    if (taken > 16) fail("pic: interrupts without end");
    board.acknowledge();
    board.out(0xa0, 0x20);
    board.out(0x20, 0x20);
  }
  checkDevices(board);
}
