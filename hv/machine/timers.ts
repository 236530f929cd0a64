// The devices' deadlines and the one timer behind them: a device writes its deadline into its field of `timers` and calls rearm;
// guest.timer is called only when the earliest of them changes. interrupts.ts comes back with EventBit.Timer.

import * as guest from "./guest";
import { timers } from "./state";

export const NEVER: u64 = u64.MAX_VALUE;

export function timersReset(): void {
  timers.armed = NEVER;
  timers.pit = NEVER;
  timers.rtc = NEVER;
  timers.com1 = NEVER;
  timers.com2 = NEVER;
}

export function rearm(): void {
  const earliest = min(min(timers.pit, timers.rtc), min(timers.com1, timers.com2));
  if (earliest == timers.armed) return;
  timers.armed = earliest;
  guest.timer(earliest);
}
