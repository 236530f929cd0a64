// AMD SVM: what a recorded exit says of itself, neutral. Mirrors vmx.ts: the same functions in the same order.
// Citations: AMD APM vol. 2, 24593 rev. 3.41, as in hv/machine/svm.ts.
import { ExitReason } from "../../../protocol/state.js";
import type { RawExit } from "../hypervisor/traced.js";
import type { Access } from "./access.js";

/** Exit codes (appendix C) whose EXITINFO1 says which way they go, or that lie beyond the table. */
const IO = 0x7b;
const MSR = 0x7c;
const NESTED_PAGE_FAULT = 0x400;
const INVALID = 0xffff_ffff;
const EXCEPTION = 0x40;
const CR_WRITE = 0x10;
const DR_WRITE = 0x30;
/** a write of CR0 that changes more than TS and MP (15.9) */
const CR0_SELECTIVE_WRITE = 0x65;

/** The reasons that the number alone does not tell. */
export function detail({ reason, qualification }: RawExit): ExitReason {
  if (reason === IO) {
    const { string, input } = port(qualification);
    if (string) return ExitReason.IoString;
    return input ? ExitReason.IoIn : ExitReason.IoOut;
  }
  if (reason === MSR) return qualification & 1n ? ExitReason.Wrmsr : ExitReason.Rdmsr;
  if (reason === NESTED_PAGE_FAULT) return ExitReason.NestedFault;
  return reason === INVALID ? ExitReason.EntryFailed : ExitReason.Unknown;
}

/** EXITINFO1 for I/O (15.10.2). */
export function port(qualification: bigint) {
  const bits = Number(qualification & 0xffff_ffffn);
  return {
    port: bits >>> 16,
    bytes: (bits >>> 4) & 7,
    input: (bits & 1) !== 0,
    string: (bits & 4) !== 0,
    repeat: (bits & 8) !== 0,
  };
}

export function vector({ reason }: RawExit): number {
  return reason - EXCEPTION;
}

/** EXITINFO1 of a nested page fault is a page fault's error code (15.25.6). */
export function access({ qualification }: RawExit): Access {
  if (qualification & 16n) return "fetch";
  return qualification & 2n ? "write" : "read";
}

/** The exit code names the register: reads 00h-0Fh, writes 10h-1Fh (15.8.1). */
export function register({ reason }: RawExit): { register: number; read: boolean } {
  return reason === CR0_SELECTIVE_WRITE ? { register: 0, read: false } : { register: reason & 15, read: reason < CR_WRITE };
}

/** The exit code names the register: reads 20h-2Fh, writes 30h-3Fh (15.8.2). */
export function debugRegister({ reason }: RawExit): { register: number; read: boolean } {
  return { register: reason & 15, read: reason < DR_WRITE };
}
