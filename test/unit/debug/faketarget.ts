// A guest in memory for the stub: identity-mapped RAM, registers, and stops that the test makes.
import type { RunWish, Target, TargetEvents } from "../../../control/src/debug/target.js";
import { HvkitError } from "../../../control/src/errors.js";
import type { PendingEntry } from "../../../control/src/hypervisor/debugger.js";
import { GuestLimit } from "../../../protocol/messages.js";
import { Register } from "../../../protocol/state.js";

const KIB = 1024;

export class FakeTarget implements Target {
  readonly name = "web";
  readonly memoryBytes = 256 * KIB;
  readonly xsave = true;
  readonly avx = true;
  events: TargetEvents | undefined;
  readonly ram = Buffer.alloc(this.memoryBytes);
  readonly values = Array.from({ length: Register.Count }, (_, index) => BigInt(index) + 1n);
  area: Uint8Array = new Uint8Array(GuestLimit.FpuBytes);
  injected = 0n;
  readonly runs: RunWish[] = [];
  detached = 0;
  paused = 0;
  /** what the guest does when it is let go: by default it runs on */
  onRun: ((wish: RunWish) => number | undefined) | undefined;

  constructor() {
    this.values[Register.Cr0] = 1n;
    this.values[Register.Efer] = 0x500n;
    this.values[Register.CsAttributes] = 0xa09bn;
    this.values[Register.Rip] = 0x1000n;
    this.values[Register.Rflags] = 2n;
  }

  async registers(): Promise<bigint[]> {
    return [...this.values];
  }
  async writeRegisters(values: readonly (readonly [Register, bigint])[], inject?: bigint): Promise<void> {
    for (const [register, value] of values) {
      if (register === Register.Cr0 && value === 0n) throw new HvkitError("E_DEBUG_REGISTER", "the register cr0 cannot be 0x0");
      this.values[register] = value;
    }
    if (inject !== undefined) this.injected = inject;
  }
  async pending(): Promise<PendingEntry> {
    return { inject: this.injected, halted: false };
  }
  async fpu(): Promise<Uint8Array> {
    return this.area;
  }
  async writeFpu(fpu: Uint8Array): Promise<void> {
    this.area = fpu;
  }
  async read(address: number, length: number): Promise<Uint8Array> {
    if (address + length > this.memoryBytes) throw new Error(`outside of RAM: ${address}+${length}`);
    return this.ram.subarray(address, address + length);
  }
  async write(address: number, bytes: Uint8Array): Promise<void> {
    if (address + bytes.length > this.memoryBytes) throw new Error(`outside of RAM: ${address}+${bytes.length}`);
    this.ram.set(bytes, address);
  }
  async run(wish: RunWish): Promise<void> {
    this.runs.push(wish);
    const stop = this.onRun?.(wish);
    if (stop !== undefined) setImmediate(() => this.events?.stop(stop));
  }
  async pause(): Promise<void> {
    this.paused++;
    this.events?.stop(0);
  }
  async detach(): Promise<void> {
    this.detached++;
  }
}
