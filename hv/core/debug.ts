// A guest's debugger: what it wants of the next run. The guest stands; what it then stops for comes as Event.GuestStopped (events.ts).

import { DebugFlag, GuestDebugArgs } from "../../protocol/debug";
import { HostImport, RunState, Status } from "../../protocol/messages";
import * as host from "./host";
import { arg, argData, failWith, refused } from "./message";

export function guestDebug(slot: u32): u32 {
  const state = host.guestState(slot);
  if (state != RunState.Paused) return failWith(Status.BadState, state);
  const flags = arg(GuestDebugArgs.Flags);
  if (flags > <u64>DebugFlag.Given) return failWith(Status.BadRequest, flags);
  const done = host.guestDebug(slot, <u32>flags, <u32>argData(GuestDebugArgs.Dr0));
  return done ? Status.Ok : refused(HostImport.GuestDebug);
}
