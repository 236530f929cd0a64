// Operations on a guest's state besides its RAM: out of one, whatever it does (the control plane pauses it), and into another that was not
// started. The host checks each value; what it refuses is told, and the guest is then good for nothing but another try or its end.

import {
  GuestArgs,
  GuestEntryReply,
  GuestLimit,
  GuestPart,
  GuestPartArgs,
  GuestPartReadArgs,
  GuestRestoreArgs,
  RunState,
  Status,
} from "../../protocol/messages";
import { machineAnswer } from "./answer";
import * as host from "./host";
import { added, arg, argData, argsBytes, data, failWith, failWithTwo, word } from "./message";

export function guestEntry(slot: u32): u32 {
  for (let index: u32 = 0; index < <u32>GuestEntryReply.Words; index++) word(host.guestEntry(slot, index));
  return Status.Ok;
}

export function guestPartRead(slot: u32): u32 {
  const bytes = arg(GuestPartReadArgs.Bytes);
  const part = arg(GuestPartArgs.Part);
  const offset = arg(GuestPartArgs.Offset);
  const legal = bytes <= <u64>GuestLimit.ReadBytes && max(part, offset) <= <u64>u32.MAX_VALUE;
  if (!legal || !host.guestPartRead(slot, <u32>part, <u32>offset, <u32>data(), <u32>bytes)) return failWith(Status.PartRefused, part);
  added(<u32>bytes);
  return Status.Ok;
}

export function guestPartWrite(slot: u32): u32 {
  const state = host.guestState(slot);
  const part = arg(GuestPartArgs.Part);
  if (!isOpen(state) || (state == RunState.Paused && part != GuestPart.Fpu)) return failWith(Status.BadState, state);
  const offset = arg(GuestPartArgs.Offset);
  const from = argData(GuestPartArgs.Words);
  const bytes = argsBytes - 8 * GuestPartArgs.Words;
  const legal = max(part, offset) <= <u64>u32.MAX_VALUE;
  if (!legal || !host.guestPartWrite(slot, <u32>part, <u32>offset, <u32>from, bytes)) return failWith(Status.PartRefused, part);
  return Status.Ok;
}

export function guestRegistersWrite(slot: u32): u32 {
  const state = host.guestState(slot);
  if (!isOpen(state)) return failWith(Status.BadState, state);
  const words = argsBytes / 8;
  for (let index: u32 = GuestArgs.Words; index + 1 < words; index += 2) {
    const field = arg(index);
    const value = arg(index + 1);
    const legal = field <= <u64>u32.MAX_VALUE;
    if (!legal || !host.guestRegisterWrite(slot, <u32>field, value)) return failWithTwo(Status.RegisterRefused, field, value);
  }
  return Status.Ok;
}

/** Not started, or a debugger's for the moment. */
function isOpen(state: u32): bool {
  return state == RunState.Created || state == RunState.Paused;
}

export function guestRestore(slot: u32): u32 {
  const state = host.guestState(slot);
  if (state != RunState.Created) return failWith(Status.BadState, state);
  const halted = arg(GuestRestoreArgs.Halted) != 0;
  const events = <u32>arg(GuestRestoreArgs.Events);
  return machineAnswer(slot, host.guestRestore(slot, halted, events, arg(GuestRestoreArgs.ClockNs), arg(GuestRestoreArgs.Tsc)));
}
