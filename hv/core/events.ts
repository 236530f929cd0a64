// What the peer is told unasked: guests that changed their state or ended. A guest's mark stays until the line has room, so that nothing
// is forgotten. Called by main.ts; console.ts sends its own events through it.

import { Channel, Link } from "../../protocol/link";
import { EndReason, Event, GuestEndedWords, RunState } from "../../protocol/messages";
import { Register } from "../../protocol/state";
import { explain, failedValue, firstFailure } from "./explain";
import { knownState, Mark, marks, notedState, pending, setKnownState, settle, top, unmark } from "./guests";
import * as host from "./host";
import * as link from "./link";

export function sendEvents(): void {
  if (!(pending & Mark.State)) return;
  let left = false;
  for (let slot: u32 = 0; slot < top; slot++) {
    if (!(marks(slot) & Mark.State)) continue;
    if (announce(slot)) unmark(slot, Mark.State);
    else left = true;
  }
  if (!left) settle(Mark.State);
}

/** False: not now. Between Runnable and Halted a guest goes all the time: that is no news. Its last words come before its end. */
function announce(slot: u32): bool {
  const state = notedState(slot);
  // A step may be over before anybody saw the guest run: that it stopped is news even so.
  if (state == RunState.Paused && link.room() == 0) return false;
  const stop: u32 = state == RunState.Paused ? host.guestStop(slot) : 0;
  if (stop) {
    sendEvent(Event.GuestStopped, slot, stop, host.guestRegister(slot, Register.Rip));
    setKnownState(slot, state);
    return true;
  }
  if (state == knownState(slot)) return true;
  if (state != RunState.Runnable && state != RunState.Halted) {
    if (link.room() == 0) return false;
    if (state != RunState.Ended) sendEvent(Event.GuestState, slot, state);
    else if (marks(slot) & Mark.Console) return false;
    else sendEnded(slot);
  }
  setKnownState(slot, state);
  return true;
}

function sendEnded(slot: u32): void {
  const words = link.begin() + Link.MessageHeaderBytes;
  const reason = host.guestReason(slot);
  const failure: u32 = reason == EndReason.EntryFailed && explain(slot) > 0 ? firstFailure() : 0;
  store<u64>(words + 8 * GuestEndedWords.Failure, failure);
  store<u64>(words + 8 * GuestEndedWords.FieldValue, failedValue(failure));
  store<u64>(words + 8 * GuestEndedWords.Reason, reason);
  store<u64>(words + 8 * GuestEndedWords.Value, host.guestValue(slot));
  store<u64>(words + 8 * GuestEndedWords.Rip, host.guestRegister(slot, Register.Rip));
  commitEvent(Event.GuestEnded, slot, GuestEndedWords.Words);
}

/** An event of one or two words; only with link.room(). */
export function sendEvent(event: u32, slot: u32, first: u64, second: u64 = 0): void {
  const words = link.begin() + Link.MessageHeaderBytes;
  store<u64>(words, first);
  store<u64>(words, second, 8);
  commitEvent(event, slot, event == Event.GuestState ? 1 : 2);
}

function commitEvent(event: u32, slot: u32, words: u32): void {
  const at = link.begin();
  store<u32>(at, event);
  store<u32>(at, slot, 4);
  link.commit(Channel.Event, Link.MessageHeaderBytes + 8 * words);
}
