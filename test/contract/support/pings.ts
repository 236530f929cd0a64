// Is the hypervisor there, all the while? A ping every few milliseconds, and how long each took. The engine shares its CPUs with whatever
// else runs, and answers late when it does not get them: the limit grows with the load that the system reports. Bochs has a clock of its own,
// slower than the wall's when it is busy, and its line with it: there each ping must be answered, and most soon.
import { expect } from "vitest";
import { hostLoad } from "../../support/load.js";
import type { Machine } from "./machine.js";

const PAUSE_MS = 10;
/** what is asked of all but the latest pings, on a machine that has nothing else to do */
const LIMIT_MS = 100;
const ALMOST_ALL = 0.99;
/** the latest one there; the middle one on Bochs */
const PATIENT_MS = 2000;

export interface Pings {
  /** Ends them; almost all came within the limit, and none got lost. */
  areAnswered(): Promise<void>;
}

export async function startPings(machine: Machine): Promise<Pings> {
  const ping = async (): Promise<number> => {
    const start = performance.now();
    await machine.hypervisor.ping();
    const took = performance.now() - start;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    return took;
  };
  const took: number[] = [];
  let done = false;
  const all = (async () => {
    while (!done) took.push(await ping());
  })();
  // Whoever waits hears of it; until then it is nobody's failure.
  all.catch(() => {});
  return {
    async areAnswered() {
      done = true;
      await all;
      const [middle, late, last] = [0.5, ALMOST_ALL, 1].map((part) => quantile(took, part)) as [number, number, number];
      const patience = hostLoad() * machine.target.patience;
      const text = `${took.length} pings: median ${middle.toFixed(1)} ms, 99% ${late.toFixed(1)} ms, longest ${last.toFixed(1)} ms`;
      process.stderr.write(`contract: ${machine.target.title}: ${text}; patience ${patience.toFixed(1)}\n`);
      if (machine.target.engine === "bochs") expect(middle, text).toBeLessThan(PATIENT_MS);
      else {
        expect(late, text).toBeLessThan(LIMIT_MS * patience);
        expect(last, text).toBeLessThan(PATIENT_MS * patience);
      }
    },
  };
}

function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.POSITIVE_INFINITY;
}
