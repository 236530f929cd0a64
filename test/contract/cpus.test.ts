// Two CPUs and more: all come; guests share them fairly, stay where they may be, move, wake, and stand when core works on them.
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { cpuLoads } from "../../control/src/daemon/cpuload.js";
import { RunState } from "../../protocol/messages.js";
import { Register } from "../../protocol/state.js";
import { hostLoad } from "../support/load.js";
import type { Guest } from "./support/guest.js";
import { Machine } from "./support/machine.js";
import { runShares } from "./support/shares.js";
import { useMachine, within } from "./support/suite.js";
import { onEachEngine } from "./support/targets.js";

/** Affinities. */
const FIRST = 1;
const SECOND = 2;

onEachEngine(
  "several CPUs",
  (target) => {
    const machine = useMachine(target);

    const shares = (guests: readonly Guest[], seconds: number): Promise<number[]> => runShares(machine(), guests, seconds);

    /** The spinners run, and nothing else has work. */
    const spinners = async (count: number, affinity = 0): Promise<Guest[]> => {
      await machine().scrubbed();
      const guests = await Promise.all([...Array(count).keys()].map(() => machine().run("spin", { affinity })));
      for (const guest of guests) await guest.shows("spin: interrupts off", 60);
      return guests;
    };

    /** Whom each CPU has. */
    const homes = async (): Promise<(number | undefined)[]> => (await machine().hypervisor.cpuStat()).cpus.map(({ guest }) => guest);

    const counter = async ({ slot }: Guest): Promise<bigint> =>
      Buffer.from(await machine().hypervisor.guestGet(slot, 0x200000, 8)).readBigUInt64LE();

    test("all come", async () => {
      expect(machine().hypervisor.hello.cpus).toBe(2);
      expect((await machine().hypervisor.cpuStat()).cpus.map(({ index }) => index)).toEqual([0, 1]);
      expect(machine().text.join("\n")).not.toContain("left out");
    });

    test(
      "two guests that spin have a CPU each, and stay on it",
      async () => {
        const guests = await spinners(2);
        for (const share of await shares(guests, 2)) expect(share).toBeGreaterThan(0.9);
        const before = await homes();
        expect([...before].sort()).toEqual(guests.map(({ slot }) => slot).sort());
        await sleep(500);
        expect(await homes()).toEqual(before);
        // On one CPU the translations that it has cached are good from the first entry on.
        const flushes = async (): Promise<bigint[]> =>
          Promise.all(guests.map(async ({ slot }) => (await machine().hypervisor.guestStat(slot)).nestedFlushes));
        const then = await flushes();
        await sleep(500);
        expect(await flushes()).toEqual(then);
        expect(Math.min(...then.map(Number))).toBeGreaterThanOrEqual(1);
      },
      within(target, 90),
    );

    test(
      "each CPU's load is what it does: all of the one that a guest spins on, little of the other",
      async () => {
        const guest = (await spinners(1, SECOND))[0] as Guest;
        const [first, second] = await cpuLoads(machine().hypervisor, within(target, 1));
        expect(first).toMatchObject({ index: 0, guest: undefined });
        expect(first?.loadPercent).toBeLessThan(50);
        expect(second).toMatchObject({ index: 1, guest: guest.slot });
        expect(second?.loadPercent).toBeGreaterThan(95);
        expect(second?.busyNs).toBeGreaterThan(0n);
      },
      within(target, 60),
    );

    test(
      "nine guests share two CPUs within 5%",
      async () => {
        const guests = await spinners(9);
        // Who is on a CPU that the host takes away for a moment is charged for it, and waits for the others afterwards. On a busy host the
        // window is too short for 5% when that is near its ends. Bochs' CPUs have no such moments, nor need as long a window.
        const exact = target.name === "bochs";
        await shares(guests, 1);
        const found = await shares(guests, exact ? 2 : 10);
        const tolerance = exact ? 0.05 : 0.05 * hostLoad();
        const mean = found.reduce((sum, share) => sum + share, 0) / found.length;
        for (const share of found) expect(Math.abs(share / mean - 1), `shares ${found}`).toBeLessThan(tolerance);
        expect(mean).toBeGreaterThan((2 / found.length) * 0.9);
      },
      within(target, 150),
    );

    test(
      "a guest that has run long shares with those that start now",
      async () => {
        const old = (await spinners(1))[0] as Guest;
        await shares([old], 5);
        await Promise.all([machine().run("spin"), machine().run("spin")]);
        expect((await shares([old], 1))[0]).toBeGreaterThan(0.5);
      },
      within(target, 60),
    );

    test(
      "a guest runs where its affinity lets it",
      async () => {
        const [first, second, third] = [...(await spinners(2, SECOND)), ...(await spinners(1))] as [Guest, Guest, Guest];
        const [one = 0, two = 0, three = 0] = await shares([first, second, third], 2);
        // The two share the second CPU, and the third guest has the first one; freely placed, each would have two thirds of a CPU.
        expect(one + two).toBeLessThan(1.2);
        expect(Math.abs(one - two)).toBeLessThan(0.1 * hostLoad());
        expect(three).toBeGreaterThan(0.8);
        for (const guest of [first, second]) {
          expect(await machine().hypervisor.guestState(guest.slot)).toMatchObject({ cpu: 1, affinity: SECOND });
        }
        await expect(machine().run("spin", { affinity: 4 })).rejects.toMatchObject({ code: "E_HV_NO_SUCH_CPU" });
      },
      within(target, 90),
    );

    test(
      "a guest moves to the CPU that has nothing to do, with all that is its own",
      async () => {
        // Two that verify their registers share two CPUs with one that is bound to the first: they move again and again.
        const bound = (await spinners(1, FIRST))[0] as Guest;
        const guests = await Promise.all(
          ["0x1111", "0x2222"].map((pattern) => machine().run("state", { append: `pattern=${pattern} spins=64` })),
        );
        const seen = new Set<number | undefined>();
        await expect
          .poll(
            async () => {
              seen.add((await machine().hypervisor.guestState(guests[0]?.slot ?? 0)).cpu);
              return seen.has(0) && seen.has(1);
            },
            { timeout: within(target, 30), interval: 10 },
          )
          .toBe(true);
        // What a CPU has cached of it is dropped each time that it comes there: before another one could find what is gone from its tables.
        const { nestedFlushes } = await machine().hypervisor.guestStat(guests[0]?.slot ?? 0);
        expect(nestedFlushes).toBeGreaterThanOrEqual(2n);
        for (const guest of guests) {
          await guest.shows("state: round 3 ok", 60);
          expect(guest.console).not.toContain("FAIL");
        }
        expect(bound.end).toBeUndefined();
      },
      within(target, 120),
    );

    test(
      "input wakes a guest that is halted on the other CPU",
      async () => {
        await spinners(1, FIRST);
        const guest = await machine().run("echo", { affinity: SECOND });
        await guest.shows("echo: ready");
        for (let turn = 0; turn < 20; turn++) {
          await guest.write(`<${turn}>`);
          await guest.shows(`<${turn}>`, 5);
        }
        expect((await machine().hypervisor.guestState(guest.slot)).cpu).toBe(1);
      },
      within(target, 60),
    );

    test(
      "core looks at guests that spin on both CPUs, and stops them",
      async () => {
        const guests = await spinners(2);
        for (const guest of guests) {
          const registers = await machine().hypervisor.guestRegisters(guest.slot);
          expect((registers[Register.Rflags] ?? 0n) & 0x200n).toBe(0n);
          expect(registers[Register.Rip]).toBeGreaterThan(0x100000n);
          await machine().hypervisor.guestPause(guest.slot);
          // It stands when the answer is there.
          const then = await counter(guest);
          await sleep(100);
          expect(await counter(guest)).toBe(then);
          expect((await machine().hypervisor.guestState(guest.slot)).state).toBe(RunState.Paused);
          await machine().hypervisor.guestResume(guest.slot);
          await expect.poll(() => counter(guest), { timeout: within(target, 5) }).toBeGreaterThan(then);
        }
      },
      within(target, 60),
    );
  },
  [2],
);

