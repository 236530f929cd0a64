// Console bytes: from the guests' rings to the line, in turn, a frame a guest; and from the line to the guests. When the line is full the
// bytes stay in the guest's ring, and the guest waits as it would for a slow line. Called by main.ts (out) and receive.ts (in).

import { Channel, Link } from "../../protocol/link";
import { Event } from "../../protocol/messages";
import { sendEvent } from "./events";
import { frameChannel, PAYLOAD } from "./frame";
import { countLost, exists, Mark, marks, pending, settle, takeLost, top, unmark } from "./guests";
import * as host from "./host";
import * as link from "./link";

/** UARTs of a guest. */
const PORTS: u32 = 2;
/** Frames of the window that stay free for replies and events. */
const RESERVED: u32 = 2;
let turn: u32 = 0;

/** Moves what the line takes; the host has let bytes gather for 2 ms, since a guest writes them one by one. */
export function sendConsoles(): void {
  if (!(pending & Mark.Console)) return;
  for (let quiet: u32 = 0; quiet < top; ) {
    if (link.room() <= RESERVED) return;
    if (turn >= top) turn = 0;
    quiet = marks(turn) & Mark.Console && sendConsole(turn) ? 0 : quiet + 1;
    turn++;
  }
  settle(Mark.Console);
}

/** A frame from each port of a guest; false when the guest had less than that to say. */
function sendConsole(slot: u32): bool {
  let more = false;
  for (let port: u32 = 0; port < PORTS; port++) {
    if (link.room() <= RESERVED) return true;
    const at = link.begin();
    const room: u32 = Link.MaxPayload - Link.MessageHeaderBytes;
    const bytes = min(host.consoleTake(slot, port, <u32>at + Link.MessageHeaderBytes, room), room);
    if (bytes > 0) {
      store<u32>(at, slot);
      store<u32>(at, port, 4);
      link.commit(Channel.Console, Link.MessageHeaderBytes + bytes);
    }
    if (bytes == room) more = true;
    const lost = link.room() > 0 ? host.consoleLost(slot, port) + takeLost(slot, port) : 0;
    if (lost > 0) sendEvent(Event.ConsoleLost, slot, port, lost);
  }
  if (!more) unmark(slot, Mark.Console);
  return more;
}

/** A session began. What was on its way in the one before may not have come over: it counts as lost, and so does what was told of losses. */
export function countStranded(): void {
  for (let seq = link.strandedFrom; seq != link.strandedTo; seq = (seq + 1) & 255) {
    const frame = link.stranded(seq);
    if (frame == 0) continue;
    const at = frame + PAYLOAD;
    const words = at + Link.MessageHeaderBytes;
    if (frameChannel(frame) == Channel.Console)
      countLost(load<u32>(at), load<u32>(at, 4), link.strandedBytes(seq) - Link.MessageHeaderBytes);
    else if (frameChannel(frame) == Channel.Event && load<u32>(at) == Event.ConsoleLost)
      countLost(load<u32>(at, 4), load<u32>(words), load<u32>(words, 8));
  }
}

/** Input for a guest; what it has no room for is lost, and the peer is told: the link has seen to the room for that. */
export function takeInput(at: usize, bytes: u32): void {
  if (bytes < <u32>Link.MessageHeaderBytes) {
    link.countBad();
    return;
  }
  const slot = load<u32>(at);
  const port = load<u32>(at, 4);
  const count = bytes - Link.MessageHeaderBytes;
  if (!exists(slot) || port >= PORTS || count == 0) return;
  const taken = host.consoleGive(slot, port, <u32>at + Link.MessageHeaderBytes, count);
  if (taken < count) sendEvent(Event.ConsoleInputLost, slot, port, count - taken);
}
