// What the daemon tells of guests and link while it happens, and keeps for a while: `hvkit events`, `event` notifications.
import { z } from "zod";
import { counter, guestEnd, guestState } from "./schemas.js";

/** of a guest: which, and what it is from then on */
const ofGuest = { guest: z.strictObject({ id: z.string(), name: z.string(), image: z.string() }), state: guestState };
const reason = z.string();
const keptOrLost = z.enum(["kept", "lost"]);

/** `seq` counts from 0, without gaps, in a daemon's life. */
const kind = <T extends string, F extends z.ZodRawShape>(type: T, fields: F) =>
  z.strictObject({ seq: z.int().min(0), at: z.iso.datetime(), type: z.literal(type), ...fields });

export const event = z.discriminatedUnion("type", [
  kind("guest.created", ofGuest),
  /** it is a copy: of a guest, or (`of` is null) of a snapshot; `guest.started` follows */
  kind("guest.cloned", { ...ofGuest, of: z.strictObject({ id: z.string(), name: z.string() }).nullable(), generation: counter }),
  /** from its beginning, after a reset, or from a snapshot; `state`: it runs, or waits for unpause */
  kind("guest.started", ofGuest),
  kind("guest.paused", ofGuest),
  kind("guest.unpaused", ofGuest),
  /** it reset itself, or is reset or reverted: it will be started again */
  kind("guest.restarting", ofGuest),
  /** with interrupts off, for ever; `guest.ended` follows */
  kind("guest.halted", { ...ofGuest, end: guestEnd }),
  /** its machine failed, or the CPU refused to enter it; `guest.ended` follows */
  kind("guest.trapped", { ...ofGuest, end: guestEnd }),
  /** for good, until somebody resets it; `state` lost: it went down with the hypervisor */
  kind("guest.ended", { ...ofGuest, end: guestEnd }),
  /** another machine module handles its exits from then on (hvkit dev --live), by the digest of its sources, in that place */
  kind("guest.swapped", { ...ofGuest, module: z.string(), slot: z.int() }),
  kind("guest.removed", ofGuest),
  /** bytes of a guest's console that nobody had room for */
  kind("console.lost", { ...ofGuest, port: z.int(), count: counter }),
  /** `guests`: lost with it, and the daemon starts the hypervisor again; or kept, where only the line to a machine elsewhere is away */
  kind("link.lost", { reason, guests: keptOrLost }),
  /** `restarts`: how often the hypervisor was started again, since `up` */
  kind("link.back", { restarts: z.int(), guests: keptOrLost }),
  /** it could not be started again: `hvkit down`, `hvkit up` */
  kind("link.failed", { reason }),
  /** so many from `seq` on are not kept any more: for a reader that asked too late */
  kind("events.lost", { count: z.int() }),
]);

/** A part of what is kept: those from number `from` on, oldest first. */
export const eventList = z.strictObject({
  events: z.array(event),
  /** ask for it next */
  next: z.int(),
  /** the next event's number: when `next` is it, there are no more */
  end: z.int(),
});

export type HvkitEvent = z.infer<typeof event>;
export type EventType = HvkitEvent["type"];

/** how many one `events` carries */
export const MAX_EVENTS = 256;
