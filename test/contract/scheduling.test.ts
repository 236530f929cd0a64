// Guests beside each other: time is shared, nobody starves, and nobody sees another's registers.
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Guest } from "./support/guest.js";
import { useMachine, within } from "./support/suite.js";
import { onEachEngine } from "./support/targets.js";

const rounds = (guest: Guest): number => Number([...guest.console.matchAll(/state: round (\d+) ok/g)].at(-1)?.[1] ?? 0);

onEachEngine(
  "scheduling",
  (target) => {
    const machine = useMachine(target);

    test(
      "two guests that fill every register do not see each other's",
      async () => {
        const [one, two, three] = await Promise.all([
          machine().run("state", { append: "pattern=0x1111 spins=512" }),
          machine().run("state", { append: "pattern=0xdeadbeef2 spins=700" }),
          machine().run("state", { append: "pattern=3 spins=600" }),
        ]);
        for (const guest of [one, two, three]) await guest.shows("state: round 5 ok", 60);
        for (const guest of [one, two, three]) {
          expect(guest.console).not.toContain("FAIL");
          expect(guest.end).toBeUndefined();
        }
      },
      within(target, 90),
    );

    test(
      "guests that spin with interrupts off starve nobody",
      async () => {
        const spinners = [await machine().run("spin"), await machine().run("spin")];
        const guest = await machine().run("hello64", { append: "ticks=3" });
        await guest.shows("hello64: done", 40);
        const counters = async (): Promise<bigint[]> =>
          Promise.all(
            spinners.map(async ({ slot }) => Buffer.from(await machine().hypervisor.guestGet(slot, 0x200000, 8)).readBigUInt64LE()),
          );
        const before = await counters();
        await expect
          .poll(async () => (await counters()).every((value, index) => value > (before[index] ?? 0n)), { timeout: within(target, 20) })
          .toBe(true);
        const ping = await machine().hypervisor.ping(Buffer.from("still here"));
        expect(Buffer.from(ping).toString()).toBe("still here");
      },
      within(target, 90),
    );

    /** Of a second of the machine's time: what the CPUs idled, and what the guest was halted and ran. */
    const shares = async ({ slot }: Guest): Promise<{ host: number; halted: number; running: number }> => {
      const { hypervisor } = machine();
      const [before, guestBefore] = [await hypervisor.hostStat(), await hypervisor.guestStat(slot)];
      await sleep(1000);
      const [after, guestAfter] = [await hypervisor.hostStat(), await hypervisor.guestStat(slot)];
      const share = (then: bigint, now: bigint): number => Number(now - then) / Number(after.uptimeNs - before.uptimeNs);
      return {
        host: share(before.idleNs, after.idleNs) / target.cpus,
        halted: share(guestBefore.haltNs, guestAfter.haltNs),
        running: share(guestBefore.runNs, guestAfter.runNs),
      };
    };

    test(
      "an idle CPU halts, and a halted guest uses no time",
      async () => {
        const guest = await machine().run("hello64", { append: "hz=20" });
        await guest.shows("hello64: tick 1", 30);
        await machine().scrubbed();
        const idle = await shares(guest);
        expect(idle.host).toBeGreaterThan(0.5);
        expect(idle.halted).toBeGreaterThan(idle.running);
        // The same figures the other way round: they can tell the two apart.
        await guest.remove();
        const spinner = await machine().run("spin");
        await spinner.shows("spin: interrupts off");
        const busy = await shares(spinner);
        expect(busy.host).toBeLessThan(1 - 0.9 / target.cpus);
        expect(busy.halted).toBe(0);
        expect(busy.running).toBeGreaterThan(0.5);
      },
      within(target, 60),
    );

    test(
      "a paused guest stands still until it is resumed",
      async () => {
        const guest = await machine().run("state", { append: "spins=64" });
        await guest.shows("state: round 2 ok", 30);
        await machine().hypervisor.guestPause(guest.slot);
        await sleep(300);
        const then = rounds(guest);
        await sleep(700);
        expect(rounds(guest)).toBe(then);
        await machine().hypervisor.guestResume(guest.slot);
        await guest.shows(`state: round ${then + 2} ok`, 30);
      },
      within(target, 60),
    );

    test(
      "guests come and go, and all their memory comes back",
      async () => {
        await machine().scrubbed();
        const before = await machine().hypervisor.hostStat();
        for (let turn = 0; turn < 4; turn++) {
          const guests = await Promise.all(["hello16", "hello64", "state"].map((name) => machine().run(name)));
          for (const guest of guests) await guest.shows(/\n/, 30);
          await machine().clear();
        }
        await machine().scrubbed();
        const after = await machine().hypervisor.hostStat();
        expect(after.freeBytes).toBe(before.freeBytes);
        expect(after.guests).toBe(0);
      },
      within(target, 90),
    );
  },
  [1, 2],
);
