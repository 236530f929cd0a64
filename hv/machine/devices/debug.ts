// Ports for people: 80h keeps the last power-on self test code (and is what old software writes to for a delay: keep it short), E9h
// prints on the guest's console as Bochs and QEMU do, and reads E9h so that a guest can tell.

import * as guest from "../guest";
import { debug } from "../state";

const CONSOLE: u32 = 0;

export function postRead(): u32 {
  return debug.post;
}

export function postWrite(value: u32): void {
  debug.post = <u8>value;
}

export function printRead(): u32 {
  return 0xe9;
}

/** There is no status to wait for: what a full ring refuses is lost, and counted there. */
export function printWrite(value: u32): void {
  guest.consolePut(CONSOLE, value);
}
