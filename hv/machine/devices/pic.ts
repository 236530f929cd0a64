// The two 8259A interrupt controllers (Intel 8259A data sheet, 231468) and the ELCR of the PIIX (4D0h, 4D1h), wired as in a PC: the
// slave's INT is the master's IR2. Devices call setLine or pulse; interrupts.ts reads the master's `int` and acknowledges.
//
//   OCW2   7 6 5   4 3   2 1 0        OCW3   7    6    5   4 3   2  1  0
//          R SL EOI 0 0  level               0  ESMM  SMM  0 1   P  RR RIS

import { picMaster, picSlave } from "../state";
import { PicRecord } from "./records";

/** no input requests service: as an input number, its low three bits are the spurious IR7 */
const NONE: u32 = 15;
const CASCADE: u32 = 2;

enum Icw1 {
  NeedsIcw4 = 0x01,
  Single = 0x02,
  LevelTriggered = 0x08,
  Select = 0x10,
}

enum Icw4 {
  AutoEoi = 0x02,
  SpecialFullyNested = 0x10,
}

enum Ocw3 {
  ReadIsr = 0x01,
  Read = 0x02,
  Poll = 0x04,
  Select = 0x08,
  SpecialMask = 0x20,
  SetSpecialMask = 0x40,
}

/** As a PC's firmware leaves them: vectors 08h and 70h, everything masked. */
export function picReset(): void {
  picMaster.imr = 0xff;
  picMaster.base = 0x08;
  picMaster.lowest = 7;
  picSlave.imr = 0xff;
  picSlave.base = 0x70;
  picSlave.lowest = 7;
}

/** A device's output that is wired to `irq` has this level. */
export function setLine(irq: u32, level: bool): void {
  drive(irq < 8 ? picMaster : picSlave, 1 << (irq & 7), level);
}

/** A rising edge that stays latched until it is acknowledged; false: the one before still is. */
export function pulse(irq: u32): bool {
  const chip = irq < 8 ? picMaster : picSlave;
  const bit: u32 = 1 << (irq & 7);
  if (chip.irr & bit) return false;
  chip.irr |= <u8>bit;
  refresh(chip);
  return true;
}

/** It waits for its INTA, or for its mask to go. */
export function isAsked(irq: u32): bool {
  const irr: u32 = irq < 8 ? picMaster.irr : picSlave.irr;
  return (irr & (1 << (irq & 7))) != 0;
}

/** Takes back a pulse that was not acknowledged. */
export function unpulse(irq: u32): void {
  drive(irq < 8 ? picMaster : picSlave, 1 << (irq & 7), false);
}

/** The INTA cycles: the vector. Nothing pending gives the spurious IR7, with no bit of ISR set. */
export function acknowledge(): u32 {
  const input = take(picMaster);
  if (input != CASCADE) return picMaster.base | (input & 7);
  return picSlave.base | (take(picSlave) & 7);
}

export function picRead(chip: PicRecord, offset: u32): u32 {
  if (chip.poll) {
    chip.poll = 0;
    const input = take(chip);
    return input == NONE ? 0 : 0x80 | input;
  }
  if (offset) return chip.imr;
  return chip.readIsr ? chip.isr : chip.irr;
}

export function picWrite(chip: PicRecord, offset: u32, value: u32): void {
  if (offset) writeMask(chip, value);
  else if (value & Icw1.Select) initialize(chip, value);
  else if (value & Ocw3.Select) writeOcw3(chip, value);
  else writeOcw2(chip, value);
  refresh(chip);
}

export function elcrRead(chip: PicRecord): u32 {
  return chip.elcr;
}

/** The timer, keyboard, cascade, RTC and coprocessor inputs are edge triggered for good (PIIX4 data sheet, ELCR1 and ELCR2). */
export function elcrWrite(chip: PicRecord, value: u32): void {
  chip.elcr = <u8>(value & (chip === picMaster ? 0xf8 : 0xde));
  chip.irr = <u8>((chip.irr & ~levels(chip)) | (chip.lines & levels(chip)));
  refresh(chip);
}

/** A0 = 1: the mask, or the next of ICW2, ICW3, ICW4. The cascade is wired, so ICW3's content says nothing new. */
function writeMask(chip: PicRecord, value: u32): void {
  if (chip.expected == 0) {
    chip.imr = <u8>value;
    return;
  }
  if (chip.expected == 4) {
    chip.icw4 = <u8>value;
    chip.expected = 0;
    return;
  }
  if (chip.expected == 2) {
    chip.base = <u8>(value & 0xf8);
    if (!(chip.icw1 & Icw1.Single)) {
      chip.expected = 3;
      return;
    }
  }
  chip.expected = chip.icw1 & Icw1.NeedsIcw4 ? 4 : 0;
}

