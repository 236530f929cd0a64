// Guests at random: streams of random instructions in every mode, every port, every MSR. A guest may end as it likes; the hypervisor answers
// all the while, and a neighbour's memory and progress are what they were. A failure names the guest's seed: HVKIT_SEED begins with it.
import { expect, test } from "vitest";
import { EndReason } from "../../protocol/messages.js";
import { scaled, seedOf } from "../support/scale.js";
import { startNeighbour } from "./support/neighbour.js";
import { startPings } from "./support/pings.js";
import { expectHarmless, useMachine, within } from "./support/suite.js";
import { onEachEngine } from "./support/targets.js";

/** mode=N of test/guests/garbage */
const MODES = [
  ...["64-bit", "32-bit", "32-bit with paging", "16-bit protected", "real mode", "CPL 3"],
  ...["32-bit with PAE", "virtual-8086 mode"],
];
/** where garbage counts the pieces that it begins */
const STARTS = 0x2fff0;
const MOST_PIECES = 16_384;
/** An hour a night for all of this file, a minute in CI: two engines, streams and sweeps. */
const SECONDS = scaled(15, 1500);
const SWEEPS = scaled(1, 12);
/** patterns=N of test/guests/sweep: what each MSR is written with. A fault costs most of what a write does. */
const MSR_PATTERNS = scaled(4, 7);
/** of one guest: most have ended by then, or spin */
const GUEST_SECONDS = 0.3;

onEachEngine("guests at random", (target) => {
  const machine = useMachine(target);

  /** Runs `act` beside a neighbour that must not notice, while the hypervisor is asked whether it is there. */
  const beside = async (act: () => Promise<void>): Promise<void> => {
    const neighbour = await startNeighbour(machine());
    const pings = await startPings(machine());
    await act();
    await pings.areAnswered();
    await neighbour.isUntouched();
    expect(machine().panics).toEqual([]);
  };

  test(
    "random instructions in every mode",
    () =>
      beside(async () => {
        const starts = MODES.map(() => 0);
        const ends: Record<string, number> = {};
        const until = Date.now() + SECONDS * 1000;
        const first = seedOf(20_262);
        let seed = first;
        // An even seed keeps a guest's accesses in its RAM, an odd one lets them go anywhere: each at least once.
        for (; Date.now() < until || seed < first + 2; seed++) {
          // All modes side by side: they are each other's neighbours too.
          const round: (() => Promise<void>)[] = [];
          for (const [mode, name] of MODES.entries()) {
            const append = `seed=${seed} mode=${mode}`;
            const named = (error: Error): never => {
              throw new Error(`${append} (${name}): ${error.message}`, { cause: error });
            };
            const guest = await machine().run("garbage", { append }).catch(named);
            const look = async (): Promise<void> => {
              await guest.shows("garbage: now");
              await expectHarmless(machine(), guest, GUEST_SECONDS);
              const begun = Buffer.from(await machine().hypervisor.guestGet(guest.slot, STARTS, 4)).readUInt32LE();
              // A piece may write over the count.
              starts[mode] = (starts[mode] ?? 0) + (begun > MOST_PIECES ? 1 : begun);
              const end = EndReason[guest.end?.reason ?? EndReason.None] ?? "";
              ends[end] = (ends[end] ?? 0) + 1;
              await guest.remove();
            };
            round.push(() => look().catch(named));
          }
          await Promise.all(round.map((look) => look()));
        }
        const text = MODES.map((name, mode) => `${starts[mode]} of ${name}`).join(", ");
        process.stderr.write(
          `contract: ${target.title}: seeds ${first} to ${seed - 1}, pieces begun: ${text}; ends: ${JSON.stringify(ends)}\n`,
        );
        for (const [mode, name] of MODES.entries()) expect(starts[mode], name).toBeGreaterThan(1);
      }),
    within(target, SECONDS + 120),
  );

  test(
    "every port by each width in both directions, every MSR of the three ranges",
    () =>
      beside(async () => {
        for (let sweep = 0; sweep < SWEEPS; sweep++) {
          const append = `seed=${seedOf(20_264) + sweep} patterns=${MSR_PATTERNS}`;
          const guest = await machine().run("sweep", { append });
          await guest.shows("sweep: ports", 120).catch((error: Error) => {
            throw new Error(`${append}: ${error.message}`, { cause: error });
          });
          const [, there] = await guest.shows(/sweep: msrs, there are (\d+)\n/, 120);
          expect(Number(there)).toBeGreaterThan(10);
          expect((await guest.ends()).reason).toBe(EndReason.PowerOff);
          await guest.remove();
        }
      }),
    within(target, SWEEPS * 240 + 60),
  );
});
