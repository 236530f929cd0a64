// Records of a guest's exits as they come from the hypervisor (protocol/trace.ts), taken apart but not understood: control/src/trace does that.
import { GuestTracedReply, TraceRecord } from "../../../protocol/trace.js";
import type { Message } from "./codec.js";

/** One exit, in the vendor's numbers. */
export interface RawExit {
  /** counts from 0 since the ring is there */
  index: number;
  reason: number;
  verdict: number;
  /** of the host */
  tsc: bigint;
  rip: bigint;
  qualification: bigint;
  rax: bigint;
  rcx: bigint;
  /** RAX afterwards */
  result: bigint;
}

export interface TracedExits {
  /** records that there were so far: those before the first one that came are lost, should they have been asked for */
  count: number;
  exits: RawExit[];
}

export function decodeTraced(reply: Message): TracedExits {
  const first = reply.number(GuestTracedReply.First);
  const bytes = reply.bytes(GuestTracedReply.Words);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const exits = Array.from({ length: Math.floor(bytes.length / TraceRecord.End) }, (_, place): RawExit => {
    const at = place * TraceRecord.End;
    return {
      index: first + place,
      reason: view.getUint32(at + TraceRecord.Reason, true),
      verdict: view.getUint32(at + TraceRecord.Verdict, true),
      tsc: view.getBigUint64(at + TraceRecord.Tsc, true),
      rip: view.getBigUint64(at + TraceRecord.Rip, true),
      qualification: view.getBigUint64(at + TraceRecord.Qualification, true),
      rax: view.getBigUint64(at + TraceRecord.Rax, true),
      rcx: view.getBigUint64(at + TraceRecord.Rcx, true),
      result: view.getBigUint64(at + TraceRecord.Result, true),
    };
  });
  return { count: reply.number(GuestTracedReply.Count), exits };
}
