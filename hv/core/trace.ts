// Operations on what is recorded of a guest's exits: on and off, and the records by their numbers. The ring is the host's; its frames come from here.

import { GuestStatReply, HostImport, Status } from "../../protocol/messages";
import { GuestTraceArgs, GuestTracedArgs, TraceMode, TraceRecord, TraceRing } from "../../protocol/trace";
import { alignedFrames, classifyCarved, FRAME_BYTES, freeFrames, NO_FRAME } from "./frames";
import * as host from "./host";
import { added, arg, data, dataRoom, failWith, failWithTwo, refused, word } from "./message";
import { scrubAgain } from "./scrub";

export function guestTrace(slot: u32): u32 {
  const modes = arg(GuestTraceArgs.Modes);
  if (modes > <u64>TraceMode.All) return failWith(Status.BadRequest, modes);
  const before = tracing(slot);
  let frame: u32 = 0;
  if (<u32>modes & ~before & TraceMode.Ring) {
    frame = alignedFrames(TraceRing.Frames);
    if (frame == NO_FRAME) return failWithTwo(Status.NoMemory, <u64>TraceRing.Frames * FRAME_BYTES, freeFrames() * FRAME_BYTES);
  }
  if (!host.guestTrace(slot, <u32>modes, frame)) return refused(HostImport.GuestTrace);
  if (before & ~(<u32>modes) & TraceMode.Ring) {
    classifyCarved();
    scrubAgain();
  }
  return Status.Ok;
}

export function guestTraced(slot: u32): u32 {
  const modes = tracing(slot);
  if (!(modes & TraceMode.Ring)) return failWith(Status.NotTraced, modes);
  const count = host.guestTraced(slot, u64.MAX_VALUE, 0);
  const oldest = count > <u64>TraceRing.Records ? count - TraceRing.Records : 0;
  let index = min(max(arg(GuestTracedArgs.From), oldest), count);
  word(index);
  word(count);
  while (index < count && dataRoom() >= <u32>TraceRecord.End) {
    host.guestTraced(slot, index++, <u32>data());
    added(TraceRecord.End);
  }
  return Status.Ok;
}

function tracing(slot: u32): u32 {
  return <u32>host.guestStat(slot, GuestStatReply.TraceModes);
}
