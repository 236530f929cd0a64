// What happens, as events: made of what guests and host tell, numbered, the last ones kept, and given to who subscribed.
import { EventEmitter } from "node:events";
import { EndReason } from "../../../protocol/messages.js";
import { type EventType, type HvkitEvent, MAX_EVENTS } from "../api/events.js";
import type { GuestState } from "../api/schemas.js";
import { endReasonCode, isMachineFault } from "../hypervisor/texts.js";
import { shorten } from "../shorten.js";
import type { Guest } from "./guest.js";
import type { Guests } from "./guests.js";
import type { Host } from "./host.js";
import type { Swaps } from "./swap.js";

const KEPT = 1024;
/** characters; `status` and the log have all of them */
const MAX_REASON = 1000;

type Fields<T extends EventType> = Omit<Extract<HvkitEvent, { type: T }>, "seq" | "at" | "type">;

export class Events extends EventEmitter<{ event: [event: HvkitEvent] }> {
  readonly #kept: HvkitEvent[] = [];
  /** of each guest, what was told last */
  readonly #states = new Map<Guest, GuestState>();
  #end = 0;

  constructor(guests: Guests, host: Host, swaps: Swaps) {
    super();
    guests.on("changed", (guest) => this.#changed(guest));
    guests.on("removed", (guest) => {
      this.#states.delete(guest);
      this.#tell("guest.removed", of(guest));
    });
    guests.slots.on("consoleLost", (guest, port, count) => this.#tell("console.lost", { ...of(guest), port, count: String(count) }));
    swaps.on("swapped", (guest, { identity, slot }) => this.#tell("guest.swapped", { ...of(guest), module: identity, slot }));
    host.on("link", (lost) => {
      if (lost) this.#tell("link.lost", { reason: shorten(lost.reason, MAX_REASON), guests: "kept" });
      else this.#tell("link.back", { restarts: host.restarts, guests: "kept" });
    });
    host.on("state", (state, reason) => {
      if (state === "restarting") this.#tell("link.lost", { reason: shorten(reason ?? "", MAX_REASON), guests: "lost" });
      else if (state === "failed") this.#tell("link.failed", { reason: shorten(reason ?? "", MAX_REASON) });
      else if (state === "running" && host.restarts > 0) this.#tell("link.back", { restarts: host.restarts, guests: "lost" });
    });
  }

  /** number of the next event */
  get end(): number {
    return this.#end;
  }

  /** From number `from` on, as many as one reply carries. */
  since(from: number): { events: HvkitEvent[]; next: number; end: number } {
    const oldest = this.#kept[0]?.seq ?? this.#end;
    const begin = Math.max(from, oldest) - oldest;
    const events = this.#kept.slice(begin, begin + MAX_EVENTS);
    const next = (events.at(-1)?.seq ?? this.#end - 1) + 1;
    const [first] = events;
    if (first && first.seq > from) events.unshift({ seq: from, at: first.at, type: "events.lost", count: first.seq - from });
    return { events, next, end: this.#end };
  }

  #changed(guest: Guest): void {
    const before = this.#states.get(guest);
    const { state } = guest;
    if (state === before) return;
    this.#states.set(guest, state);
    if (state === "created") this.#tell("guest.created", of(guest));
    else if (state === "restarting") this.#tell("guest.restarting", of(guest));
    else if (state === "exited" || state === "lost") this.#ended(guest);
    else if (before !== "running" && before !== "paused") this.#started(guest, before);
    else this.#tell(state === "running" ? "guest.unpaused" : "guest.paused", of(guest));
  }

  #started(guest: Guest, before: GuestState | undefined): void {
    const { clone } = guest;
    if (clone && before === "created") this.#tell("guest.cloned", { ...of(guest), ...clone });
    this.#tell("guest.started", of(guest));
  }

  #ended(guest: Guest): void {
    const { end } = guest;
    if (!end) return;
    if (end.code === endReasonCode(EndReason.HaltedForever)) this.#tell("guest.halted", { ...of(guest), end });
    if (isMachineFault(end.code)) this.#tell("guest.trapped", { ...of(guest), end });
    this.#tell("guest.ended", { ...of(guest), end });
  }

  #tell<T extends EventType>(type: T, fields: Fields<T>): void {
    const event = { seq: this.#end++, at: new Date().toISOString(), type, ...fields } as unknown as HvkitEvent;
    this.#kept.push(event);
    if (this.#kept.length > KEPT) this.#kept.shift();
    this.emit("event", event);
  }
}

const of = ({ id, name, image, state }: Guest) => ({ guest: { id, name, image: image.name }, state });
