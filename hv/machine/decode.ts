// Instruction lengths and operands, where the CPU does not say them (SVM without next RIP and decode assists): only of instructions
// that exit. Code is fetched through the guest's page walk. The CPU has just executed the instruction, so the fetch is not checked
// again for rights; bytes that are not the expected instruction (it was changed meanwhile) make it undecodable.
//
// A walk costs some hundreds of instructions, so the last code page of 64-bit mode is remembered, and the last instruction on it. The
// memory is exact: it serves only while CR3 is the same and each paging entry that the walk used still reads as it did, which is what
// a fresh walk would find out; the bytes themselves are read anew each time.

import { ExitReason, Register } from "../../protocol/state";
import { Cr, CrKind, Io, rip, setExitLength } from "./exit";
import * as guest from "./guest";
import { ExitRecord, Layout } from "./layout";
import { Access, entryAddress, entryValue, Walk, WalkResult, walk } from "./paging";
import { anyGpr, codeBytes } from "./vcpu";

const MAX_LENGTH: u32 = 15;

/** By ExitReason: opcode bytes, length << 24. 0: not decoded here. CacheControl has INVD; WBINVD differs in bit 8. */
const OPCODES = memory.data<u32>([
  0, 0x0200a20f, 0x03d9010f, 0x010000f4, 0, 0, 0, 0x0200320f, 0x0200300f, 0, 0x03d1010f, 0, 0, 0, 0, 0, 0, 0x0200080f, 0, 0x01000090, 0, 0,
  0, 0, 0x0200310f,
]);

// The remembered page: it begins at the linear address `page`, and a four-byte fetch may start up to `reach` bytes into it.
let page: u64 = 0;
let reach: u64 = 0;
let base: u64 = 0;
let root: u64 = u64.MAX_VALUE;
/** EFER and CS attributes of the exit record: 64-bit mode */
let mode: u64 = 0;
let address0: u64 = 0;
let value0: u64 = 0;
let address1: u64 = 0;
let value1: u64 = 0;
let address2: u64 = 0;
let value2: u64 = 0;
// Large pages have no fourth entry: 0. (A page of 1 GiB has no third one either: its second stands there again.)
let address3: u64 = 0;
let value3: u64 = 0;
// The remembered instruction: RIP, guest-physical address, first four bytes, length.
let lastRip: u64 = u64.MAX_VALUE;
let lastPhysical: u64 = 0;
let lastWord: u32 = 0;
let lastBytes: u32 = 0;

/** Bytes of the instruction that exited for `reason`; 0: not decodable. */
export function instructionLength(reason: u32): u32 {
  const row = load<u32>(OPCODES + (reason << 2));
  const bytes = row >>> 24;
  const offset = rip() - page;
  if (bytes && offset <= reach && isMapped()) {
    const word = guest.ramLoad32(base + offset);
    if ((word ^ row) << (32 - (bytes << 3)) == 0) {
      keep(offset, word, bytes);
      return bytes;
    }
  }
  return decodeLength(reason, row, bytes);
}

/** The instruction that exited is the remembered one; lastLength() then has its length. */
// @ts-ignore: decorator
@inline
export function isLast(): bool {
  return rip() == lastRip && isMapped() && guest.ramLoad32(lastPhysical) == lastWord;
}
// @ts-ignore: decorator
@inline
export function lastLength(): u32 {
  return lastBytes;
}

/** The remembered page is still mapped as it was, in the same mode. */
// @ts-ignore: decorator
@inline
function isMapped(): bool {
  if (load<u64>(Layout.Exit + ExitRecord.Cr3) != root || load<u64>(Layout.Exit + ExitRecord.Efer) != mode) return false;
  if (guest.ramLoad64(address0) != value0 || guest.ramLoad64(address1) != value1 || guest.ramLoad64(address2) != value2) return false;
  return !address3 || guest.ramLoad64(address3) == value3;
}

function keep(offset: u64, word: u32, bytes: u32): void {
  lastRip = page + offset;
  lastPhysical = base + offset;
  lastWord = word;
  lastBytes = bytes;
}

/** After a walk for `linear` in 64-bit mode. */
function remember(linear: u64): void {
  const mask = Walk.pageBytes - 1;
  page = linear & ~mask;
  reach = Walk.pageBytes - 4;
  base = Walk.physical & ~mask;
  root = load<u64>(Layout.Exit + ExitRecord.Cr3);
  mode = load<u64>(Layout.Exit + ExitRecord.Efer);
  address0 = entryAddress(0);
  value0 = entryValue(0);
  address1 = entryAddress(1);
  value1 = entryValue(1);
  const third: u32 = Walk.entries > 2 ? 2 : 1;
  address2 = entryAddress(third);
  value2 = entryValue(third);
  address3 = Walk.entries > 3 ? entryAddress(3) : 0;
  value3 = entryValue(3);
  // The instruction is not known yet; none that is remembered could lie there.
  lastRip = u64.MAX_VALUE;
}

// The instruction's bytes, and how far they are read.
let code: u64 = 0;
let width: u32 = 0;
let position: u32 = 0;
let physical: u64 = 0;
let mapped: bool = false;

