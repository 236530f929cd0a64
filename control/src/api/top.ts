// What `hvkit top` speaks of: counters of everything at one moment, and what two of them tell of the time between.
import { z } from "zod";
import { counter, guestState, guestStats, link } from "./schemas.js";

export const counters = z.strictObject({
  vendor: z.string(),
  engine: z.strictObject({ name: z.string(), accel: z.string() }),
  uptimeNs: counter,
  /** runNs: in turns of guests, the handling of their exits with them */
  cpus: z.array(
    z.strictObject({ index: z.int(), idleNs: counter, runNs: counter, exits: counter, injected: counter, guest: z.string().nullable() }),
  ),
  guests: z.array(guestStats),
  link,
});

const percent = z.number();
const rate = z.number();

/** One object of `top --json`. Shares are of the time between two looks; rates are a second. */
export const topSample = z.strictObject({
  vendor: z.string(),
  engine: z.strictObject({ name: z.string(), accel: z.string() }),
  uptimeNs: counter,
  intervalNs: counter,
  /** of a CPU's load, guestsPercent is for guests and the handling of their exits, the rest for the hypervisor's other work */
  cpus: z.array(
    z.strictObject({
      index: z.int(),
      loadPercent: percent,
      guestsPercent: percent,
      exitsPerSecond: rate,
      injectedPerSecond: rate,
      guest: z.string().nullable(),
    }),
  ),
  guests: z.array(
    z.strictObject({
      id: z.string(),
      name: z.string(),
      state: guestState,
      cpu: z.int().nullable(),
      /** in the guest; with the handling of its exits, where that is not timed */
      runPercent: percent,
      /** in the handling of its exits; null: it is not timed */
      hypervisorPercent: percent.nullable(),
      haltPercent: percent,
      waitPercent: percent,
      pausedPercent: percent,
      exitsPerSecond: rate,
      injectedPerSecond: rate,
      /** most frequent first */
      byReason: z.array(z.strictObject({ reason: z.string(), perSecond: rate, count: counter })),
    }),
  ),
  /** since the start: `link` of counters; and what it carried just now */
  link: link.extend({ bytesInPerSecond: rate, bytesOutPerSecond: rate }),
});

export type Counters = z.infer<typeof counters>;
export type TopSample = z.infer<typeof topSample>;
