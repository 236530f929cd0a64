// Operations on a guest's life: start, pause, resume, kill, destroy, nmi. Each states what RunState it needs.

import { GuestResumeArgs, GuestStartArgs, HostImport, ResumeClock, RunState, Status } from "../../protocol/messages";
import { machineAnswer } from "./answer";
import { returnGuest } from "./create";
import { firstBlock, inside, strike } from "./guests";
import * as host from "./host";
import { arg, failWith, failWithTwo, refused } from "./message";

export function guestStart(slot: u32): u32 {
  const kind = arg(GuestStartArgs.Kind);
  const block = arg(GuestStartArgs.Block);
  const bytes = arg(GuestStartArgs.BlockBytes);
  const state = host.guestState(slot);
  if (state != RunState.Created) return badState(state);
  if (!inside(slot, block, bytes)) return failWithTwo(Status.BadAddress, block, bytes);
  if (kind > u32.MAX_VALUE) return failWith(Status.KindUnknown, kind);
  const status = machineAnswer(slot, host.guestBoot(slot, <u32>kind, block, <u32>bytes));
  if (status != Status.Ok) return status;
  if (!host.guestRun(slot)) return refused(HostImport.GuestRun);
  // The host holds it until this request is done: nothing has run yet.
  return !arg(GuestStartArgs.Paused) || host.guestPause(slot) ? Status.Ok : refused(HostImport.GuestPause);
}

export function guestPause(slot: u32): u32 {
  const state = host.guestState(slot);
  if (state != RunState.Runnable && state != RunState.Halted) return badState(state);
  return host.guestPause(slot) ? Status.Ok : overtaken(slot, state, HostImport.GuestPause);
}

export function guestResume(slot: u32): u32 {
  const state = host.guestState(slot);
  if (state != RunState.Paused) return badState(state);
  const passed = arg(GuestResumeArgs.Clock);
  if (passed > <u64>ResumeClock.CatchUp) return failWith(Status.BadRequest, passed);
  return host.guestResume(slot, passed != 0, arg(GuestResumeArgs.BehindNs)) ? Status.Ok : refused(HostImport.GuestResume);
}

export function guestKill(slot: u32): u32 {
  const state = host.guestState(slot);
  if (state == RunState.Ended) return badState(state);
  return host.guestKill(slot) ? Status.Ok : overtaken(slot, state, HostImport.GuestKill);
}

export function guestDestroy(slot: u32): u32 {
  const state = host.guestState(slot);
  if (state != RunState.Created && state != RunState.Ended) return badState(state);
  if (!host.guestFree(slot)) return refused(HostImport.GuestFree);
  const first = firstBlock(slot);
  strike(slot);
  returnGuest(first);
  return Status.Ok;
}

export function guestNmi(slot: u32): u32 {
  const state = host.guestState(slot);
  if (state != RunState.Runnable && state != RunState.Halted && state != RunState.Paused) return badState(state);
  return host.guestNmi(slot) ? Status.Ok : overtaken(slot, state, HostImport.GuestNmi);
}

/** The host refused: the guest, which runs on another CPU, may have ended, or stopped for its debugger, since it was asked for its state. */
function overtaken(slot: u32, before: u32, hostImport: u32): u32 {
  const state = host.guestState(slot);
  return (state == RunState.Ended || state == RunState.Paused) && before != state ? badState(state) : refused(hostImport);
}

function badState(state: u32): u32 {
  return failWith(Status.BadState, state);
}
