// How guests share the CPUs: what each of them runs of the hypervisor's own time.
import { setTimeout as sleep } from "node:timers/promises";
import type { Guest } from "./guest.js";
import type { Machine } from "./machine.js";

const NANOSECONDS = 1_000_000_000n;

/** What each guest runs of `seconds` from now on: 1 is a whole CPU. */
export async function runShares({ hypervisor }: Machine, guests: readonly Guest[], seconds: number): Promise<number[]> {
  const look = async (): Promise<{ uptime: bigint; runs: bigint[] }> => ({
    uptime: (await hypervisor.hostStat()).uptimeNs,
    runs: await Promise.all(guests.map(async ({ slot }) => (await hypervisor.guestStat(slot)).runNs)),
  });
  const before = await look();
  for (;;) {
    const after = await look();
    const passed = after.uptime - before.uptime;
    if (passed < BigInt(seconds) * NANOSECONDS) await sleep(100);
    else return after.runs.map((run, index) => Number(run - (before.runs[index] ?? 0n)) / Number(passed));
  }
}
