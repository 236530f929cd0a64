// Operations on what is recorded of a guest's exits: on and off, and the records by their numbers. The ring is the host's; its frames come from here.

import { GuestStatReply, HostImport, Status } from "../../protocol/messages";
import { GuestTraceArgs, GuestTracedArgs, TraceMode, TraceRecord, TraceRing } from "../../protocol/trace";
import { BLOCK_FRAMES, BlockKind, blocks, classifyCarved, FRAME_BYTES, freeFrames, kindOf, setKind } from "./frames";
import * as host from "./host";
import { added, arg, data, dataRoom, failWith, failWithTwo, refused, word } from "./message";
import { scrubAgain } from "./scrub";

/** that a block has room for */
const RINGS: u32 = BLOCK_FRAMES / TraceRing.Frames;
const RING_BYTES: u64 = TraceRing.Frames * FRAME_BYTES;

export function guestTrace(slot: u32): u32 {
  const modes = arg(GuestTraceArgs.Modes);
  if (modes > <u64>TraceMode.All) return failWith(Status.BadRequest, modes);
  const before = tracing(slot);
  if (<u32>modes & ~before & TraceMode.Ring) {
    return withRing(slot, <u32>modes) ? Status.Ok : failWithTwo(Status.NoMemory, RING_BYTES, freeFrames() * FRAME_BYTES);
  }
  if (!host.guestTrace(slot, <u32>modes, 0)) return refused(HostImport.GuestTrace);
  if (before & ~(<u32>modes) & TraceMode.Ring) {
    classifyCarved();
    scrubAgain();
  }
  return Status.Ok;
}

/** With frames in a row of a carved block: the host knows which are clean. From the block's end, away from where single ones are taken. A block
 *  is carved when no carved one has such. */
function withRing(slot: u32, modes: u32): bool {
  let whole: u32 = blocks;
  for (let block: u32 = 0; block < blocks; block++) {
    const kind = kindOf(block);
    if (kind == BlockKind.Clean) whole = block;
    else if (kind & BlockKind.Carved && kind & BlockKind.HasClean) {
      for (let rings: u32 = RINGS; rings > 0; rings--) if (host.guestTrace(slot, modes, ringAt(block, rings))) return true;
    }
  }
  if (whole == blocks) return false;
  setKind(whole, BlockKind.Carved | BlockKind.HasClean);
  return host.guestTrace(slot, modes, ringAt(whole, RINGS));
}

/** First frame of the last ring, when a block had room for so many. */
function ringAt(block: u32, rings: u32): u32 {
  return block * BLOCK_FRAMES + (rings - 1) * TraceRing.Frames;
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
