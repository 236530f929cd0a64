// All guests of the daemon: found by name or id, moved from state to state by requests and by what the hypervisor tells.
//
//   created --start--> running <--pause/unpause--> paused
//   running --ends--> exited;  --resets itself--> restarting --> running;  hypervisor lost --> lost
//   any --reset--> running (made anew, same name and options);  any --revert--> running (as it was);  exited, lost --rm--> gone
import { EventEmitter } from "node:events";
import { EndReason, type ResumeClock, RunState } from "../../../protocol/messages.js";
import type { GuestDetail, GuestEnd, GuestState } from "../api/schemas.js";
import { HvkitError } from "../errors.js";
import { shorten } from "../shorten.js";
import { ConsoleBudget } from "./consolebudget.js";
import { CONSOLE_LOG_BYTES } from "./consolelog.js";
import { Guest, type GuestImage, type GuestOptions, LIVE } from "./guest.js";
import { attached, killed, requireState } from "./gueststate.js";
import type { Host } from "./host.js";
import type { Log } from "./log.js";
import type { Modules } from "./modules.js";
import { Resets } from "./resets.js";
import { Roster } from "./roster.js";
import { type Progress, Slots } from "./slots.js";

export interface GuestsEvents {
  changed: [guest: Guest];
  removed: [guest: Guest];
  /** it will write no more, until somebody resets it */
  ended: [guest: Guest];
}

/** From where a guest goes on that does not start from its image. */
export interface Beginning {
  snapshot: GuestDetail["snapshot"];
  clone: GuestDetail["clone"];
  lineage: string;
  /** when its clocks stopped, if they catch up with the time since */
  clockAt: Date | undefined;
}

/** A snapshot that was checked, and can be loaded into a slot. */
export interface Origin extends Beginning {
  load: (options: GuestOptions) => Promise<number>;
}

/** A copy of what stands in a slot. */
export interface Copy extends Beginning {
  slot: number;
}

export interface ConsoleLimits {
  /** what one console's log keeps */
  consoleBytes?: number;
  /** what all of them keep together */
  consoleTotalBytes?: number;
}

/** for one more guest */
const NO_ROOM = ["E_HV_NO_MEMORY", "E_HV_NO_SLOT"];
/** characters of why the hypervisor was lost that each of its guests has; `status` and the log have all of it */
const MAX_REASON = 1000;

export class Guests extends EventEmitter<GuestsEvents> {
  readonly #roster = new Roster();
  /** what they have in the hypervisor, and the console bytes from there */
  readonly slots: Slots;
  readonly #budget: ConsoleBudget;
  readonly #resets = new Resets();

  constructor(
    private readonly host: Host,
    modules: Modules,
    private readonly folder: string,
    private readonly log: Log,
    private readonly limits: ConsoleLimits = {},
  ) {
    super();
    this.slots = new Slots(host, modules);
    this.#budget = new ConsoleBudget(limits.consoleTotalBytes);
    this.slots.on("paused", (guest) => {
      if (guest.state === "running") this.#set(guest, "paused");
    });
    this.slots.on("ended", (guest, end, reason) => this.#onEnded(guest, end, reason));
    host.on("lost", ({ reason }) => this.#lose(reason));
    host.on("link", (lost) => {
      for (const guest of this.all()) guest.staleSince = lost?.since;
    });
  }

  all(): Guest[] {
    return this.#roster.all();
  }

  /** By name, id, or a beginning of an id that only one has. */
  find(reference: string): Guest {
    return this.#roster.find(reference);
  }

  /** `paused`: before its first instruction */
  run(image: GuestImage, name: string | undefined, options: GuestOptions, progress: Progress, paused = false): Promise<Guest> {
    return this.#add(image, name, options, (guest) => this.#start(guest, progress, paused));
  }

  /** A new guest that goes on from a snapshot. */
  restore(image: GuestImage, name: string | undefined, options: GuestOptions, origin: Origin, paused: boolean): Promise<Guest> {
    return this.#add(image, name, options, async (guest) => this.#goOn(guest, await origin.load(options), origin, paused));
  }

  /** A new guest that stands where the copy was made. `make`: the name is the guest's by then. */
  copy(image: GuestImage, name: string, options: GuestOptions, make: () => Promise<Copy>): Promise<Guest> {
    return this.#add(image, name, options, async (guest) => {
      const copy = await make();
      await this.#goOn(guest, copy.slot, copy, true);
    });
  }

