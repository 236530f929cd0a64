// What was wrong with an image: a Status of protocol/messages.ts, and the value found.

import { Status } from "../../../protocol/messages";

let value: u64 = 0;

export function failed(status: Status, found: u64): Status {
  value = found;
  return status;
}

export function bootStatusValue(): u64 {
  return value;
}
