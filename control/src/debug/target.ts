// What the stub debugs: one guest with one CPU. client/rpctarget.ts implements it on the daemon; tests do on a hypervisor of their own.
import type { DebugFlag } from "../../../protocol/debug.js";
import type { Register } from "../../../protocol/state.js";
import type { PendingEntry } from "../hypervisor/debugger.js";

/** DR0 to DR3 and DR7 as the CPU has them, software breakpoints by guest-physical address. */
export interface RunWish {
  /** DebugFlag.Step, DebugFlag.Pops */
  flags: DebugFlag | 0;
  addresses: readonly bigint[];
  dr7: number;
  software: readonly number[];
}

export interface TargetEvents {
  /** DebugStop bits; 0: it was paused */
  stop: (stop: number) => void;
  /** it is not there any more, and why, as a sentence; `exitCode`: it ended by itself */
  end: (why: string, exitCode: number | undefined) => void;
}

/** Everything but run, pause and detach needs a guest that stands. */
export interface Target {
  readonly name: string;
  readonly memoryBytes: number;
  /** the FPU's area has a header, and then AVX */
  readonly xsave: boolean;
  readonly avx: boolean;
  events: TargetEvents | undefined;
  registers(): Promise<bigint[]>;
  writeRegisters(values: readonly (readonly [Register, bigint])[], inject?: bigint): Promise<void>;
  pending(): Promise<PendingEntry>;
  fpu(): Promise<Uint8Array>;
  writeFpu(fpu: Uint8Array): Promise<void>;
  /** guest-physical, inside the guest's RAM */
  read(address: number, length: number): Promise<Uint8Array>;
  write(address: number, bytes: Uint8Array): Promise<void>;
  run(wish: RunWish): Promise<void>;
  pause(): Promise<void>;
  detach(): Promise<void>;
}
