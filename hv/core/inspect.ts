// Operations that look at a guest: state, registers, the last exit, stat, nested tables. They change nothing.

import { GuestFramesArgs, GuestNestedArgs, GuestStatArgs, GuestStatReply, RunState, Status } from "../../protocol/messages";
import { ExitField, ExitReason, NestedBit, Register } from "../../protocol/state";
import { inside, memoryBytes } from "./guests";
import * as host from "./host";
import { outside } from "./memory";
import { arg, data, dataRoom, failWithTwo, word } from "./message";

export function guestState(slot: u32): u32 {
  const state = host.guestState(slot);
  const ended = state == RunState.Ended;
  word(state);
  word(ended ? host.guestReason(slot) : 0);
  word(ended ? host.guestValue(slot) : 0);
  word(memoryBytes(slot));
  word(host.guestRegister(slot, Register.Rip));
  const cpus = host.guestCpus(slot);
  word(<u32>cpus);
  word(cpus >> 32);
  return Status.Ok;
}

export function guestRegisters(slot: u32): u32 {
  for (let register: u32 = 0; register < <u32>Register.Count; register++) word(host.guestRegister(slot, register));
  return Status.Ok;
}

export function guestExit(slot: u32): u32 {
  for (let field: u32 = ExitField.Qualification; field <= <u32>ExitField.LinearAddress; field++) word(host.guestRegister(slot, field));
  return Status.Ok;
}

export function guestStat(slot: u32): u32 {
  for (let index: u32 = 0; index < <u32>GuestStatReply.NextReason; index++) word(host.guestStat(slot, index));
  const next = data();
  word(0);
  for (let reason = arg(GuestStatArgs.FirstReason); reason < <u64>ExitReason.Count; reason++) {
    const count = host.guestExits(slot, <u32>reason);
    if (count == 0) continue;
    if (dataRoom() < 16) {
      store<u64>(next, reason);
      break;
    }
    word(reason);
    word(count);
  }
  return Status.Ok;
}

const ADDRESS_BITS: u64 = 48;
/** the PML4's entries; one level higher is the PML4 itself */
const TOP: u32 = 3;

export function guestNested(slot: u32): u32 {
  const address = arg(GuestNestedArgs.Address);
  if (address >> ADDRESS_BITS) return failWithTwo(Status.BadAddress, address, 1);
  let entry = host.guestNested(slot, address, TOP + 1);
  word(entry);
  for (let level: i32 = TOP; level >= 0; level--) {
    entry = host.guestNested(slot, address, level);
    word(entry);
    if (!(entry & (NestedBit.Read | NestedBit.Write | NestedBit.Execute)) || entry & NestedBit.Large) break;
  }
  return Status.Ok;
}

const PAGE: u64 = 0x1000;
const LARGE: u64 = 0x200000;
const ADDRESS: u64 = 0x000ffffffffff000;
/** Pages looked at for one reply: what they are is told in few words when they are in a row. */
const PAGES_A_REPLY: u32 = 2048;

export function guestFrames(slot: u32): u32 {
  let address = arg(GuestFramesArgs.Address);
  const size = memoryBytes(slot);
  if (address % PAGE || !inside(slot, address, 1)) return outside(slot, address, PAGE);
  const next = data();
  word(0);
  let from: u64 = 0;
  let bytes: u64 = 0;
  for (let pages: u32 = 0; pages < PAGES_A_REPLY && address < size; pages++) {
    let entry = host.guestNested(slot, address, 1);
    const length = entry & NestedBit.Large ? LARGE - (address & (LARGE - 1)) : PAGE;
    if (length == PAGE && !(entry & NestedBit.Large)) entry = host.guestNested(slot, address, 0);
    const at = entry & NestedBit.Large ? (entry & ADDRESS & ~(LARGE - 1)) | (address & (LARGE - 1)) : entry & ADDRESS;
    if (bytes && at != from + bytes) {
      word(from);
      word(bytes);
      bytes = 0;
      if (dataRoom() < 16) break;
    }
    if (bytes == 0) from = at;
    bytes += length;
    address += length;
  }
  if (bytes) {
    word(from);
    word(bytes);
  }
  store<u64>(next, address);
  return Status.Ok;
}
