// A recorded exit made neutral: what the vendor's numbers and the registers of the moment say the guest did. Between hypervisor/traced.ts, which
// has them as they came, and those who show, store or compare them.

import { Verdict } from "../../../hv/machine/layout.js";
import { Vendor } from "../../../protocol/messages.js";
import { ExitReason } from "../../../protocol/state.js";
import type { TracedExit } from "../api/trace.js";
import { hex } from "../hex.js";
import { exitReasonName } from "../hypervisor/texts.js";
import type { RawExit } from "../hypervisor/traced.js";
import * as svm from "./svm.js";
import * as vmx from "./vmx.js";

export interface ExitContext {
  vendor: Vendor;
  /** the machine's ReasonTable */
  reasons: Uint8Array;
  /** of the guest's first entry */
  firstEntryTsc: bigint;
  /** of the host */
  tscKhz: number;
}

const VERDICTS: Record<Verdict, TracedExit["verdict"]> = {
  [Verdict.Resume]: "resume",
  [Verdict.Halt]: "halt",
  [Verdict.Stop]: "stop",
  [Verdict.Break]: "break",
};

export function neutralReason(raw: RawExit, { vendor, reasons }: Pick<ExitContext, "vendor" | "reasons">): ExitReason {
  const plain = raw.reason < reasons.length ? (reasons[raw.reason] ?? 0) : 0;
  return plain || (vendor === Vendor.Vmx ? vmx : svm).detail(raw);
}

export function neutralExit(raw: RawExit, context: ExitContext): TracedExit {
  const reason = neutralReason(raw, context);
  const ticks = raw.tsc > context.firstEntryTsc ? raw.tsc - context.firstEntryTsc : 0n;
  return {
    index: raw.index,
    timeNs: String((ticks * 1_000_000n) / BigInt(context.tscKhz)),
    reason: exitReasonName(reason),
    rip: hex(raw.rip),
    verdict: VERDICTS[raw.verdict as Verdict] ?? "trap",
    ...operands(reason, raw, context.vendor === Vendor.Vmx ? vmx : svm),
    raw: { reason: hex(raw.reason), qualification: hex(raw.qualification) },
  };
}

type Operands = Omit<TracedExit, "index" | "timeNs" | "reason" | "rip" | "verdict" | "raw">;

function operands(reason: ExitReason, raw: RawExit, vendor: typeof vmx): Operands {
  const { qualification, rax, rcx, result } = raw;
  switch (reason) {
    case ExitReason.Cpuid:
      return { leaf: low(rax, 4), subleaf: low(rcx, 4), value: low(result, 4) };
    case ExitReason.Hypercall:
      return { call: hex(rax), value: hex(result) };
    case ExitReason.IoIn:
    case ExitReason.IoOut: {
      const { port, bytes, input } = vendor.port(qualification);
      return { port, bytes, value: low(input ? result : rax, bytes) };
    }
    case ExitReason.IoString: {
      const { port, bytes, input, repeat } = vendor.port(qualification);
      return { port, bytes, direction: input ? "in" : "out", ...(repeat ? { count: String(rcx) } : {}) };
    }
    case ExitReason.Rdmsr:
      return { msr: low(rcx, 4), value: low(result, 4) };
    case ExitReason.Wrmsr:
      return { msr: low(rcx, 4), value: low(rax, 4) };
    case ExitReason.CrAccess: {
      const { register, read } = vendor.register(raw);
      return { register, direction: read ? "read" : "write" };
    }
    case ExitReason.DrAccess: {
      const { register, read } = vendor.debugRegister(raw);
      return { register, direction: read ? "read" : "write" };
    }
    case ExitReason.Xsetbv:
      return { register: Number(rcx & 0xffff_ffffn), value: low(rax, 4) };
    case ExitReason.Exception:
      return { vector: vendor.vector(raw) };
    case ExitReason.NestedFault:
      return { direction: vendor.access(raw) };
    case ExitReason.TaskSwitch:
      return { selector: low(qualification, 2) };
    case ExitReason.Rdtsc:
      return { value: low(result, 4) };
    default:
      return {};
  }
}
const low = (value: bigint, bytes: number): string => hex(BigInt.asUintN(8 * bytes, value));
