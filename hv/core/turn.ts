// Whose turn it is: the first request that waits; while the job goes on, one that may overtake it. Those are short, look at a guest or
// steer it, and have nothing to do with what they overtake: neither the job nor a request before them names their guest. All others keep
// their order, since a peer sends on what follows from a request before it has the reply. Stands between inbox.ts and request.ts.

import { Link } from "../../protocol/link";
import { Op } from "../../protocol/messages";
import { exists } from "./guests";
import { payloadAt, payloadBytes, waiting } from "./inbox";
import { jobActive, jobGuest } from "./job";

/** A header and one word: a guest, for most. */
const WITH_GUEST: u32 = Link.MessageHeaderBytes + 8;

/** The place in the inbox of the request to take up now, or waiting() when there is none. */
export function nextTurn(): u32 {
  const count = waiting();
  if (!jobActive()) return 0;
  for (let index: u32 = 0; index < count; index++) if (mayOvertake(index)) return index;
  return count;
}

function mayOvertake(index: u32): bool {
  if (payloadBytes(index) < <u32>Link.MessageHeaderBytes) return false;
  switch (load<u32>(payloadAt(index), 4)) {
    case Op.Hello:
    case Op.Ping:
    case Op.HostStat:
    case Op.CpuStat:
      return true;
    case Op.GuestState:
    case Op.GuestRegisters:
    case Op.GuestStat:
    case Op.GuestExplain:
    case Op.GuestRead:
    case Op.GuestPause:
    case Op.GuestResume:
    case Op.GuestKill:
    case Op.GuestNmi:
      return payloadBytes(index) >= WITH_GUEST && isApart(guestAt(index), index);
    default:
      return false;
  }
}

/** What the request at `index` does to `guest` does not depend on what it overtakes. A guest that does not exist may be about to: the job,
 *  or a request that waits, can be what creates it. */
function isApart(guest: u64, index: u32): bool {
  if (!exists(guest) || guest == jobGuest()) return false;
  for (let before: u32 = 0; before < index; before++) {
    if (payloadBytes(before) >= WITH_GUEST && guestAt(before) == guest) return false;
  }
  return true;
}

/** The first word. Where that is no guest (the bytes of a GuestCreate or a Ping), a request may wait for it without need. */
function guestAt(index: u32): u64 {
  return load<u64>(payloadAt(index), Link.MessageHeaderBytes);
}
