// Instructions that are undefined on this CPU, and that a guest may have found at boot on one of the other vendor: VMCALL and VMMCALL on
// each other's, and SYSCALL in 32-bit code under a 64-bit kernel, which AMD's CPUs have and Intel's have not (SDM vol. 2, SYSCALL; APM
// vol. 3, SYSCALL). All else is the guest's own #UD. SYSENTER there is Intel's alone, and a guest whose CPUID says AMD leaves it.
// Known limit: SYSCALL and SYSRET of a 32-bit kernel.

import { DebugStop } from "../../protocol/debug";
import { ExitReason, Register } from "../../protocol/state";
import { isAmd } from "./cpuid";
import { debugged, stop } from "./debug";
import { decodeForeign } from "./decode";
import { exitFlags, exitLength, Flag, Outcome, rip } from "./exit";
import * as guest from "./guest";
import { hypercall } from "./hypercall";
import { codeBytes, EFER_LMA, EFER_SCE, setGpr, setRip } from "./vcpu";
import { intel } from "./vendor";

const VMCALL: u32 = 0xc1010f;
const VMMCALL: u32 = 0xd9010f;
const SYSCALL: u32 = 0x050f;
/** QEMU's CPU does not have it; it is a debugger's breakpoint even so. */
const INT1: u32 = 0xf1;

/** A flat 64-bit code segment, and the data segment beside it, of privilege 0. */
const CODE: u64 = 0xa09b;
const DATA: u64 = 0xc093;

/** After an exit for #UD: what was done (after SYSCALL, whose new flags the exit record has not, no event is set at once); Outcome.Window:
 *  nothing, the exception is the guest's. */
export function foreignInstruction(): Outcome {
  const opcode = decodeForeign();
  if (opcode == INT1) return debugged() ? stop(DebugStop.Software) : Outcome.Window;
  if (opcode == (intel() ? VMMCALL : VMCALL)) {
    guest.count(ExitReason.Hypercall);
    hypercall();
    return Outcome.Next;
  }
  return opcode == SYSCALL && intel() && isAmd() && syscall() ? Outcome.Injected : Outcome.Window;
}

/** From compatibility mode: to CSTAR, with the return address in RCX and the flags in R11. */
function syscall(): bool {
  const needed = EFER_LMA | EFER_SCE;
  if ((guest.read(Register.Efer) & needed) != needed || codeBytes() == 8) return false;
  const flags: u64 = exitFlags();
  setGpr(Register.Rcx, <u64>(<u32>rip() + exitLength()));
  setGpr(Register.R11, flags & ~(<u64>Flag.RF));
  setRip(guest.read(Register.Cstar));
  const selector = (guest.read(Register.Star) >> 32) & 0xfffc;
  segment(Register.CsSelector, selector, CODE);
  segment(Register.SsSelector, selector + 8, DATA);
  return guest.write(Register.Rflags, flags & ~guest.read(Register.Sfmask) & ~(<u64>Flag.RF));
}

function segment(register: u32, selector: u64, attributes: u64): void {
  guest.write(register, selector);
  guest.write(register + 1, 0);
  guest.write(register + 2, 0xffffffff);
  guest.write(register + 3, attributes);
}
