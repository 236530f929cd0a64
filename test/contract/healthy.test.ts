// Guests that nothing ails, on two CPUs that exchange them all the time, while others come and go and their frames are scrubbed and given out
// again: each of them goes on. Seconds in CI; a night has long enough for what shows once in a hundred guests.
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { nightly, scaled } from "../support/scale.js";
import type { Guest } from "./support/guest.js";
import { startNeighbour } from "./support/neighbour.js";
import { useMachine, within } from "./support/suite.js";
import { onEachEngine } from "./support/targets.js";

const SECONDS = scaled(1, 1200);
/** with the others more than the CPUs, so that they wait for each other */
const FLOODS = scaled(2, 4);
/** how long one of them is looked at, before it gives way to a new one */
const LIFE_SECONDS = scaled(1, 8);
const FPU_SECONDS = scaled(5, 600);

onEachEngine("healthy guests", (target) => {
  const machine = useMachine(target, { cpus: 2 });
  // A minute on Bochs for what one thread, which runs all of its CPUs, is less likely to show.
  const tooSlow = target.engine === "bochs" && !nightly;
  if (tooSlow) process.stderr.write("contract: healthy guests: bochs is left to the night (HVKIT_NIGHTLY=1): it takes a minute\n");

  test.skipIf(tooSlow)(
    "none of them ends or stands still",
    async () => {
      const neighbour = await startNeighbour(machine());
      const sleepers = [await machine().run("hello64"), await machine().run("hello64")];
      const floods: Guest[] = [];
      const lines = (flood: Guest): number => Number([...flood.console.matchAll(/^(\d+) flood/gm)].at(-1)?.[1] ?? 0);
      const until = Date.now() + SECONDS * 1000;
      // The first ones are looked at too, however slow the engine is.
      for (let turn = 0; Date.now() < until || turn <= FLOODS; turn++) {
        if (floods.length === FLOODS) {
          const [oldest] = floods.splice(0, 1) as [Guest];
          await oldest.shows(new RegExp(`^${lines(oldest) + 1} flood`, "m"), 60);
          expect(oldest.lost).toBe(0);
          await oldest.remove();
        }
        floods.push(await machine().run("flood"));
        await sleep((LIFE_SECONDS * 1000) / FLOODS);
        // A reason, the value and RIP say more than that it ended.
        for (const guest of [...floods, ...sleepers]) expect(guest.end, guest.name).toBeUndefined();
      }
      await neighbour.isUntouched();
      expect(machine().panics).toEqual([]);
    },
    within(target, SECONDS + 90),
  );

  // Bochs never had that defect.
  test.skipIf(tooSlow)(
    "a guest that loads its FPU state all the time does not reach the state of the other CPU",
    async () => {
      const flood = await machine().run("flood", { affinity: 1 });
      for (let more = 0; more < 2; more++) await machine().run("flood", { affinity: 1 });
      const fpu = await machine().run("fpu", { affinity: 2 });
      await fpu.shows("fpu: now");
      await sleep(FPU_SECONDS * 1000);
      const last = Number([...flood.console.matchAll(/^(\d+) flood/gm)].at(-1)?.[1] ?? 0);
      await flood.shows(new RegExp(`^${last + 1} flood`, "m"), 60);
      expect([flood.end, fpu.end]).toEqual([undefined, undefined]);
    },
    within(target, FPU_SECONDS + 90),
  );
});
