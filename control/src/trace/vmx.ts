// Intel VMX: what a recorded exit says of itself, neutral. Mirrors svm.ts: the same functions in the same order.
// Citations: Intel SDM, 325462-083 (March 2024), as in hv/machine/vmx.ts.
import { ExitReason } from "../../../protocol/state.js";
import type { RawExit } from "../hypervisor/traced.js";
import type { Access } from "./access.js";

/** Basic exit reason (vol. 3, appendix C): its qualification says which way it goes. */
const IO = 30;
const ENTRY_FAILED = 0x8000_0000;
/** TraceRecord.Reason of an exception or NMI: a type of 2 or more in bits 10:8 (25.9.2) */
const INTERRUPTION = { from: 0x200, below: 0x800 };

/** The reasons that the number alone does not tell. */
export function detail({ reason, qualification }: RawExit): ExitReason {
  if (reason >= INTERRUPTION.from && reason < INTERRUPTION.below) return ExitReason.Exception;
  if (reason === IO) {
    const { string, input } = port(qualification);
    if (string) return ExitReason.IoString;
    return input ? ExitReason.IoIn : ExitReason.IoOut;
  }
  return reason >= ENTRY_FAILED ? ExitReason.EntryFailed : ExitReason.Unknown;
}

/** Exit qualification for I/O (table 28-5). */
export function port(qualification: bigint) {
  const bits = Number(qualification & 0xffff_ffffn);
  return {
    port: bits >>> 16,
    bytes: (bits & 7) + 1,
    input: (bits & 8) !== 0,
    string: (bits & 16) !== 0,
    repeat: (bits & 32) !== 0,
  };
}

export function vector({ reason }: RawExit): number {
  return reason & 0xff;
}

/** Exit qualification for EPT violations (table 28-7). */
export function access({ qualification }: RawExit): Access {
  if (qualification & 4n) return "fetch";
  return qualification & 2n ? "write" : "read";
}

/** Exit qualification for control-register accesses (table 28-3): CLTS and LMSW write CR0. */
export function register({ qualification }: RawExit): { register: number; read: boolean } {
  const kind = Number((qualification >> 4n) & 3n);
  return { register: kind < 2 ? Number(qualification & 15n) : 0, read: kind === 1 };
}

/** Exit qualification for MOV DR (table 28-4). */
export function debugRegister({ qualification }: RawExit): { register: number; read: boolean } {
  return { register: Number(qualification & 7n), read: (qualification & 16n) !== 0n };
}
