// From the serial ring to those who are meant: assembles frames, lets link.ts judge them and give them their turn, keeps requests, gives console
// input and bulk to guests. Called by main.ts.

import { Channel, Link } from "../../protocol/link";
import { Decoded, decode } from "./cobs";
import { countStranded, takeInput } from "./console";
import { frameChannel, PAYLOAD } from "./frame";
import * as host from "./host";
import { clearInbox, keep } from "./inbox";
import { cancelJob } from "./job";
import { INCOMING, SERIAL, Size } from "./layout";
import * as link from "./link";
import { takeBulk } from "./memory";

/** Chunks read in one poll: a line that never pauses must not hold the guests up. */
const CHUNKS: u32 = 4;
const FRAME_LIMIT: u32 = Link.HeaderBytes + Link.MaxPayload + Link.CrcBytes;

/** True: there may be more on the line. */
export function receive(now: u64): bool {
  for (let chunk: u32 = 0; chunk < CHUNKS; chunk++) {
    const bytes = min(host.serialRead(<u32>SERIAL, Size.SerialChunk), Size.SerialChunk);
    for (let i: u32 = 0; i < bytes; i++) {
      const length = decode(load<u8>(SERIAL + i), INCOMING, FRAME_LIMIT);
      if (length >= 0) takeFrame(<u32>length, now);
      else if (length == Decoded.Bad) link.countBad();
    }
    if (bytes < <u32>Size.SerialChunk) return false;
  }
  return true;
}

function takeFrame(length: u32, now: u64): void {
  if (link.accept(INCOMING, length, now)) {
    clearInbox();
    cancelJob();
    countStranded();
  }
  for (let frame = link.inTurn(); frame != 0; frame = link.inTurn()) {
    const payload = frame + PAYLOAD;
    const bytes = link.take();
    switch (frameChannel(frame)) {
      case Channel.Request:
        keep(payload, bytes);
        break;
      case Channel.Console:
        takeInput(payload, bytes);
        break;
      case Channel.Bulk:
        takeBulk(payload, bytes);
        break;
      default:
        link.countBad();
    }
  }
}
