// hv/core: guests, memory, and the link to the control plane. The host (hv/asm) calls init() once, then poll() whenever there is serial
// input, a timer, a changed guest, or nothing else to do. A poll does a bounded piece of everything, in the order of what follows from
// what: input, operations, news, output.

import { sendConsoles } from "./console";
import { sendEvents } from "./events";
import { initFrames } from "./frames";
import { noteChanges } from "./guests";
import * as host from "./host";
import { jobActive, jobDeadline, runJob } from "./job";
import * as link from "./link";
import { receive } from "./receive";
import { requestReady, takeRequests } from "./request";
import { scrubbing, scrubDeadline, scrubInBackground } from "./scrub";
import { farewellDeadline, stopWhenSettled } from "./system";

export function init(): void {
  link.initLink();
  initFrames();
  host.timer(0);
}

/** 1: there is more to do, call again when nothing else is. */
export function poll(idle: u32): u32 {
  const now = host.clock();
  receive(now);
  return work(now, idle);
}

/** A poll after its input. */
export function work(now: u64, idle: u32): u32 {
  stopWhenSettled(now);
  runJob(now, idle != 0);
  takeRequests();
  noteChanges();
  sendConsoles();
  sendEvents();
  link.transmit(now);
  const working = jobActive() && link.room() > 0;
  if (!jobActive()) scrubInBackground(now, idle != 0);
  host.timer(deadline(now));
  return working || scrubbing() ? 1 : 0;
}

function deadline(now: u64): u64 {
  let due = min(link.linkDeadline(now), farewellDeadline());
  due = min(due, jobActive() ? jobDeadline() : scrubDeadline());
  // More requests than one poll takes up.
  return requestReady() ? now : due;
}
