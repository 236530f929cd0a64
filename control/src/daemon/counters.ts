// The hypervisor's counters as clients see them: a guest's (`stats`), the line's (`status`), all of them at once (`top`).
import { TraceMode } from "../../../protocol/trace.js";
import type { GuestStats, Link } from "../api/schemas.js";
import type { Counters } from "../api/top.js";
import type { HostStatInfo, HypervisorClient } from "../hypervisor/hypervisor.js";
import { exitReasonName, vendorName } from "../hypervisor/texts.js";
import type { Guest } from "./guest.js";
import type { Guests } from "./guests.js";
import type { Host } from "./host.js";

export async function guestCounters(hypervisor: HypervisorClient, guest: Guest, slot: number): Promise<GuestStats> {
  const { byReason, overheadBytes, nestedTableBytes, copiedBytes, traceModes, ...stat } = await hypervisor.guestStat(slot);
  const reasons = [...byReason].sort(([, a], [, b]) => (a < b ? 1 : a > b ? -1 : 0));
  return {
    id: guest.id,
    name: guest.name,
    state: guest.state,
    cpu: guest.cpu ?? null,
    exits: String(stat.exits),
    lifeNs: String(stat.lifeNs),
    runNs: String(stat.runNs),
    haltNs: String(stat.haltNs),
    waitNs: String(stat.waitNs),
    pausedNs: String(stat.pausedNs),
    handlingNs: String(stat.handlingNs),
    timed: (traceModes & TraceMode.Time) !== 0,
    traced: (traceModes & TraceMode.Ring) !== 0,
    vmcsAccesses: String(stat.vmcsAccesses),
    injected: String(stat.injected),
    firstEntryTsc: String(stat.firstEntryTsc),
    haltTsc: String(stat.haltTsc),
    overheadBytes,
    nestedTableBytes,
    nestedFaults: String(stat.nestedFaults),
    nestedFlushes: String(stat.nestedFlushes),
    copyFaults: String(stat.copyFaults),
    copiedBytes,
    byReason: reasons.map(([reason, count]) => ({ reason: exitReasonName(reason), count: String(count) })),
  };
}

export function linkCounters(hypervisor: HypervisorClient, stat: HostStatInfo): Link {
  const here = hypervisor.linkStatistics();
  return {
    bytesIn: String(here.bytesOut),
    bytesOut: String(here.bytesIn),
    framesIn: String(stat.framesIn),
    framesOut: String(stat.framesOut),
    framesBad: String(stat.framesBad),
    replyFramesBad: String(here.framesBad),
    framesResent: String(stat.framesResent),
    requestFramesResent: String(here.framesResent),
    serialOverruns: String(stat.serialOverruns),
  };
}

export async function allCounters(host: Host, guests: Guests): Promise<Counters> {
  const hypervisor = host.require();
  const { booted } = host;
  const { uptimeNs, cpus } = await hypervisor.cpuStat();
  const nameOf = (slot: number | undefined): string | null => guests.all().find((guest) => guest.slot === slot)?.name ?? null;
  const live = await Promise.all(
    guests.all().map(async (guest) => {
      const { slot } = guest;
      if (slot === undefined) return [];
      // One that goes meanwhile is left out.
      await guests.refresh(guest).catch(() => undefined);
      return guestCounters(hypervisor, guest, slot).then(
        (found) => [found],
        () => [],
      );
    }),
  );
  return {
    vendor: vendorName(hypervisor.hello.vendor),
    engine: { name: booted?.engine.name ?? "", accel: booted?.engine.accel ?? "" },
    uptimeNs: String(uptimeNs),
    cpus: cpus.map(({ index, guest, ...cpu }) => ({
      index,
      idleNs: String(cpu.idleNs),
      runNs: String(cpu.runNs),
      exits: String(cpu.exits),
      injected: String(cpu.injected),
      guest: guest === undefined ? null : nameOf(guest),
    })),
    guests: live.flat(),
    link: linkCounters(hypervisor, await hypervisor.hostStat()),
  };
}
