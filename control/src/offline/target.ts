// A guest in a snapshot's file as gdb's stub sees one (debug/target.ts): it stands where it was saved. All of it is read; nothing is changed,
// and it does not go on, since no CPU is there to run it.
import type { Target, TargetEvents } from "../debug/target.js";
import { HvkitError } from "../errors.js";
import type { PendingEntry } from "../hypervisor/debugger.js";
import { registerNames } from "../snapshot/format.js";
import type { SavedGuest } from "./savedguest.js";

/** XSAVE's header, and where AVX's part begins (SDM vol. 1, 13.4.2, 13.4.3) */
const LEGACY_BYTES = 512;
const AVX_END = 832;
const XCR0_AVX = 4n;

export class SavedTarget implements Target {
  events: TargetEvents | undefined;

  constructor(
    private readonly saved: SavedGuest,
    /** how the user calls the file */
    private readonly reference: string,
  ) {}

  get name(): string {
    return this.saved.name;
  }
  get memoryBytes(): number {
    return this.saved.memory.bytes;
  }
  get xsave(): boolean {
    return this.saved.snapshot.fpu.length > LEGACY_BYTES;
  }
  get avx(): boolean {
    const { fpu, registers } = this.saved.snapshot;
    return fpu.length >= AVX_END && ((registers.xcr0 ?? 0n) & XCR0_AVX) !== 0n;
  }

  async registers(): Promise<bigint[]> {
    const { registers } = this.saved.snapshot;
    return registerNames.map((name) => registers[name] ?? 0n);
  }

  async pending(): Promise<PendingEntry> {
    const { inject, halted } = this.saved.snapshot.entry;
    return { inject, halted };
  }

  async fpu(): Promise<Uint8Array> {
    return this.saved.snapshot.fpu;
  }

  read(address: number, length: number): Promise<Uint8Array> {
    return this.saved.memory.read(address, length);
  }

  writeRegisters(): Promise<void> {
    return this.#refuse("its registers cannot be changed");
  }
  writeFpu(): Promise<void> {
    return this.#refuse("its registers cannot be changed");
  }
  write(): Promise<void> {
    return this.#refuse("its memory cannot be changed");
  }
  run(): Promise<void> {
    return this.#refuse("it cannot go on");
  }

  async pause(): Promise<void> {}
  async detach(): Promise<void> {}

  async #refuse(what: string): Promise<never> {
    throw new HvkitError(
      "E_NOT_LIVE",
      `'${this.reference}' is a snapshot: ${what}; \`hvkit run --from\` makes a guest of it, for \`hvkit debug\``,
    );
  }
}
