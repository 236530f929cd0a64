// What a poll does with its input: a bounded piece of everything, in the order of what follows from what: operations, news, output.
// Called by main.ts.

import { sendConsoles } from "./console";
import { sendEvents } from "./events";
import { noteChanges } from "./guests";
import * as host from "./host";
import { jobActive, jobDeadline, runJob } from "./job";
import * as link from "./link";
import { requestReady, takeRequests } from "./request";
import { keepReserve } from "./reserve";
import { scrubbing, scrubDeadline, scrubInBackground } from "./scrub";
import { farewellDeadline, stopWhenSettled } from "./system";

/** 1: there is more to do, call again when nothing else is. `unread`: so there is on the line, and no interrupt comes for it. */
export function work(now: u64, idle: u32, unread: bool): u32 {
  stopWhenSettled(now);
  runJob(now, idle != 0);
  takeRequests();
  const hungry = keepReserve();
  noteChanges();
  sendConsoles();
  sendEvents();
  link.transmit(now);
  const working = jobActive() && link.room() > 0;
  if (!jobActive()) scrubInBackground(now, idle != 0);
  host.timer(hungry ? now : deadline(now, unread));
  return working || scrubbing() ? 1 : 0;
}

function deadline(now: u64, unread: bool): u64 {
  let due = min(link.linkDeadline(now), farewellDeadline());
  due = min(due, jobActive() ? jobDeadline() : scrubDeadline());
  // More requests than one poll takes up.
  return unread || requestReady() ? now : due;
}
