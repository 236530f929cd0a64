// How busy each CPU of the hypervisor is, for `hvkit status`: two looks at its counters, a moment apart.
import { setTimeout as sleep } from "node:timers/promises";
import type { HypervisorClient } from "../hypervisor/hypervisor.js";

const LOOK_MS = 500;

export interface CpuLoad {
  index: number;
  /** since the hypervisor's start */
  idleNs: bigint;
  busyNs: bigint;
  /** in the moment between the looks */
  loadPercent: number;
  /** slot of the guest that is on it */
  guest: number | undefined;
}

export async function cpuLoads(hypervisor: Pick<HypervisorClient, "cpuStat">, lookMs = LOOK_MS): Promise<CpuLoad[]> {
  const before = await hypervisor.cpuStat();
  await sleep(lookMs);
  const after = await hypervisor.cpuStat();
  const passed = Number(after.uptimeNs - before.uptimeNs);
  return after.cpus.map(({ index, idleNs, guest }) => {
    const idled = Number(idleNs - (before.cpus.find((cpu) => cpu.index === index)?.idleNs ?? 0n));
    const load = passed > 0 ? 100 * (1 - idled / passed) : 0;
    // The hypervisor reads its clock before the counters.
    const busyNs = after.uptimeNs > idleNs ? after.uptimeNs - idleNs : 0n;
    return { index, idleNs, busyNs, loadPercent: Math.min(100, Math.max(0, Math.round(load))), guest };
  });
}
