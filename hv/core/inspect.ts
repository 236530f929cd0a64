// Operations that look at a guest: state, registers, stat. They change nothing.

import { GuestStatArgs, GuestStatReply, RunState, Status } from "../../protocol/messages";
import { ExitReason, Register } from "../../protocol/state";
import { memoryBytes } from "./guests";
import * as host from "./host";
import { arg, data, dataRoom, word } from "./message";

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
