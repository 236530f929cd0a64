// The guests' part in the hypervisor: a slot from create to destroy, what is put into its RAM, and the events that come from it.
// Below guests.ts, which decides what the events mean.

import { randomBytes } from "node:crypto";
import { EventEmitter } from "node:events";
import { EndReason, GuestLimit, RunState } from "../../../protocol/messages.js";
import { TraceMode } from "../../../protocol/trace.js";
import type { GuestEnd } from "../api/schemas.js";
import { cpuMask } from "../cpulist.js";
import { HvkitError } from "../errors.js";
import { entryFailure } from "../explain/texts.js";
import { hex } from "../hex.js";
import type { HypervisorClient } from "../hypervisor/hypervisor.js";
import type { SavedState } from "../hypervisor/saved.js";
import { describeEnd, endReasonCode } from "../hypervisor/texts.js";
import { loadPlan } from "../images/loader.js";
import type { BootPlan } from "../images/plan.js";
import type { Layout } from "../snapshot/format.js";
import type { Guest, GuestOptions } from "./guest.js";
import type { Host } from "./host.js";
import type { Modules } from "./modules.js";

export interface SlotsEvents {
  paused: [guest: Guest];
  /** for its debugger: DebugStop bits */
  stopped: [guest: Guest, stop: number, rip: bigint];
  /** it ended by itself */
  ended: [guest: Guest, end: GuestEnd, reason: EndReason];
  /** offset: of the first byte in the guest's console log */
  console: [guest: Guest, port: number, offset: number, bytes: Uint8Array];
  consoleLost: [guest: Guest, port: number, count: number];
}

/** of bytes, if no unit is named */
export type Progress = (stage: string, done: number, total: number, unit?: "guests") => void;

/** Fills the RAM of a slot. */
export type Fill = (put: (address: number, bytes: Uint8Array) => Promise<void>) => Promise<void>;

/** that the console of a guest that was ended has to come out */
const LAST_WORDS_MS = 2000;

export class Slots extends EventEmitter<SlotsEvents> {
  readonly #guests = new Map<number, Guest>();
  /** guests that are being ended by us: that they end is no news, but an answer */
  readonly #expected = new Map<Guest, (end: GuestEnd) => void>();

