// hv/core: guests, memory, and the link to the control plane. The host (hv/asm) calls init() once, then poll() whenever there is serial
// input, a timer, a changed guest, or nothing else to do. A poll does a bounded piece of everything, in the order of what follows from
// what: input, operations, news, output.

import { sendConsoles } from "./console";
import { sendEvents } from "./events";
import { initFrames } from "./frames";
import { noteChanges } from "./guests";
import * as host from "./host";
import { waiting } from "./inbox";
import { jobActive, jobDeadline, runJob } from "./job";
import * as link from "./link";
import { receive } from "./receive";
import { takeRequests } from "./request";
import { scrub, scrubbing } from "./scrub";
import { farewellDeadline, stopWhenSettled } from "./system";

/** Frames scrubbed in an idle poll: 64 KiB, well below a millisecond. */
const SCRUB_A_POLL: u32 = 16;

export function init(): void {
  link.initLink();
  initFrames();
  host.timer(0);
}

/** 1: there is more to do, call again when nothing else is. */
export function poll(idle: u32): u32 {
  const now = host.clock();
  receive(now);
  stopWhenSettled(now);
  runJob(now, idle != 0);
  takeRequests();
  noteChanges();
  sendConsoles();
  sendEvents();
  link.transmit(now);
  const working = jobActive() && link.room() > 0;
  if (idle != 0 && !jobActive() && scrubbing()) scrub(SCRUB_A_POLL);
  host.timer(deadline(now));
  return working || scrubbing() ? 1 : 0;
}

function deadline(now: u64): u64 {
  let due = min(link.linkDeadline(now), farewellDeadline());
  due = min(due, jobDeadline());
  // More requests than one poll takes up.
  if (waiting() > 0 && !jobActive() && link.room() > 0) due = now;
  return due;
}