  isTaken(name: string): boolean {
    return this.#roster.isTaken(name);
  }

  /** The guest goes back. What it is now ends when the other is there, or just before where there is no room for both. */
  revert(guest: Guest, origin: Origin, paused: boolean): Promise<void> {
    return this.#exclusive(guest, async () => {
      this.host.require();
      let slot = await origin.load(guest.options).catch((error: unknown) => {
        if (guest.slot === undefined || !(error instanceof HvkitError) || !NO_ROOM.includes(error.code)) throw error;
        return undefined;
      });
      this.#resets.cancel(guest);
      this.#set(guest, "restarting");
      try {
        await this.slots.destroy(guest);
        slot ??= await origin.load(guest.options);
        await this.#goOn(guest, slot, origin, paused);
      } catch (error) {
        this.#finish(guest, killed("revert-failed", `It could not go back: ${error instanceof Error ? error.message : String(error)}`));
        throw error;
      }
    });
  }

  /** The guest stands still while `work` is done; then it goes on if it did before: if it had not `stood`. */
  standing<T>(guest: Guest, work: (slot: number, stood: boolean) => Promise<T>): Promise<T> {
    return this.#exclusive(guest, () => this.#standing(guest, requireState(guest, ["running", "paused"], "save"), work));
  }

  /** Work on a guest that goes on meanwhile; one that runs under a debugger stands still: what that planted in its memory is taken out. */
  beside<T>(guest: Guest, work: (slot: number) => Promise<T>): Promise<T> {
    return this.#exclusive(guest, () => {
      const slot = requireState(guest, ["running", "paused"], "clone");
      return guest.debuggee ? this.#standing(guest, slot, work) : work(slot);
    });
  }

  /** A debugger's work on a guest, which sets what the guest does from then on. */
  debugging<T>(guest: Guest, work: (slot: number, set: (state: "running" | "paused") => void) => Promise<T>): Promise<T> {
    return this.#exclusive(guest, () => {
      const slot = requireState(guest, ["running", "paused"], "debug");
      return work(slot, (state) => {
        if (guest.state !== state && (guest.state === "running" || guest.state === "paused")) this.#set(guest, state);
      });
    });
  }

  pause(guest: Guest): Promise<void> {
    return this.#exclusive(guest, async () => {
      const slot = requireState(guest, ["running"], "pause");
      await this.host.hypervisor.guestPause(slot);
      if (guest.state === "running") this.#set(guest, "paused");
    });
  }

  unpause(guest: Guest, clock: ResumeClock): Promise<void> {
    return this.#exclusive(guest, async () => {
      const slot = requireState(guest, ["paused"], "unpause");
      if (guest.debuggee) throw attached(guest.name);
      await this.host.hypervisor.guestResume(slot, clock, behindNs(guest));
      guest.savedAt = undefined;
      if (guest.state === "paused") this.#set(guest, "running");
    });
  }

  /** Made anew with the same name and options, whatever its state was. */
  reset(guest: Guest): Promise<void> {
    this.#resets.cancel(guest);
    return this.#exclusive(guest, async () => {
      this.host.require();
      if (guest.state !== "restarting") await guest.openImage(); // refused before anything is ended
      await this.#restart(guest);
    });
  }

  kill(guest: Guest): Promise<void> {
    this.#resets.cancel(guest);
    return this.#exclusive(guest, () => this.#kill(guest, killed("killed", "It was killed.")));
  }

  /** Waits for `seconds` whether it ends by itself; then it is paused and ended. */
  async stop(guest: Guest, seconds: number): Promise<void> {
    if (seconds > 0 && LIVE.includes(guest.state)) await this.#waitForEnd(guest, seconds * 1000);
    this.#resets.cancel(guest);
    await this.#exclusive(guest, async () => {
      if (guest.state === "exited") return;
      if (guest.state === "running" && guest.slot !== undefined) await this.host.hypervisor.guestPause(guest.slot).catch(() => {});
      await this.#kill(guest, killed("stopped", "It was stopped by request."));
    });
  }

  async remove(guest: Guest, force: boolean): Promise<void> {
    if (!force && LIVE.includes(guest.state)) {
      throw new HvkitError("E_GUEST_RUNNING", `guest '${guest.name}' is ${guest.state}`, {
        hint: `Stop it first, or use: hvkit rm -f ${guest.name}`,
      });
    }
    this.#resets.cancel(guest);
    await this.#exclusive(guest, async () => {
      await this.slots.destroy(guest);
      this.#forget(guest);
    });
  }

  /** Nothing is done when it runs again by its turn, or is gone. */
  removeEnded(guest: Guest): Promise<void> {
    return guest.exclusive(async () => {
      if (guest.state !== "exited" || !this.#roster.has(guest)) return;
      await this.slots.destroy(guest);
      this.#forget(guest);
    });
  }

  /** A guest that was made in vain goes, also when the hypervisor went before it. */
  takeBack(guest: Guest): Promise<void> {
    this.#resets.cancel(guest);
    return this.#exclusive(guest, async () => {
      await this.slots.destroy(guest).catch((error: unknown) => this.log.warn({ err: error, guest: guest.name }, "taken back"));
      this.#forget(guest);
    });
  }

  /** Asks the hypervisor whether the guest that runs is halted. */
  async refresh(guest: Guest): Promise<bigint | undefined> {
    if (guest.slot === undefined || this.host.state !== "running") return undefined;
    const { state, rip, cpu } = await this.host.hypervisor.guestState(guest.slot);
    guest.idle = state === RunState.Halted;
    guest.cpu = cpu;
    return rip;
  }

  close(): void {
    for (const guest of this.all()) this.#resets.cancel(guest);
  }

  /** When its turn comes the guest may have been removed, and another may have its name. */
  #exclusive<T>(guest: Guest, operation: () => Promise<T>): Promise<T> {
    return guest.exclusive(async () => {
      this.#roster.require(guest);
      return operation();
    });
  }

  async #standing<T>(guest: Guest, slot: number, work: (slot: number, stood: boolean) => Promise<T>): Promise<T> {
    const { hypervisor } = this.host;
    const goesOn = guest.state !== "paused" && (await this.slots.pause(slot));
    if (guest.state === "running") this.#set(guest, "paused");
    if (!goesOn) {
      // Its debugger may not have heard yet that it stopped, and take out only then what it planted.
      await guest.debuggee?.settle();
      return work(slot, true);
    }
    try {
      await guest.debuggee?.lift();
      return await work(slot, false);
    } finally {
      await guest.debuggee?.plant().catch((error: unknown) => this.log.warn({ err: error, guest: guest.name }, "breakpoints"));
      // A hypervisor that was lost meanwhile took the guest with it, and that is told elsewhere.
      await hypervisor.guestResume(slot).catch((error: unknown) => this.log.warn({ err: error, guest: guest.name }, "resume"));
      if (guest.state === "paused") this.#set(guest, "running");
    }
  }

  async #add(image: GuestImage, name: string | undefined, options: GuestOptions, begin: (guest: Guest) => Promise<void>): Promise<Guest> {
    const free = this.#roster.free(name);
    this.host.require(); // nothing is made while there is none
    const guest = this.#make(free, image, options);
    this.#roster.add(guest);
    this.emit("changed", guest);
    await this.#exclusive(guest, async () => {
      try {
        await begin(guest);
      } catch (error) {
        this.#forget(guest);
        throw error;
      }
    });
    return guest;
  }

  /** The guest gets the slot that was loaded, and goes on. */
  async #goOn(guest: Guest, slot: number, { snapshot, clone, lineage, clockAt }: Beginning, paused: boolean): Promise<void> {
    this.slots.adopt(guest, slot);
    guest.savedAt = paused ? clockAt : undefined;
    Object.assign(guest, { snapshot, clone, lineage, timings: null, placements: [] });
    Object.assign(guest, { end: undefined, endedAt: undefined, startedAt: new Date() });
    this.#set(guest, "paused");
    try {
      if (!paused) await this.host.hypervisor.guestResume(slot);
    } catch (error) {
      await this.slots.destroy(guest).catch(() => {}); // the first error says more
      throw error;
    }
    // The hypervisor tells that it was paused, too, and that it has ended by now, if it has: before the reply.
    if (!paused && guest.state === "paused") this.#set(guest, "running");
    this.log.info({ guest: guest.name, slot, snapshot: snapshot?.name, clone }, "guest goes on");
  }

  #make(name: string, image: GuestImage, options: GuestOptions): Guest {
    const onFailure = (error: unknown): void => this.log.error({ err: error, guest: name }, "console bytes are lost");
    return new Guest(name, image, options, this.folder, {
      limit: this.limits.consoleBytes ?? CONSOLE_LOG_BYTES,
      budget: this.#budget,
      onFailure,
    });
  }

  async #start(guest: Guest, progress: Progress, paused = false): Promise<void> {
    await this.slots.start(guest, progress, paused, () => {
      guest.end = undefined;
      guest.endedAt = undefined;
      guest.startedAt = new Date();
      guest.snapshot = null;
      guest.clone = null;
      this.#set(guest, paused ? "paused" : "running");
    });
    this.log.info({ guest: guest.name, slot: guest.slot, timings: guest.timings }, "guest started");
  }

  async #restart(guest: Guest): Promise<void> {
    this.host.require();
    this.#set(guest, "restarting");
    try {
      await this.slots.destroy(guest);
      guest.savedAt = undefined;
      guest.restarts++;
      await this.#start(guest, () => {});
    } catch (error) {
      this.#finish(
        guest,
        killed("reset-failed", `It could not be started again: ${error instanceof Error ? error.message : String(error)}`),
      );
      throw error;
    }
  }

  async #kill(guest: Guest, end: GuestEnd): Promise<void> {
    if (!LIVE.includes(guest.state)) {
      throw new HvkitError("E_GUEST_NOT_RUNNING", `guest '${guest.name}' is ${guest.state}, not running`, { data: { state: guest.state } });
    }
    this.#finish(guest, guest.slot === undefined ? end : await this.slots.kill(guest, guest.slot, end));
  }

  #onEnded(guest: Guest, end: GuestEnd, reason: EndReason): void {
    this.log.info({ guest: guest.name, end }, "guest ended");
    if (reason !== EndReason.Reset || guest.options.noReboot) {
      this.#finish(guest, end);
      return;
    }
    this.#set(guest, "restarting");
    this.#resets.schedule(guest, () => {
      // By its turn it may have gone back to a snapshot, or been made anew: that came later than its reset.
      this.#exclusive(guest, async () => {
        if (guest.state === "restarting") await this.#restart(guest);
      }).catch((error: unknown) => this.log.error({ err: error, guest: guest.name }, "reset"));
    });
  }

  #lose(reason: string): void {
    this.slots.clear();
    for (const guest of this.all()) {
      this.#resets.cancel(guest);
      guest.staleSince = undefined;
      if (guest.state === "exited" || guest.state === "lost") continue;
      this.#finish(guest, killed("lost", `It went down with the hypervisor: ${shorten(reason, MAX_REASON)}`), "lost");
    }
  }

  #finish(guest: Guest, end: GuestEnd, state: GuestState = "exited"): void {
    guest.end = end;
    guest.endedAt = new Date();
    this.#set(guest, state);
    this.emit("ended", guest);
  }

  #set(guest: Guest, state: GuestState): void {
    guest.pausedAt = state === "paused" ? (guest.pausedAt ?? new Date()) : undefined;
    guest.state = state;
    this.emit("changed", guest);
  }

  #forget(guest: Guest): void {
    this.#roster.remove(guest);
    this.#resets.forget(guest);
    guest.dispose();
    this.emit("removed", guest);
  }

  async #waitForEnd(guest: Guest, ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.off("ended", onEnded);
        resolve();
      };
      const onEnded = (ended: Guest): void => {
        if (ended === guest) done();
      };
      const timer = setTimeout(done, ms);
      this.on("ended", onEnded);
    });
  }
}

/** How far its clocks are behind the wall's, when it was restored and has not gone on yet. A snapshot of the future is of now. */
function behindNs({ savedAt }: Guest): bigint {
  return savedAt === undefined ? 0n : BigInt(Math.max(0, Date.now() - savedAt.getTime())) * 1_000_000n;
}
