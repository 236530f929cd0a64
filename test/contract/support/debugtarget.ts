// A guest of a contract test as the stub's target: what the daemon does for it, without the daemon.

import { Debuggee } from "../../../control/src/daemon/debuggee.js";
import type { RunWish, Target, TargetEvents } from "../../../control/src/debug/target.js";
import type { PendingEntry } from "../../../control/src/hypervisor/debugger.js";
import type { HypervisorEvents } from "../../../control/src/hypervisor/hypervisor.js";
import { DebugFlag } from "../../../protocol/debug.js";
import { Feature, RunState } from "../../../protocol/messages.js";
import { ExitField, type Register } from "../../../protocol/state.js";
import type { Guest } from "./guest.js";
import type { Machine } from "./machine.js";

export class DirectTarget implements Target {
  readonly name: string;
  readonly xsave: boolean;
  readonly avx: boolean;
  events: TargetEvents | undefined;
  readonly debuggee: Debuggee;
  readonly #slot: number;
  /** one after the other, as in the daemon */
  #turn: Promise<void> = Promise.resolve();

  private constructor(
    private readonly machine: Machine,
    private readonly guest: Guest,
    readonly memoryBytes: number,
  ) {
    this.name = guest.name;
    this.#slot = guest.slot;
    this.xsave = (machine.hypervisor.hello.features & Feature.Xsave) !== 0;
    this.avx = (machine.hypervisor.hello.features & Feature.Avx) !== 0;
    this.debuggee = new Debuggee(machine.hypervisor, guest.slot);
    machine.hypervisor.on("guestStopped", this.#onStopped);
    machine.hypervisor.on("guestEnded", this.#onEnded);
  }

  static async attach(machine: Machine, guest: Guest): Promise<DirectTarget> {
    const { memoryBytes, state } = await machine.hypervisor.guestState(guest.slot);
    if (state !== RunState.Paused) await machine.hypervisor.guestPause(guest.slot);
    const target = new DirectTarget(machine, guest, memoryBytes);
    await target.debuggee.attach();
    return target;
  }

  registers(): Promise<bigint[]> {
    return this.machine.hypervisor.guestRegisters(this.#slot);
  }

  async writeRegisters(values: readonly (readonly [Register, bigint])[], inject?: bigint): Promise<void> {
    const event = inject === undefined ? [] : [[ExitField.Inject, inject] as const];
    await this.machine.hypervisor.debugger.guestRegistersWrite(this.#slot, [...values, ...event]);
  }

  pending(): Promise<PendingEntry> {
    return this.machine.hypervisor.debugger.guestPending(this.#slot);
  }

  fpu(): Promise<Uint8Array> {
    return this.machine.hypervisor.debugger.guestFpu(this.#slot);
  }

  writeFpu(fpu: Uint8Array): Promise<void> {
    return this.machine.hypervisor.debugger.guestFpuWrite(this.#slot, fpu);
  }

  read(address: number, length: number): Promise<Uint8Array> {
    return this.machine.hypervisor.guestGet(this.#slot, address, length);
  }

  write(address: number, bytes: Uint8Array): Promise<void> {
    return this.machine.hypervisor.debugger.guestStore(this.#slot, address, bytes);
  }

  run(wish: RunWish): Promise<void> {
    return this.#next(async () => {
      await this.debuggee.prepare({ ...wish, flags: wish.flags | DebugFlag.Attached });
      await this.machine.hypervisor.guestResume(this.#slot);
    });
  }

  pause(): Promise<void> {
    return this.#next(async () => {
      await this.machine.hypervisor.guestPause(this.#slot);
      await this.debuggee.lift();
      this.events?.stop(0);
    });
  }

  /** The guest stands. */
  detach(): Promise<void> {
    return this.#next(async () => {
      this.machine.hypervisor.off("guestStopped", this.#onStopped);
      this.machine.hypervisor.off("guestEnded", this.#onEnded);
      await this.debuggee.detach();
      await this.machine.hypervisor.guestResume(this.#slot);
    });
  }

  #next(work: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  readonly #onStopped = (...[slot, stop]: HypervisorEvents["guestStopped"]): void => {
    if (slot !== this.#slot) return;
    void this.#next(async () => {
      await this.debuggee.settle();
      this.events?.stop(stop);
    });
  };

  readonly #onEnded = (...[slot]: HypervisorEvents["guestEnded"]): void => {
    if (slot === this.#slot) this.events?.end(`${this.guest.name} ended`, 0);
  };
}
