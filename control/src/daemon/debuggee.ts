// A guest in a debugger's hands, as the hypervisor has it: what it runs with, and the software breakpoints, which lie in its memory only while
// it runs. debuggers.ts says who may; guests.ts lifts the breakpoints while a snapshot is taken.
import { DebugFlag } from "../../../protocol/debug.js";
import type { DebugWish } from "../hypervisor/debugger.js";
import type { HypervisorClient } from "../hypervisor/hypervisor.js";

/** INT1, which debuggers of hardware use: one byte, in every mode and at every privilege level, and no guest has a use for it. INT3 is left to
 *  the guest. */
const BREAKPOINT = 0xf1;

export interface Run extends DebugWish {
  /** guest-physical */
  software: readonly number[];
}

const STANDING: Run = { flags: DebugFlag.Attached, addresses: [], dr7: 0, software: [] };

export class Debuggee {
  #run = STANDING;
  /** what is under each breakpoint that lies in memory */
  readonly #covered = new Map<number, number>();

  constructor(
    private readonly hypervisor: HypervisorClient,
    readonly slot: number,
  ) {}

  /** The guest is paused, and nobody else's. */
  async attach(): Promise<void> {
    await this.hypervisor.debugger.guestDebug(this.slot, STANDING);
  }

  /** What the next run is to have. */
  async prepare(run: Run): Promise<void> {
    this.#run = run;
    await this.plant();
  }

  /** The guest stopped by itself: its memory is as it would be without a debugger. (Its registers are: the hypervisor sees to it.) */
  async settle(): Promise<void> {
    for (const [address, byte] of this.#covered) {
      const [now] = await this.hypervisor.guestGet(this.slot, address, 1);
      // The guest may have written there itself.
      if (now === BREAKPOINT) await this.hypervisor.debugger.guestStore(this.slot, address, Uint8Array.of(byte));
    }
    this.#covered.clear();
  }

  /** It was paused: as settle(), and a step that was under way is given up. */
  async lift(): Promise<void> {
    await this.settle();
    await this.hypervisor.debugger.guestDebug(this.slot, { ...this.#run, flags: DebugFlag.Attached });
  }

  /** It goes on as it was before lift(). */
  async plant(): Promise<void> {
    for (const address of new Set(this.#run.software)) {
      const [byte = 0] = await this.hypervisor.guestGet(this.slot, address, 1);
      this.#covered.set(address, byte);
      await this.hypervisor.debugger.guestStore(this.slot, address, Uint8Array.of(BREAKPOINT));
    }
    await this.hypervisor.debugger.guestDebug(this.slot, this.#run);
  }

  async detach(): Promise<void> {
    this.#run = STANDING;
    await this.lift();
    await this.hypervisor.debugger.guestDebug(this.slot, { flags: 0, addresses: [], dr7: 0 });
  }
}
