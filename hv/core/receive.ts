// From the serial ring to those who are meant: assembles frames in the inbox, lets link.ts judge them, keeps requests, gives console
// input to guests. Called by main.ts.

import { Channel, Link } from "../../protocol/link";
import { Decoded, decode } from "./cobs";
import { takeInput } from "./console";
import { PAYLOAD } from "./frame";
import * as host from "./host";
import { clearInbox, inboxRoom, incoming, keep } from "./inbox";
import { cancelJob } from "./job";
import { SERIAL, Size } from "./layout";
import * as link from "./link";

/** Chunks read in one poll: a line that never pauses must not hold the guests up. */
const CHUNKS: u32 = 4;
const FRAME_LIMIT: u32 = Link.HeaderBytes + Link.MaxPayload + Link.CrcBytes;

/** True: there may be more on the line. */
export function receive(now: u64): bool {
  for (let chunk: u32 = 0; chunk < CHUNKS; chunk++) {
    const bytes = min(host.serialRead(<u32>SERIAL, Size.SerialChunk), Size.SerialChunk);
    for (let i: u32 = 0; i < bytes; i++) {
      const length = decode(load<u8>(SERIAL + i), incoming(), FRAME_LIMIT);
      if (length >= 0) takeFrame(<u32>length, now);
      else if (length == Decoded.Bad) link.countBad();
    }
    if (bytes < <u32>Size.SerialChunk) return false;
  }
  return true;
}

function takeFrame(length: u32, now: u64): void {
  const frame = incoming();
  const channel = link.accept(frame, length, now, inboxRoom());
  const payloadBytes = length - Link.HeaderBytes - Link.CrcBytes;
  switch (channel) {
    case Channel.Request:
      keep(payloadBytes);
      break;
    case Channel.Console:
      takeInput(frame + PAYLOAD, payloadBytes);
      break;
    case link.Accepted.Reset:
      clearInbox();
      cancelJob();
      break;
    case link.Accepted.Nothing:
      break;
    default:
      link.countBad();
  }
}
