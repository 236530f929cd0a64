// Where a guest's time goes: what it ran, was halted, waited and was paused is its life, whatever is done to it.
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import type { GuestStatInfo } from "../../control/src/hypervisor/hypervisor.js";
import { ResumeClock } from "../../protocol/messages.js";
import { TraceMode } from "../../protocol/trace.js";
import { useMachine, within } from "./support/suite.js";
import { onEachEngine } from "./support/targets.js";

/** Running without the handling of exits, that handling, halted, waiting, paused: within 1% of the time since the start. */
function expectWhole({ lifeNs, runNs, haltNs, waitNs, pausedNs, handlingNs }: GuestStatInfo): void {
  const [run, handling, halted, waited, paused, life] = [runNs - handlingNs, handlingNs, haltNs, waitNs, pausedNs, lifeNs].map(Number);
  const sum = (run ?? 0) + (handling ?? 0) + (halted ?? 0) + (waited ?? 0) + (paused ?? 0);
  expect([run, handling, halted, waited, paused].every((part) => (part ?? -1) >= 0)).toBe(true);
  expect(Math.abs(sum / (life ?? 0) - 1)).toBeLessThan(0.01);
}

onEachEngine(
  "a guest's times",
  (target) => {
    const machine = useMachine(target);

    test(
      "are the CPUs' times too, and its exits and interrupts theirs",
      async () => {
        const { hypervisor } = machine();
        type Counts = { runNs: bigint; exits: bigint; injected: bigint };
        const sum = (counts: readonly Counts[]): Counts =>
          counts.reduce(({ runNs, exits, injected }, one) => ({
            runNs: runNs + one.runNs,
            exits: exits + one.exits,
            injected: injected + one.injected,
          }));
        const before = sum((await hypervisor.cpuStat()).cpus);
        const guests = await Promise.all(["hello64", "spin"].map((name) => machine().run(name)));
        await guests[0]?.shows("hello64: tick 2", 30);
        await Promise.all(guests.map(({ slot }) => hypervisor.guestPause(slot)));
        const after = sum((await hypervisor.cpuStat()).cpus);
        const did = sum(await Promise.all(guests.map(({ slot }) => hypervisor.guestStat(slot))));
        expect(after.exits - before.exits).toBe(did.exits);
        expect(after.injected - before.injected).toBe(did.injected);
        expect(Math.abs(Number(after.runNs - before.runNs) / Number(did.runNs) - 1)).toBeLessThan(0.02);
      },
      within(target, 60),
    );

    test(
      "are its life, when it runs, halts, waits and is paused",
      async () => {
        const { hypervisor } = machine();
        const modes = { traceModes: TraceMode.Time, affinity: 1 };
        // Three on one CPU: two that never halt, and one that mostly does.
        const [spinner, other, clock] = [
          await machine().run("spin", modes),
          await machine().run("spin", modes),
          await machine().run("hello64", { ...modes, append: "hz=50" }),
        ];
        await clock.shows("hello64: tick 1", 30);
        const pausedAt = await hypervisor.hostStat();
        await hypervisor.guestPause(spinner.slot);
        await hypervisor.guestPause(clock.slot);
        await sleep(400);
        const between = await hypervisor.hostStat();
        await hypervisor.guestResume(spinner.slot);
        await hypervisor.guestResume(clock.slot, ResumeClock.CatchUp);
        const resumedAt = await hypervisor.hostStat();
        await clock.shows("hello64: tick 2", 30);

        const stats = await Promise.all([spinner, other, clock].map(({ slot }) => hypervisor.guestStat(slot)));
        const [spun, went, ticked] = stats;
        if (!spun || !went || !ticked) throw new Error("no stats");
        for (const stat of stats) expectWhole(stat);
        // By the hypervisor's clock: paused for no longer, and no shorter, than it was.
        for (const { pausedNs } of [spun, ticked]) {
          expect(pausedNs).toBeLessThanOrEqual(resumedAt.uptimeNs - pausedAt.uptimeNs);
          expect(pausedNs).toBeGreaterThan(((between.uptimeNs - pausedAt.uptimeNs) * 8n) / 10n);
        }
        expect(went.pausedNs).toBe(0n);
        // A spinner waits for the other one; who halts hardly runs.
        expect(spun.haltNs).toBe(0n);
        expect(Number(went.waitNs)).toBeGreaterThan(0.2 * Number(went.lifeNs));
        expect(ticked.haltNs).toBeGreaterThan(ticked.runNs);
        expect(ticked.handlingNs).toBeGreaterThan(0n);
        expect(ticked.handlingNs).toBeLessThan(ticked.runNs);

        // Two looks: they all go on, by as much as the clock does.
        const [before, then] = [await hypervisor.guestStat(other.slot), await hypervisor.hostStat()];
        await sleep(300);
        const [now, after] = [await hypervisor.hostStat(), await hypervisor.guestStat(other.slot)];
        expect(after.lifeNs - before.lifeNs).toBeGreaterThanOrEqual(now.uptimeNs - then.uptimeNs);
      },
      within(target, 120),
    );

    test(
      "stand when it has ended",
      async () => {
        const { hypervisor } = machine();
        const [done, killed] = [await machine().run("hello64", { append: "ticks=0" }), await machine().run("hello64")];
        await done.ends();
        await killed.shows("hello64: tick 1", 30);
        await hypervisor.guestKill(killed.slot);
        const before = await Promise.all([done, killed].map(({ slot }) => hypervisor.guestStat(slot)));
        await sleep(200);
        const after = await Promise.all([done, killed].map(({ slot }) => hypervisor.guestStat(slot)));
        expect(after).toEqual(before);
        for (const stat of after) expectWhole(stat);
        expect(after[1]?.lifeNs).toBeGreaterThan(500_000_000n);
      },
      within(target, 60),
    );
  },
  [2],
);
