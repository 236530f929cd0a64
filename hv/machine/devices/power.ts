// The ways in which a guest ends itself: ACPI's sleep register where QEMU (604h) and Bochs (B004h) have it, Bochs' "Shutdown" letters
// at 8900h, the reset control register CF9h, and QEMU's isa-debug-exit at F4h. i8042.ts comes here for its reset too.

import { EndReason } from "../../../protocol/messages";
import * as guest from "../guest";
import { power } from "../state";

/** ACPI PM1_CNT: SLP_EN, and SLP_TYP 0 which is S5 in the tables of both emulators */
const SLEEP_ENABLE: u32 = 0x2000;
const SLEEP_TYPE: u32 = 0x1c00;
/** CF9h: RST_CPU resets when it is written (PIIX4 data sheet, RC) */
const RESET_CPU: u32 = 0x04;
const RESET_PORT: u32 = 0xcf9;

/** "Shutdown", first letter lowest. */
const SHUTDOWN: u64 = 0x6e776f6474756853;

export function pm1Write(value: u32): void {
  if ((value & (SLEEP_ENABLE | SLEEP_TYPE)) == SLEEP_ENABLE) end(EndReason.PowerOff, 0);
}

/** A letter out of turn starts again, and may be the first. */
export function shutdownWrite(value: u32): void {
  let spelled: u32 = power.spelled;
  if (value != expected(spelled)) spelled = 0;
  if (value == expected(spelled)) spelled++;
  power.spelled = <u8>(spelled & 7);
  if (spelled == 8) end(EndReason.PowerOff, 0);
}

export function resetControlRead(): u32 {
  return power.resetControl;
}

export function resetControlWrite(value: u32): void {
  power.resetControl = <u8>(value & ~RESET_CPU);
  if (value & RESET_CPU) reset(RESET_PORT);
}

/** The value is what QEMU would exit with. */
export function debugExitWrite(value: u32): void {
  end(EndReason.DebugExit, ((<u64>value) << 1) | 1);
}

/** The value is the port that did it. */
export function reset(port: u32): void {
  end(EndReason.Reset, port);
}

function expected(spelled: u32): u32 {
  return <u32>(SHUTDOWN >> (spelled << 3)) & 0xff;
}

function end(reason: u32, value: u64): void {
  power.ended = 1;
  guest.end(reason, value);
}
