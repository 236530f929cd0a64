// A guest's exits as they are recorded while somebody wants to see them: what is recorded, and where a record has what.
// Enums only: AssemblyScript, TypeScript and (through the generated protocol.inc) NASM all read this one file.

/** What a guest's exits are watched for, a bit each. */
export enum TraceMode {
  /** the ring of its last exits */
  Ring = 1,
  /** the time that their handling takes */
  Time = 2,
  All = 3,
}

/** Offsets in a record. What is not said to be from after the exit is from before its handling. */
export enum TraceRecord {
  /** u32: the vendor's: VMX exit reason (bits 15:0, 31 entry failure), SVM EXITCODE. An exception or NMI under VMX (reason 0) instead has bits
   *  10:0 of the VM-exit interruption information (SDM vol. 3, 25.9.2): its vector, and a type of 2 or more above it */
  Reason = 0,
  /** u32: Verdict of hv/machine/layout.ts. Without meaning in the last record of a guest whose machine trapped */
  Verdict = 4,
  /** u64: the host's TSC */
  Tsc = 8,
  /** u64 */
  Rip = 16,
  /** u64: VMX exit qualification, SVM EXITINFO1. Means something only where the reason has one */
  Qualification = 24,
  /** u64 */
  Rax = 32,
  /** u64 */
  Rcx = 40,
  /** u64: RAX after the exit */
  Result = 48,
  /** all that is sent */
  End = 56,
  /** from one record to the next in the ring */
  Stride = 64,
}

export enum TraceRing {
  /** frames of a ring, in a row, and at a multiple of their number: 64 KiB */
  Frames = 16,
  Records = 1024,
}

export enum GuestTraceArgs {
  Guest = 0,
  /** TraceMode bits: those that are not given end, and the ring's records with it */
  Modes = 1,
  Words = 2,
}

export enum GuestTracedArgs {
  Guest = 0,
  /** number of the first record that is wanted; all ones: none, only the count */
  From = 1,
  Words = 2,
}

/** Then bytes: records in a row, TraceRecord.End bytes each, as many as there are or fit. */
export enum GuestTracedReply {
  /** number of the first record that follows */
  First = 0,
  /** records that there were in all: the last one's number, and 1 */
  Count = 1,
  Words = 2,
}