onEachEngine("eight CPUs", (target) => {
  test.runIf(target.name === "qemu")(
    "all come, run guests, and end with the machine",
    async () => {
      const machine = await Machine.start(target, { cpus: 8 });
      try {
        expect(machine.hypervisor.hello.cpus).toBe(8);
        const guests = await Promise.all([...Array(8).keys()].map((cpu) => machine.run("spin", { affinity: 1 << cpu })));
        for (const guest of guests) await guest.shows("spin: interrupts off", 60);
        const homes = (await machine.hypervisor.cpuStat()).cpus.map(({ guest }) => guest);
        expect(homes).toEqual(guests.map(({ slot }) => slot));
        // Each of them runs its guest.
        const counters = (): Promise<bigint[]> =>
          Promise.all(guests.map(async ({ slot }) => (await machine.hypervisor.guestStat(slot)).runNs));
        const then = await counters();
        const ran = async (): Promise<boolean> => (await counters()).every((run, index) => run > (then[index] ?? 0n) + 100_000_000n);
        await expect.poll(ran, { timeout: 30_000 }).toBe(true);
        for (const guest of guests) await guest.remove();

        // Guests that verify all their registers, more than there are CPUs, wherever there is room: each goes on, on one CPU after the other.
        const verifying = await Promise.all(
          [...Array(11).keys()].map((index) => machine.run("state", { append: `pattern=${index + 1} spins=64` })),
        );
        const seen = new Set<number | undefined>();
        const everywhere = async (): Promise<number> => {
          for (const { guest, index } of (await machine.hypervisor.cpuStat()).cpus) if (guest !== undefined) seen.add(index);
          return seen.size;
        };
        await expect.poll(everywhere, { timeout: 30_000, interval: 20 }).toBe(8);
        for (const guest of verifying) {
          await guest.shows("state: round 3 ok", 60);
          expect(guest.console).not.toContain("FAIL");
        }
      } finally {
        await machine.stop();
      }
    },
    120_000,
  );
});
