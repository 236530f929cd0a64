// Events into the guest: exceptions that the machine raises or reflects, NMIs, external interrupts, and the windows that it asks
// for while they cannot be taken. One event can be set for the next entry.

import { ExitField, Register } from "../../protocol/state";
import { Fault, Flag, Vector } from "./exit";
import * as guest from "./guest";
import { EVENT_VALID, EventType, inject } from "./inject";
import { interruptAcknowledge, interruptPending, isNmiMasked } from "./interrupts";
import { machine } from "./state";

const DR7_GD: u64 = 0x2000;
/** The interrupt window is asked for. Can be rebuilt: asking once more does no harm. */
let window: bool = false;
let nmiWindow: bool = false;

/** SDM vol. 3, table 6-5: 1 contributory, 2 page fault, 0 benign. */
function severity(vector: u32): u32 {
  if (vector == Vector.PF) return 2;
  return vector == 0 || (vector >= <u32>Vector.TS && vector <= <u32>Vector.GP) ? 1 : 0;
}

/** Gives an intercepted exception (Fault) to the guest: as itself, or as #DF; false: after a #DF it is a triple fault. */
export function reflect(): bool {
  const vector = Fault.vector;
  const before = <u32>guest.read(ExitField.Vectoring);
  if (before & <u32>EVENT_VALID) {
    const type = (before >>> 8) & 7;
    const first = before & 255;
    if (type == EventType.Exception) {
      const second = severity(vector);
      if (first == Vector.DF && second) return false;
      const both = severity(first);
      if ((both && second == 1) || (both == 2 && second == 2)) {
        inject(Vector.DF, true, 0);
        return true;
      }
    } else if (type == EventType.Nmi) machine.nmi = 1;
    else if (type == EventType.Interrupt) machine.deferred = before;
    // A software interrupt runs again: RIP is still at it.
  }
  if (vector == Vector.PF) guest.write(Register.Cr2, Fault.address);
  else if (vector == Vector.DB) debugRegisters();
  inject(vector, Fault.hasError, Fault.error);
  return true;
}

/** What the delivery of a #DB does besides, and an injection does not (SDM vol. 3, 28.2): new bits in DR6, GD off in DR7. */
function debugRegisters(): void {
  if (Fault.address) guest.write(Register.Dr6, guest.read(Register.Dr6) | Fault.address);
  const dr7 = guest.read(Register.Dr7);
  if (dr7 & DR7_GD) guest.write(Register.Dr7, dr7 & ~DR7_GD);
}

/** Something waits to be taken by the guest. */
// @ts-ignore: decorator
@inline
export function eventPending(): bool {
  return <bool>(<u32>interruptPending() | machine.nmi | machine.deferred);
}

/** Sets what waits for the next entry, or asks for a window. `free`: nothing is set yet. True: something was set now. */
export function deliver(flags: u32, shadow: bool, free: bool): bool {
  let mine = free && !shadow;
  let set = false;
  // Port 70h can hold NMIs back; the write that lets them through is an exit, and comes here.
  if (machine.nmi && !isNmiMasked()) {
    if (mine && !guest.read(Register.NmiBlocked)) {
      machine.nmi = 0;
      guest.write(ExitField.Inject, EVENT_VALID | (EventType.Nmi << 8) | 2);
      mine = false;
      set = true;
    } else if (!nmiWindow) {
      nmiWindow = true;
      guest.write(ExitField.NmiWindow, 1);
    }
  }
  if (mine && flags & Flag.IF && (machine.deferred || interruptPending())) {
    const deferred = machine.deferred;
    machine.deferred = 0;
    guest.write(ExitField.Inject, deferred ? <u64>deferred : EVENT_VALID | <u64>interruptAcknowledge());
    set = true;
    if (window) closeWindow();
  }
  if (!window && (machine.deferred || interruptPending())) {
    window = true;
    guest.write(ExitField.InterruptWindow, 1);
  }
  return set;
}

/** The window is open: it closes, and deliver() follows. */
export function closeWindow(): void {
  window = false;
  guest.write(ExitField.InterruptWindow, 0);
}

/** As closeWindow. Under SVM this is the IRET itself, not yet executed: the NMI then nests at the IRET, which guests allow for. */
export function closeNmiWindow(): void {
  nmiWindow = false;
  guest.write(ExitField.NmiWindow, 0);
  guest.write(Register.NmiBlocked, 0);
}

/** The next entry has an event already: one to inject, or a trap that an injection would lose. */
export function injecting(): bool {
  return (guest.read(ExitField.Inject) & EVENT_VALID) != 0 || guest.read(Register.PendingDebug) != 0;
}
