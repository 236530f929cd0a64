// The CPU of a guest that stands: its registers, read once a stop and written through, and what follows from them.
import { Register } from "../../../protocol/state.js";
import type { PendingEntry } from "../hypervisor/debugger.js";
import { Memory } from "./memory.js";
import type { Target } from "./target.js";

const EFER_LMA = 0x400n;
const CS_LONG = 0x2000n;
const CS_DEFAULT_32 = 0x4000n;

export class Cpu {
  readonly memory: Memory;
  #registers: Promise<bigint[]> | undefined;
  #pending: Promise<PendingEntry> | undefined;
  #fpu: Promise<Uint8Array> | undefined;

  constructor(readonly target: Target) {
    this.memory = new Memory(target, async () => {
      const values = await this.registers();
      const value = (register: Register): bigint => values[register] ?? 0n;
      return { cr0: value(Register.Cr0), cr3: value(Register.Cr3), cr4: value(Register.Cr4), efer: value(Register.Efer) };
    });
  }

  /** The guest runs. */
  forget(): void {
    this.#registers = undefined;
    this.#pending = undefined;
    this.#fpu = undefined;
    this.memory.forget();
  }

  registers(): Promise<bigint[]> {
    this.#registers ??= this.target.registers();
    return this.#registers;
  }

  async get(register: Register): Promise<bigint> {
    return (await this.registers())[register] ?? 0n;
  }

  async set(...values: readonly (readonly [Register, bigint])[]): Promise<void> {
    this.#registers = undefined;
    this.memory.forget();
    await this.target.writeRegisters(values);
  }

  pending(): Promise<PendingEntry> {
    this.#pending ??= this.target.pending();
    return this.#pending;
  }

  /** The event that the next entry injects; what was set before is replaced. */
  async inject(event: bigint): Promise<void> {
    this.#pending = undefined;
    await this.target.writeRegisters([], event);
  }

  fpu(): Promise<Uint8Array> {
    this.#fpu ??= this.target.fpu();
    return this.#fpu;
  }

  async setFpu(fpu: Uint8Array): Promise<void> {
    this.#fpu = undefined;
    await this.target.writeFpu(fpu);
  }

  /** Bytes of the code segment's default size: 8 in 64-bit mode, 4, 2. */
  async codeBytes(): Promise<2 | 4 | 8> {
    const attributes = await this.get(Register.CsAttributes);
    if (attributes & CS_LONG && (await this.get(Register.Efer)) & EFER_LMA) return 8;
    return attributes & CS_DEFAULT_32 ? 4 : 2;
  }

  /** A code or stack address as a linear one: only 64-bit mode has no segment bases. */
  async linear(base: Register, offset: bigint): Promise<bigint> {
    const bytes = await this.codeBytes();
    if (bytes === 8) return offset;
    return BigInt.asUintN(32, (await this.get(base)) + offset);
  }

  async linearRip(): Promise<bigint> {
    return this.linear(Register.CsBase, await this.get(Register.Rip));
  }
}