  constructor(
    private readonly host: Host,
    private readonly modules: Modules,
  ) {
    super();
    host.on("up", (hypervisor) => this.#listen(hypervisor));
  }

  /** Makes the guest's slot, fills its RAM and starts it; `onStart` comes just before it runs. `paused`: it has not executed anything yet. When it
   *  fails, nothing stays. */
  async start(guest: Guest, progress: Progress, paused: boolean, onStart: () => void): Promise<void> {
    const times = [performance.now()];
    const plan = await loadPlan(await guest.openImage(), { ...guest.options, tscKhz: this.host.hypervisor.hello.tscKhz });
    guest.setPlan(plan);
    times.push(performance.now());
    await this.modules.steady(() => this.#make(guest, plan, progress, paused, onStart, times));
    const [begin = 0, loaded = 0, created = 0, uploaded = 0, started = 0] = times;
    guest.timings = { load: loaded - begin, create: created - loaded, upload: uploaded - created, start: started - uploaded };
  }

  async #make(guest: Guest, plan: BootPlan, progress: Progress, paused: boolean, onStart: () => void, times: number[]): Promise<void> {
    const { hypervisor } = this.host;
    const machine = await this.modules.current();
    const wallSeconds = Math.floor(Date.now() / 1000);
    const { memoryBytes, cpuModel, affinity = [] } = guest.options;
    const { guest: slot } = await hypervisor.guestCreate({ memoryBytes, wallSeconds, cpuModel, affinity: cpuMask(affinity) });
    this.modules.set(slot, machine);
    this.adopt(guest, slot);
    times.push(performance.now());
    try {
      for (const { what, address, bytes } of plan.placements) {
        await hypervisor.guestPut(slot, address, bytes, (done) => progress(what, done, bytes.length));
      }
      times.push(performance.now());
      if (guest.options.traced) await hypervisor.guestTrace(slot, TraceMode.Ring);
      onStart(); // before the call: it may end before its reply is here
      await hypervisor.guestStart({ guest: slot, kind: plan.kind, block: plan.block, blockBytes: plan.blockBytes, paused });
    } catch (error) {
      await this.destroy(guest).catch(() => {}); // the first error says more
      throw error;
    }
    times.push(performance.now());
  }

  /** A slot with RAM and state, paused, that is no guest's yet; the state is one for a layout. When it fails, nothing stays. */
  load({ memoryBytes, affinity = [] }: GuestOptions, stateFor: (layout: Layout) => SavedState, fill: Fill): Promise<number> {
    return this.modules.steady(async () => {
      const { hypervisor } = this.host;
      const machine = await this.modules.current();
      const state = stateFor(machine.layout);
      const { cpuModel, tscKhz } = state;
      const wallSeconds = Math.floor(Date.now() / 1000);
      const { guest: slot } = await hypervisor.guestCreate({ memoryBytes, wallSeconds, cpuModel, tscKhz, affinity: cpuMask(affinity) });
      this.modules.set(slot, machine);
      try {
        await fill((address, bytes) => hypervisor.guestFill(slot, address, bytes));
        await hypervisor.guestStateLoad(slot, state);
        return slot;
      } catch (error) {
        await hypervisor.guestDestroy(slot).catch(() => {}); // the first error says more
        throw error;
      }
    });
  }

  /** A copy of a slot, paused, that is no guest's yet. It runs on the source's module. */
  copy(source: number): Promise<{ slot: number; generation: bigint }> {
    return this.modules.steady(async () => {
      const machine = this.modules.of(source) ?? (await this.modules.current());
      const entropy = randomBytes(GuestLimit.EntropyBytes);
      const { guest: slot, generation } = await this.host.hypervisor.guestClone({ guest: source, entropy, paused: true });
      this.modules.set(slot, machine);
      return { slot, generation };
    });
  }

  /** A slot that is no guest's goes. */
  async drop(slot: number): Promise<void> {
    const { hypervisor } = this.host;
    await hypervisor.guestKill(slot);
    await hypervisor.guestDestroy(slot);
  }

  /** The slot that load() or copy() made is this guest's, which has none. */
  adopt(guest: Guest, slot: number): void {
    guest.slot = slot;
    this.#guests.set(slot, guest);
  }

  /** The guest stands. False: it had stopped by itself, for its debugger. @throws E_HV_BAD_STATE it has ended */
  async pause(slot: number): Promise<boolean> {
    const { hypervisor } = this.host;
    try {
      await hypervisor.guestPause(slot);
      return true;
    } catch (error) {
      if (!(error instanceof HvkitError) || error.code !== "E_HV_BAD_STATE") throw error;
      const { state } = await hypervisor.guestState(slot);
      if (state !== RunState.Paused) throw error;
      return false;
    }
  }

  /** How it ended: by us, or by itself just before. The event comes after the guest's last words, the reply may come earlier. */
  async kill(guest: Guest, slot: number, end: GuestEnd): Promise<GuestEnd> {
    const ended = new Promise<GuestEnd>((resolve) => this.#expected.set(guest, resolve));
    try {
      const refusal: unknown = await this.host.hypervisor.guestKill(slot).catch((error: unknown) => error);
      const found = await Promise.race([ended, new Promise<undefined>((resolve) => setTimeout(resolve, LAST_WORDS_MS, undefined).unref())]);
      if (!found && refusal !== undefined) throw refusal as Error;
      return found && found.code !== endReasonCode(EndReason.Killed) ? found : { ...end, rip: found?.rip ?? end.rip };
    } finally {
      this.#expected.delete(guest);
    }
  }

  /** The slot is free, and the guest's RAM, whatever state it was in. */
  async destroy(guest: Guest): Promise<void> {
    const { slot } = guest;
    if (slot === undefined) return;
    this.#expected.set(guest, () => {});
    try {
      const { hypervisor } = this.host;
      const { state } = await hypervisor.guestState(slot);
      if (state !== RunState.Ended && state !== RunState.Created) {
        // It may end by itself meanwhile.
        await hypervisor.guestKill(slot).catch((error: { code?: string }) => {
          if (error.code !== "E_HV_BAD_STATE") throw error;
        });
      }
      await hypervisor.guestDestroy(slot);
    } catch (error) {
      if (guest.slot !== undefined) throw error; // else the hypervisor went meanwhile, and the guest with it
    } finally {
      this.#expected.delete(guest);
    }
    this.#guests.delete(slot);
    guest.slot = undefined;
  }

  /** The hypervisor is gone, and all slots with it. */
  clear(): void {
    for (const guest of this.#guests.values()) guest.slot = undefined;
    this.#guests.clear();
  }

  #listen(hypervisor: HypervisorClient): void {
    hypervisor.on("guestState", (slot, state) => {
      const guest = this.#guests.get(slot);
      if (guest && state === RunState.Paused) this.emit("paused", guest);
    });
    hypervisor.on("guestStopped", (slot, stop, rip) => {
      const guest = this.#guests.get(slot);
      if (!guest) return;
      this.emit("paused", guest);
      this.emit("stopped", guest, stop, rip);
    });
    hypervisor.on("guestEnded", (slot, reason, value, rip, failure) => {
      const guest = this.#guests.get(slot);
      if (!guest) return;
      const why = failure && entryFailure(hypervisor.hello.vendor, failure);
      const text = [describeEnd(reason, value), ...(why ? [why.why] : [])].join(" ");
      const end = { code: endReasonCode(reason), text, value: hex(value), rip: hex(rip), ...why };
      const expected = this.#expected.get(guest);
      if (expected) expected(end);
      else this.emit("ended", guest, end, reason);
    });
    hypervisor.on("console", (slot, port, bytes) => {
      const guest = this.#guests.get(slot);
      const log = guest?.logs[port];
      if (!guest || !log) return;
      const offset = log.end;
      const kept = log.append(bytes);
      if (kept > 0) this.emit("console", guest, port, offset, bytes.subarray(0, kept));
      if (kept < bytes.length) this.emit("consoleLost", guest, port, bytes.length - kept);
    });
    hypervisor.on("consoleLost", (slot, port, count) => {
      const guest = this.#guests.get(slot);
      const log = guest?.logs[port];
      if (!guest || !log) return;
      log.lost += count;
      this.emit("consoleLost", guest, port, count);
    });
  }
}
