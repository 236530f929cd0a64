// The imports of test/entry/raw.asm. `slot` is a guest's slot; what it runs is over.

/** Physical address of a page of zeros, one of two. */
// @ts-expect-error: decorator
@external("host", "rawEmpty")
export declare function rawEmpty(which: u32): u64;
/** A field of protocol/vcb.ts, as it is. */
// @ts-expect-error: decorator
@external("host", "rawWrite")
export declare function rawWrite(slot: u32, field: u32, value: u64): void;
/** Enters the guest once: exit reason or exit code, or a VM-instruction error and bit 32. `mark`: an MSR for the engine's log, or 0. */
// @ts-expect-error: decorator
@external("host", "rawEnter")
export declare function rawEnter(slot: u32, mark: u32): u64;
