// hv/core: guests, memory, and the link to the control plane. The host (hv/asm) calls init() once, then poll() whenever there is serial
// input, a timer, a changed guest, or nothing else to do.

import { initFrames } from "./frames";
import * as host from "./host";
import * as link from "./link";
import { receive } from "./receive";
import { work } from "./work";

export function init(): void {
  link.initLink();
  initFrames();
  host.timer(0);
}

/** 1: there is more to do, call again when nothing else is. */
export function poll(idle: u32): u32 {
  const now = host.clock();
  const unread = receive(now);
  return work(now, idle, unread);
}
