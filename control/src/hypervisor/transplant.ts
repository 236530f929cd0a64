// What the two vendors' CPUs keep in different places, made what the CPU of the hypervisor at hand takes. A state that stays with its
// vendor passes unchanged. state.ts calls this before it writes registers.
import { Vendor } from "../../../protocol/messages.js";
import { Register } from "../../../protocol/state.js";
import type { SavedState } from "./saved.js";

/** What it looks at. */
type VcpuState = Pick<SavedState, "registers" | "inject">;

const RFLAGS_TF = 0x100n;
const SINGLE_STEP = 0x4000n;
/** breakpoints 3:0, which DR6 and VMX's pending debug exceptions have in the same places (SDM vol. 3, 25.4.2) */
const BREAKPOINTS = 0xfn;
const EVENT_VALID = 0x80000000n;
/** ExitField.Inject: hardware exception, vector 1 */
const INJECT_DB = EVENT_VALID | 0x301n;
/** A segment's attributes: present, system, and of the type 1 or 9, which are TSSs that are available. */
const TSS_MASK = 0x97n;
const TSS_AVAILABLE = 0x81n;
const TSS_BUSY = 2n;

export function transplant<State extends VcpuState>(state: State, vendor: Vendor): State {
  const registers = [...state.registers];
  const get = (register: Register): bigint => registers[register] ?? 0n;
  // A CPU may keep the task register as it was loaded; entry under VMX wants the TSS busy (SDM vol. 3, 27.3.1.2).
  const task = get(Register.TrAttributes);
  if ((task & TSS_MASK) === TSS_AVAILABLE) registers[Register.TrAttributes] = task | TSS_BUSY;
  let { inject } = state;
  const pending = get(Register.PendingDebug);
  if (vendor === Vendor.Svm && pending !== 0n) {
    // SVM has no pending debug exceptions: the trap is injected, with what its delivery would set in DR6.
    registers[Register.PendingDebug] = 0n;
    if ((inject & EVENT_VALID) === 0n && (pending & (SINGLE_STEP | BREAKPOINTS)) !== 0n) {
      registers[Register.Dr6] = get(Register.Dr6) | (pending & (SINGLE_STEP | BREAKPOINTS));
      inject = INJECT_DB;
    }
  }
  if (vendor === Vendor.Vmx && get(Register.InterruptShadow) !== 0n && (get(Register.Rflags) & RFLAGS_TF) !== 0n) {
    // Entry wants the step that is due after the shadow to be pending (SDM vol. 3, 27.3.1.5).
    registers[Register.PendingDebug] = pending | SINGLE_STEP;
  }
  return { ...state, registers, inject };
}
