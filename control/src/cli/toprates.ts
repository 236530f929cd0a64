// Two looks at all counters, made what `hvkit top` shows: shares of the time between them, and rates.
import type { GuestStats } from "../api/schemas.js";
import type { Counters, TopSample } from "../api/top.js";

const NO_CPU = { idleNs: "0", runNs: "0", exits: "0", injected: "0" };

export function topSample(before: Counters, after: Counters): TopSample {
  const passed = since(before.uptimeNs, after.uptimeNs);
  const seconds = passed / 1e9;
  const perSecond = (then: string, now: string): number => (seconds > 0 ? tenth(since(then, now) / seconds) : 0);
  const { vendor, engine, uptimeNs } = after;
  return {
    vendor,
    engine,
    uptimeNs,
    intervalNs: String(passed),
    cpus: after.cpus.map(({ index, guest, ...now }) => {
      const then = before.cpus.find((cpu) => cpu.index === index) ?? NO_CPU;
      return {
        index,
        loadPercent: share(passed - since(then.idleNs, now.idleNs), passed),
        guestsPercent: share(since(then.runNs, now.runNs), passed),
        exitsPerSecond: perSecond(then.exits, now.exits),
        injectedPerSecond: perSecond(then.injected, now.injected),
        guest,
      };
    }),
    guests: after.guests.map((now) => guestRates(before.guests.find(({ id }) => id === now.id) ?? fresh(now), now)),
    link: {
      ...after.link,
      bytesInPerSecond: perSecond(before.link.bytesIn, after.link.bytesIn),
      bytesOutPerSecond: perSecond(before.link.bytesOut, after.link.bytesOut),
    },
  };
}

/** By the guest's own clock of its life: a moment later than the hypervisor's, so that its shares add up. */
function guestRates(before: GuestStats, now: GuestStats): TopSample["guests"][number] {
  // One that was started anew meanwhile counts from 0 again.
  const then = BigInt(now.lifeNs) < BigInt(before.lifeNs) || BigInt(now.exits) < BigInt(before.exits) ? fresh(now) : before;
  const life = since(then.lifeNs, now.lifeNs);
  const seconds = life / 1e9;
  const rate = (was: string, is: string): number => (seconds > 0 ? tenth(since(was, is) / seconds) : 0);
  const handling = now.timed ? since(then.handlingNs, now.handlingNs) : 0;
  return {
    id: now.id,
    name: now.name,
    state: now.state,
    cpu: now.cpu,
    runPercent: share(since(then.runNs, now.runNs) - handling, life),
    hypervisorPercent: now.timed ? share(handling, life) : null,
    haltPercent: share(since(then.haltNs, now.haltNs), life),
    waitPercent: share(since(then.waitNs, now.waitNs), life),
    pausedPercent: share(since(then.pausedNs, now.pausedNs), life),
    exitsPerSecond: rate(then.exits, now.exits),
    injectedPerSecond: rate(then.injected, now.injected),
    byReason: now.byReason
      .map(({ reason, count }) => ({
        reason,
        perSecond: rate(then.byReason.find((row) => row.reason === reason)?.count ?? "0", count),
        count,
      }))
      .sort((a, b) => b.perSecond - a.perSecond),
  };
}

/** As it was before its start. */
function fresh(guest: GuestStats): GuestStats {
  const zero = { exits: "0", injected: "0", runNs: "0", haltNs: "0", waitNs: "0", pausedNs: "0", lifeNs: "0", handlingNs: "0" };
  return { ...guest, ...zero, byReason: [] };
}

const since = (then: string, now: string): number => Math.max(0, Number(BigInt(now) - BigInt(then)));
const tenth = (value: number): number => Math.round(value * 10) / 10;
const share = (part: number, whole: number): number => (whole > 0 ? tenth(Math.min(100, Math.max(0, (100 * part) / whole))) : 0);
