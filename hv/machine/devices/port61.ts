// System control port B, 61h: counter 2's gate and output, the speaker, and the refresh toggle that old software times itself by.
//
//   7       6        5      4         3        2       1         0
//   parity  channel  OUT2   refresh   channel  parity  speaker   GATE2
//           check           toggle    check    check   data
//                                     mask     mask

import * as guest from "../guest";
import { port61 } from "../state";
import { pitGate, pitOut } from "./pit";

/** a refresh cycle of a PC: 18 ticks of 1193182 Hz */
const REFRESH_NS: u64 = 15085;

export function port61Read(): u32 {
  return port61.control | ((<u32>((guest.clock() / REFRESH_NS) & 1)) << 4) | (pitOut() << 5);
}

export function port61Write(value: u32): void {
  port61.control = <u8>(value & 0x0f);
  pitGate(value & 1);
}