/** ICW1: edges seen so far are forgotten, the mask and all modes are cleared (data sheet, "Initialization command words"). */
function initialize(chip: PicRecord, value: u32): void {
  chip.icw1 = <u8>value;
  chip.icw4 = 0;
  chip.imr = 0;
  chip.isr = 0;
  chip.irr = <u8>(chip.lines & levels(chip));
  chip.lowest = 7;
  chip.readIsr = 0;
  chip.poll = 0;
  chip.specialMask = 0;
  chip.rotateOnAeoi = 0;
  chip.expected = 2;
}

function writeOcw3(chip: PicRecord, value: u32): void {
  if (value & Ocw3.SetSpecialMask) chip.specialMask = value & Ocw3.SpecialMask ? 1 : 0;
  if (value & Ocw3.Poll) chip.poll = 1;
  else if (value & Ocw3.Read) chip.readIsr = <u8>(value & Ocw3.ReadIsr);
}

/** R, SL and EOI in bits 7:5. */
function writeOcw2(chip: PicRecord, value: u32): void {
  const rotate = (value & 0x80) != 0;
  const specific = (value & 0x40) != 0;
  let input = value & 7;
  if (value & 0x20) {
    if (!specific) input = inService(chip);
    if (input == NONE) return;
    chip.isr &= <u8>~((<u32>1) << input);
    if (rotate) chip.lowest = <u8>input;
  } else if (!specific) chip.rotateOnAeoi = rotate ? 1 : 0;
  else if (rotate) chip.lowest = <u8>input;
}

/** The input in service with the highest priority: what a non-specific EOI ends. Masked ones are left out in special mask mode. */
function inService(chip: PicRecord): u32 {
  const isr: u32 = chip.specialMask ? chip.isr & ~chip.imr : chip.isr;
  return isr ? (ctz(byPriority(chip, isr)) + chip.lowest + 1) & 7 : NONE;
}

/** The input that INT stands for, or NONE. */
function requesting(chip: PicRecord): u32 {
  const requests: u32 = chip.irr & ~chip.imr;
  if (requests == 0 || chip.expected) return NONE;
  let blocking: u32 = chip.isr;
  if (chip.specialMask) blocking &= ~(<u32>chip.imr);
  if (chip.icw4 & Icw4.SpecialFullyNested && chip === picMaster) blocking &= ~(1 << CASCADE);
  const rank = ctz(byPriority(chip, requests));
  if (byPriority(chip, blocking) & ((2 << rank) - 1)) return NONE;
  return (rank + chip.lowest + 1) & 7;
}

/** Bits in the order of priority: bit 0 is the input after `lowest`. */
function byPriority(chip: PicRecord, bits: u32): u32 {
  return ((bits | (bits << 8)) >> (chip.lowest + 1)) & 0xff;
}

function levels(chip: PicRecord): u32 {
  return chip.icw1 & Icw1.LevelTriggered ? 0xff : chip.elcr;
}

/** An INTA cycle or a poll of one chip: the input, now in service. INT drops in it, so that what remains is a new edge. A level stays
 *  a request while it is up; a pulse has no level, and is done. */
function take(chip: PicRecord): u32 {
  const input = requesting(chip);
  if (input == NONE) return NONE;
  const bit: u32 = 1 << input;
  chip.irr &= <u8>(~bit | (levels(chip) & chip.lines));
  if (!(chip.icw4 & Icw4.AutoEoi)) chip.isr |= <u8>bit;
  else if (chip.rotateOnAeoi) chip.lowest = <u8>input;
  setInt(chip, false);
  refresh(chip);
  return input;
}

/** A request is gone when its input falls before it is acknowledged. */
function drive(chip: PicRecord, bit: u32, level: bool): void {
  const lines: u32 = chip.lines;
  if (level) {
    if (lines & bit) return;
    chip.lines = <u8>(lines | bit);
    chip.irr |= <u8>bit;
  } else {
    chip.lines = <u8>(lines & ~bit);
    chip.irr &= <u8>~bit;
  }
  refresh(chip);
}

function refresh(chip: PicRecord): void {
  setInt(chip, requesting(chip) != NONE);
}

function setInt(chip: PicRecord, level: bool): void {
  if (chip.int == <u8>level) return;
  chip.int = <u8>level;
  if (chip === picSlave) drive(picMaster, 1 << CASCADE, level);
}
