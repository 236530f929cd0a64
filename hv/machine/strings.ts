// INS and OUTS: elements between a port and memory at ES:RDI, or DS:RSI with its overrides, under the guest's own segments and paging.
// Works in bounded batches, with RCX, RSI and RDI kept up to date and RIP at the instruction: interrupts get in between batches,
// and a fault in the middle restarts it where it was.

import { EndReason } from "../../protocol/messages";
import { Register } from "../../protocol/state";
import { exitFlags, Flag, Io, Outcome, Vector } from "./exit";
import * as guest from "./guest";
import { inject, injectGp } from "./inject";
import { ioIn, ioOut } from "./io";
import { Access, Walk, WalkResult, walk } from "./paging";
import { power } from "./state";
import { Attribute, CR0_PE, canonical, codeBytes, cpl, gpr, setGpr } from "./vcpu";

/** Elements of one exit: some 300,000 instructions at most, far below the 50 ms that a machine has. */
const BATCH: u64 = 1024;
const SEGMENT_SS: u32 = 2;
const SEGMENT_FS: u32 = 4;

// The segment, read once for a batch.
let base: u64 = 0;
let lowest: u64 = 0;
let highest: u64 = 0;
let usable: bool = false;
let long: bool = false;
// The page of the last element.
let page: u64 = u64.MAX_VALUE;
let frame: u64 = 0;

export function stringIo(): Outcome {
  const mask = Io.addressBytes == 8 ? u64.MAX_VALUE : ((<u64>1) << (Io.addressBytes << 3)) - 1;
  const flags = exitFlags();
  let left: u64 = Io.repeat ? gpr(Register.Rcx) & mask : 1;
  if (left == 0) return Outcome.Next;
  openSegment();
  // A single-step trap comes after each iteration.
  const batch: u64 = flags & Flag.TF ? 1 : BATCH;
  const size: u64 = Io.size;
  const step = flags & Flag.DF ? -size : size;
  const pointer: u32 = Io.input ? Register.Rdi : Register.Rsi;
  for (let done: u64 = 0; done < batch && left > 0; done++) {
    const offset = gpr(pointer) & mask;
    const outcome = element(offset);
    if (outcome != Outcome.Next) return outcome;
    setGpr(pointer, advance(gpr(pointer), offset + step, mask));
    left--;
    if (Io.repeat) setGpr(Register.Rcx, advance(gpr(Register.Rcx), left, mask));
    if (power.ended) return Outcome.Stop;
  }
  return left ? Outcome.Partial : Outcome.Next;
}

/** An address register after the step: 16 bits keep what is above them, 32 bits clear it (SDM vol. 1, 3.4.1.1). */
function advance(before: u64, value: u64, mask: u64): u64 {
  return mask == 0xffff ? (before & ~mask) | (value & mask) : value & mask;
}

function element(offset: u64): Outcome {
  const size = Io.size;
  const last = offset + size - 1;
  if (!usable || offset < lowest || last > highest || last < offset) return segmentFault();
  let linear = base + offset;
  if (!long) linear &= 0xffffffff;
  else if (!canonical(linear) || !canonical(linear + size - 1)) return segmentFault();
  // Memory first: a port must not be read for an element that then faults.
  const within = (linear & 0xfff) + size <= 0x1000;
  if (!within) return crossing(linear);
  const outcome = translate(linear);
  if (outcome != Outcome.Next) return outcome;
  const physical = frame | (linear & 0xfff);
  if (Io.input) storeElement(physical, ioIn(Io.port, size));
  else ioOut(Io.port, size, size == 1 ? guest.ramLoad8(physical) : size == 2 ? guest.ramLoad16(physical) : guest.ramLoad32(physical));
  return Outcome.Next;
}

function storeElement(physical: u64, value: u32): void {
  if (Io.size == 1) guest.ramStore8(physical, value);
  else if (Io.size == 2) guest.ramStore16(physical, value);
  else guest.ramStore32(physical, value);
}

/** An element on two pages: both are translated before the port is touched. */
function crossing(linear: u64): Outcome {
  let outcome = translate(linear);
  if (outcome != Outcome.Next) return outcome;
  const first = frame | (linear & 0xfff);
  const split = <u32>(0x1000 - (linear & 0xfff));
  let second = linear + split;
  if (!long) second &= 0xffffffff;
  outcome = translate(second);
  if (outcome != Outcome.Next) return outcome;
  let value: u32 = Io.input ? ioIn(Io.port, Io.size) : 0;
  for (let index: u32 = 0; index < Io.size; index++) {
    const at = index < split ? first + index : frame + (index - split);
    if (Io.input) guest.ramStore8(at, (value >>> (index << 3)) & 0xff);
    else value |= guest.ramLoad8(at) << (index << 3);
  }
  if (!Io.input) ioOut(Io.port, Io.size, value);
  return Outcome.Next;
}

/** The page of `linear` into `frame`; or the guest's #PF, or the end of a guest that reaches beyond its RAM. */
function translate(linear: u64): Outcome {
  const wanted = linear & ~(<u64>0xfff);
  if (wanted == page) return Outcome.Next;
  const access = (Io.input ? Access.Write : Access.Read) | (cpl() == 3 ? Access.User : 0);
  const result = walk(linear, access);
  if (result == WalkResult.Fault) {
    guest.write(Register.Cr2, linear);
    inject(Vector.PF, true, Walk.error);
    return Outcome.Injected;
  }
  if (result == WalkResult.Unbacked || Walk.physical >= guest.ramSize()) {
    guest.end(EndReason.UnbackedMemory, Walk.physical);
    return Outcome.Stop;
  }
  page = wanted;
  frame = Walk.physical & ~(<u64>0xfff);
  return Outcome.Next;
}

function segmentFault(): Outcome {
  if (Io.segment == SEGMENT_SS) inject(Vector.SS, true, 0);
  else injectGp();
  return Outcome.Injected;
}

/** Base, limits and rights of Io.segment (SDM vol. 3, 5.3, 5.5). 64-bit mode has bases for FS and GS only, and no limits. */
function openSegment(): void {
  page = u64.MAX_VALUE;
  const register = Register.EsSelector + (Io.segment << 2);
  long = codeBytes() == 8;
  usable = true;
  lowest = 0;
  highest = u64.MAX_VALUE;
  base = !long || Io.segment >= SEGMENT_FS ? guest.read(register + 1) : 0;
  if (long) return;
  const attributes = <u32>guest.read(register + 3);
  const limit = guest.read(register + 2);
  highest = limit;
  // Real and virtual-8086 mode know no types.
  if (!(guest.read(Register.Cr0) & CR0_PE) || exitFlags() & Flag.VM) return;
  const code = (attributes & Attribute.Code) != 0;
  const permitted = (attributes & Attribute.Writable) != 0;
  usable = !(attributes & Attribute.Unusable) && (Io.input ? !code && permitted : !code || permitted);
  if (!code && attributes & Attribute.ExpandDown) {
    lowest = limit + 1;
    highest = attributes & Attribute.Default32 ? 0xffffffff : 0xffff;
  }
}
