// Setting the one event that the next entry delivers. Below events.ts, which decides, and the vendors' files.

import { ExitField, Register } from "../../protocol/state";
import { exitShadow, Flag, Vector } from "./exit";
import * as guest from "./guest";

// ExitField.Inject and ExitField.Vectoring:
//
//    63          32 31  30        12  11   10  8 7      0
//   +--------------+---+------------+-----+-----+--------+
//   |  error code  | V |            | EV  | type| vector |
//   +--------------+---+------------+-----+-----+--------+
export const EVENT_VALID: u64 = 0x80000000;
const EVENT_ERROR: u64 = 0x800;

export enum EventType {
  Interrupt = 0,
  Nmi = 2,
  Exception = 3,
}

/** An exception at the instruction that exited. A fault pushes RF set, so that its handler's IRET steps over a breakpoint there. */
export function inject(vector: u32, hasError: bool, error: u32): void {
  const info: u64 = EVENT_VALID | (EventType.Exception << 8) | vector | (hasError ? EVENT_ERROR : 0) | ((<u64>error) << 32);
  guest.write(ExitField.Inject, info);
  if (vector != Vector.DB) guest.write(Register.Rflags, guest.read(Register.Rflags) | Flag.RF);
  if (exitShadow()) guest.write(Register.InterruptShadow, 0);
}

export function injectGp(): void {
  inject(Vector.GP, true, 0);
}
