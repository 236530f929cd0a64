// What the machine asks its devices besides I/O: is there an interrupt, which one, and here are events. The master 8259A keeps its INT
// output in a byte, so that asking costs one load.

import { acknowledge } from "./devices/pic";
import { pitTaken, pitTimer } from "./devices/pit";
import { rtcTimer } from "./devices/rtc";
import { uartsInput, uartsRoom, uartTimer } from "./devices/uartline";
import * as guest from "./guest";
import { EventBit } from "./layout";
import { com1, com2, picMaster, timers } from "./state";
import { NEVER, rearm } from "./timers";

export { devicesReset } from "./devices/bus";
export { isNmiMasked } from "./devices/rtc";

export function interruptPending(): bool {
  return picMaster.int != 0;
}

/** The INTA cycle: the vector, which is now in service. Call it only to inject it. */
export function interruptAcknowledge(): u32 {
  const vector = acknowledge();
  pitTaken();
  return vector;
}

/** EventBit bits from the host. interruptPending() may have changed afterwards. */
export function deviceEvent(bits: u32): void {
  if (bits & EventBit.Timer) timersDue();
  if (bits & EventBit.ConsoleInput) uartsInput();
  if (bits & EventBit.ConsoleRoom) uartsRoom();
}

/** The host's timer is spent, whatever it was set to: it is armed again even if the earliest deadline stays (it came early). */
function timersDue(): void {
  const now = guest.clock();
  timers.armed = NEVER;
  if (timers.pit <= now) pitTimer();
  if (timers.rtc <= now) rtcTimer();
  if (timers.com1 <= now) uartTimer(com1);
  if (timers.com2 <= now) uartTimer(com2);
  rearm();
}
