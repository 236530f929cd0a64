// MOV to and from the debug registers: it exits while those of a debugger are in use, and the guest sees its own (hv/asm/fields.asm has
// them apart). Its DR7 has no effect meanwhile. The CPU has checked the privilege level before the exit.

import { Register } from "../../protocol/state";
import { Cr, CrKind, Outcome, Vector } from "./exit";
import * as guest from "./guest";
import { inject, injectGp } from "./inject";
import { anyGpr, CR4_DE, codeBytes, setAnyGpr } from "./vcpu";

export function debugRegister(): Outcome {
  let number = Cr.number;
  // DR4 and DR5 are other names of DR6 and DR7, unless CR4.DE is set (SDM vol. 3, 18.2.2).
  if (number > 7 || ((number & 6) == 4 && guest.read(Register.Cr4) & CR4_DE)) {
    inject(Vector.UD, false, 0);
    return Outcome.Injected;
  }
  if (number > 3) number = (number & 1) + 4;
  const field: u32 = Register.Dr0 + number;
  const wide = codeBytes() == 8;
  if (Cr.kind == CrKind.Read) {
    const value = guest.read(field);
    setAnyGpr(Cr.register, wide ? value : value & 0xffffffff);
    return Outcome.Next;
  }
  const value = anyGpr(Cr.register);
  if (guest.write(field, wide ? value : value & 0xffffffff)) return Outcome.Next;
  injectGp();
  return Outcome.Injected;
}
