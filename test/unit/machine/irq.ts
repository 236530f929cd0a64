// An interrupt that waits for a guest, for tests of what then happens.
import { Register } from "../../../protocol/state.js";
import type { Guest } from "./guest.js";

/** The interrupt controllers as a kernel sets them up, vectors from 20h on, COM1's interrupt on; its transmitter is empty: IRQ4. */
export function raiseIrq4(guest: Guest): void {
  const out = (port: number, value: number): void => {
    guest.set(Register.Rip, 0x100000);
    guest.out(port, value);
  };
  for (const [port, value] of [
    [0x20, 0x11],
    [0x21, 0x20],
    [0x21, 0x04],
    [0x21, 0x01],
    [0xa0, 0x11],
    [0xa1, 0x28],
    [0xa1, 2],
    [0xa1, 1],
  ] as const)
    out(port, value);
  out(0x21, 0xef);
  out(0x3fc, 0x0b);
  out(0x3f9, 0x02);
  guest.set(Register.Rip, 0x100000);
}

export const IRQ4 = { vector: 0x24, type: 0, error: undefined };
