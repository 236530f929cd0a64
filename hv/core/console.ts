// Console bytes: from the guests' rings to the line, in turn, a frame a guest; and from the line to the guests. When the line is full the
// bytes stay in the guest's ring, and the guest waits as it would for a slow line. Called by main.ts (out) and receive.ts (in).
import * as host from "./host";
import * as link from "./link";
import { Channel, Link } from "../../protocol/link";
import { Event } from "../../protocol/messages";
import { Mark, exists, marks, top, unmark } from "./guests";
import { sendEvent } from "./events";

/** UARTs of a guest. */
const PORTS: u32 = 2;
/** Frames of the window that stay free for replies and events. */
const RESERVED: u32 = 2;
/** Bytes wait for company this long: a guest writes them one by one. */
const GATHER: u64 = 2 * link.MILLISECOND;

let due: u64 = link.NEVER;
let turn: u32 = 0;

/** Guests may have console bytes. */
export function gather(now: u64): void {
  due = min(due, now + GATHER);
}

/** A guest has ended: its last words come before the news. */
export function flush(now: u64): void {
  due = min(due, now);
}

export function consoleDeadline(): u64 {
  return link.room() > RESERVED ? due : link.NEVER;
}

/** Moves what the line takes. */
export function sendConsoles(now: u64, idle: bool): void {
  if (due == link.NEVER || (!idle && now < due)) return;
  for (let quiet: u32 = 0; quiet < top; ) {
    if (link.room() <= RESERVED) return;
    if (turn >= top) turn = 0;
    quiet = marks(turn) & Mark.Console && sendConsole(turn) ? 0 : quiet + 1;
    turn++;
  }
  due = link.NEVER;
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
    const lost = link.room() > 0 ? host.consoleLost(slot, port) : 0;
    if (lost > 0) sendEvent(Event.ConsoleLost, slot, port, lost);
  }
  if (!more) unmark(slot, Mark.Console);
  return more;
}

/** Input for a guest; what it has no room for is lost, and the peer is told. */
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
  if (taken < count && link.room() > 0) sendEvent(Event.ConsoleInputLost, slot, port, count - taken);
}
