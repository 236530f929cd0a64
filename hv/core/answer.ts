// What a guest's machine answered when core called it: boot() and restore(). Used by control.ts and saved.ts.

import { Status } from "../../protocol/messages";
import * as host from "./host";
import { failWith, failWithTwo } from "./message";

/** A machine's own answer is no more than a number: it must not be taken for one of core's. */
const MAX_STATUS: u32 = 0xffff;

/** The reply's status, with its evidence where the machine refused or ended. */
export function machineAnswer(slot: u32, status: u32): u32 {
  if (status == Status.Ok) return status;
  if (status == Status.Ended) return failWithTwo(status, host.guestReason(slot), host.guestValue(slot));
  return failWith(min(status, MAX_STATUS), host.guestValue(slot));
}
