// A debugger's part in an exit: its breakpoints, and the end of its step. What it wants is in the DebuggerRecord, which hv/asm/debug.asm
// writes and reads; it lives outside the state region, so that no snapshot has it. While a step lasts, TF is set, each exception exits,
// and no event of the guest's devices is delivered.

import { DebugFlag, DebugStop } from "../../protocol/debug";
import { Fault, Outcome, Vector } from "./exit";
import { DebuggerRecord, Layout } from "./layout";
import { debugBits } from "./vendor";

function flags(): u32 {
  return load<u32>(Layout.Debug + DebuggerRecord.Flags);
}

export function debugged(): bool {
  return flags() != 0;
}

export function stepping(): bool {
  return (flags() & DebugFlag.Step) != 0;
}

/** The guest stops at what it has reached. `why`: DebugStop bits */
export function stop(why: u32): Outcome {
  store<u32>(Layout.Debug + DebuggerRecord.Stop, why);
  return Outcome.Break;
}

/** After exception(): it is what the debugger waits for. Known limit: with a step over an instruction that the guest itself steps over, too, the
 *  trap is the debugger's alone. */
export function isDebuggers(): bool {
  const wants = flags();
  if (Fault.vector != Vector.DB || !wants) return false;
  const mask: u32 = (wants & DebugFlag.Hardware ? DebugStop.Breakpoints : 0) | (wants & DebugFlag.Step ? DebugStop.Step : 0);
  const why: u32 = Fault.software ? DebugStop.Software : debugBits(mask);
  if (why) stop(why);
  return why != 0;
}
