import { expect, it } from "vitest";
import { cpuLoads } from "../../../control/src/daemon/cpuload.js";

/** Not looked at here. */
const NOTHING = { runNs: 0n, exits: 0n, injected: 0n };

it("is what a CPU did not idle between two looks", async () => {
  const looks = [
    {
      uptimeNs: 1_000n,
      cpus: [
        { index: 0, idleNs: 900n, ...NOTHING, guest: undefined },
        { index: 2, idleNs: 0n, ...NOTHING, guest: 4 },
      ],
    },
    {
      uptimeNs: 2_000n,
      cpus: [
        { index: 0, idleNs: 1_650n, ...NOTHING, guest: undefined },
        { index: 2, idleNs: 0n, ...NOTHING, guest: 5 },
      ],
    },
  ];
  const loads = await cpuLoads({ cpuStat: async () => looks.shift() ?? { uptimeNs: 0n, cpus: [] } }, 1);
  expect(loads).toEqual([
    { index: 0, idleNs: 1_650n, busyNs: 350n, loadPercent: 25, guest: undefined },
    { index: 2, idleNs: 0n, busyNs: 2_000n, loadPercent: 100, guest: 5 },
  ]);
});

it("is never less than nothing: the clock is read before what a CPU idled", async () => {
  const look = { uptimeNs: 1_000n, cpus: [{ index: 0, idleNs: 1_001n, ...NOTHING, guest: undefined }] };
  expect(await cpuLoads({ cpuStat: async () => look }, 1)).toEqual([
    { index: 0, idleNs: 1_001n, busyNs: 0n, loadPercent: 0, guest: undefined },
  ]);
});