function start(): void {
  width = codeBytes();
  position = 0;
  mapped = false;
  code = rip();
  if (width < 8) code = <u64>(<u32>code + <u32>guest.read(Register.CsBase));
}

/** The next byte; -1: there is none. */
function next(): i32 {
  if (position == MAX_LENGTH) return -1;
  let linear = code + position;
  if (width < 8) linear = <u64>(<u32>linear);
  if (!mapped || (linear & 0xfff) == 0) {
    if (walk(linear, Access.Translate) != WalkResult.Ok) return -1;
    if (width == 8 && !mapped) remember(linear);
    physical = Walk.physical;
    mapped = true;
  }
  position++;
  if (physical >= guest.ramSize()) return -1;
  return <i32>guest.ramLoad8(physical++);
}

// Legal prefixes of the instruction, and its opcode's first byte.
let address16: bool = false;
let lock: bool = false;
let segment: i32 = -1;
let rex: u32 = 0;

/** Reads prefixes (SDM vol. 2, 2.1.1, 2.2.1): the opcode's first byte, or -1. A REX counts only right before the opcode. */
function prefixes(): i32 {
  address16 = false;
  lock = false;
  segment = -1;
  rex = 0;
  while (true) {
    const byte = next();
    switch (byte) {
      case 0x26:
      case 0x2e:
      case 0x36:
      case 0x3e:
        // 64-bit mode has no use for them.
        if (width != 8) segment = (byte >> 3) & 3;
        break;
      case 0x64:
      case 0x65:
        segment = byte - 0x60;
        break;
      case 0x67:
        address16 = true;
        break;
      case 0xf0:
        lock = true;
        break;
      case 0x66:
      case 0xf2:
      case 0xf3:
        break;
      default:
        if (width != 8 || (byte & 0xf0) != 0x40) return byte;
        rex = byte;
        continue;
    }
    rex = 0;
  }
}

let locked: bool = false;
/** The instruction that had no length was one of those that exit, with a LOCK prefix. */
export function wasLocked(): bool {
  return locked;
}

function decodeLength(reason: u32, row: u32, bytes: u32): u32 {
  locked = false;
  start();
  let opcode = prefixes();
  let word: u32 = 0;
  for (let index: u32 = 0; index < bytes; index++) {
    if (index > 0) opcode = next();
    if (opcode < 0) return 0;
    word |= (<u32>opcode) << (index << 3);
  }
  if (reason == ExitReason.CacheControl) word &= ~0x100;
  if (!bytes || word != (row & 0xffffff)) return 0;
  // LOCK is legal before none of these: a CPU raises #UD, but QEMU's lets the intercept come first.
  locked = lock;
  if (lock) return 0;
  const offset = rip() - page;
  if (width == 8 && position <= 4 && offset <= reach) keep(offset, guest.ramLoad32(base + offset), position);
  return position;
}

/** The opcode of an instruction without operands that starts with 0Fh, two bytes or with 0F 01 three, or INT1; the exit's length is set. 0:
 *  another, or with a LOCK prefix. */
export function decodeForeign(): u32 {
  start();
  const first = prefixes();
  if (first == 0xf1) return 0xf1;
  if (first != 0x0f || lock) return 0;
  const second = next();
  const third = second == 1 ? next() : 0;
  if ((second | third) < 0) return 0;
  setExitLength(position);
  return 0x0f | ((<u32>second) << 8) | ((<u32>third) << 16);
}

/** INS (6C, 6D) and OUTS (6E, 6F): address size and segment into Io. */
export function decodeString(): bool {
  start();
  const opcode = prefixes();
  if (opcode < 0x6c || opcode > 0x6f) return false;
  Io.addressBytes = address16 ? (width == 4 ? 2 : 4) : width;
  Io.segment = opcode < 0x6e ? 0 : segment < 0 ? 3 : segment;
  return true;
}

/** MOV from and to CR (0F 20, 0F 22) and DR (0F 21, 0F 23), CLTS (0F 06), LMSW (0F 01 /6) into Cr. Known limit: LMSW from a register only. */
export function decodeCr(): bool {
  start();
  if (prefixes() != 0x0f) return false;
  const opcode = next();
  Cr.number = 0;
  if (opcode == 0x06) Cr.kind = CrKind.Clts;
  else {
    const modrm = next();
    if (modrm < 0) return false;
    Cr.register = (modrm & 7) | ((rex & 1) << 3);
    if (opcode == 0x01) {
      if ((modrm & 0xf8) != 0xf0) return false;
      Cr.kind = CrKind.Lmsw;
      Cr.word = <u32>anyGpr(Cr.register) & 0xffff;
    } else if ((opcode & 0xfc) == 0x20) {
      Cr.kind = opcode & 2 ? CrKind.Write : CrKind.Read;
      // AMD's LOCK MOV CR0 is MOV CR8 outside of 64-bit mode (APM vol. 3, MOV CRn).
      Cr.number = ((modrm >>> 3) & 7) | ((rex & 4) << 1) | (lock ? 8 : 0);
    } else return false;
  }
  setExitLength(position);
  return true;
}
