// A guest that is woken, by its timer or by input, runs at once, though every CPU that may run it has a guest that takes all it gets. How
// late it is, it says itself. Bochs' time, and QEMU's with icount, is that of the instructions: there it is on time. Other engines' CPUs are
// late by themselves where their host is busy: there some alarms must be on time, of which none is when nobody wakes the guest. For
// input, which comes at any moment of a slice, that would say nothing.
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import type { RunOptions } from "./support/machine.js";
import { runShares } from "./support/shares.js";
import { useMachine, within } from "./support/suite.js";
import { onEachEngine } from "./support/targets.js";

/** Well under a slice of sched.asm: all alarms, and half of the inputs, are later than this when they wait for its end. */
const LATE_MS = 2;
/** How many of the alarms may be late: where time is the instructions', and where it is the host's. */
const LATE_ALARMS = 0.05;
const LATE_ALARMS_BUSY = 0.9;
/** And of the inputs, between which and the time that was asked for with them the line's other end may pause. */
const LATE_INPUTS = 0.2;
const PIT_KHZ = 1193.182;
const ALARMS = 150;
const ALARM_COUNTS = 1500;
const INPUTS = 50;
/** Of a sleep between milliseconds of work. */
const MOMENT_COUNTS = 100;

onEachEngine(
  "wake-ups",
  (target) => {
    const exact = target.name === "bochs" || (target.name === "qemu" && target.cpus === 1);
    const machine = useMachine(target, { icount: exact && target.name === "qemu" });
    const khz = (): number => machine().hypervisor.hello.tscKhz;

    /** A guest that spins, on one CPU. */
    const spin = async (cpu: number): Promise<void> => {
      const spinner = await machine().run("spin", { affinity: 1 << cpu });
      await spinner.shows("spin: interrupts off");
    };

    /** How late each of a guest's alarms was, in milliseconds. */
    const alarms = async (options: RunOptions): Promise<number[]> => {
      const guest = await machine().run("alarm", { ...options, append: `counts=${ALARM_COUNTS} rounds=${ALARMS}` });
      const [, slept = ""] = await guest.shows(/alarm: slept ([\d ]+) \.\n/, 60);
      await guest.remove();
      return slept.split(" ").map((ticks) => Number(ticks) / khz() - ALARM_COUNTS / PIT_KHZ);
    };

    /** How late each byte was told to a guest, in milliseconds, against the one that was told soonest. */
    const inputs = async (options: RunOptions): Promise<number[]> => {
      const { hypervisor } = machine();
      const guest = await machine().run("echo", { ...options, append: "stamp=1" });
      await guest.shows("echo: ready");
      const gaps: number[] = [];
      while (gaps.length < INPUTS) {
        // At another moment of the other guest's slice each time.
        await sleep(2 + (gaps.length % 10));
        const from = guest.console.length;
        // The requests are taken up one right after the other: the first one's reply has the time.
        const [{ uptimeNs }] = await Promise.all([hypervisor.hostStat(), guest.write("x")]);
        const [, tsc] = await guest.shows(/x at (\d+)\n/, 20, from);
        gaps.push(Number(tsc) / khz() - Number(uptimeNs) / 1e6);
      }
      await guest.remove();
      const soonest = Math.min(...gaps);
      return gaps.map((gap) => gap - soonest);
    };

    const expectLate = (by: string, delays: readonly number[], limit: number): void => {
      const sorted = delays.toSorted((a, b) => a - b);
      const [middle, most] = [0.5, 0.95].map((part) => sorted[Math.floor(sorted.length * part)]?.toFixed(3));
      const late = delays.filter((delay) => delay > LATE_MS).length / delays.length;
      const text = `woken by ${by}: median ${middle} ms, 95% ${most} ms, ${(late * 100).toFixed(0)}% late`;
      process.stderr.write(`contract: ${target.title}: ${text}\n`);
      expect(late, text).toBeLessThan(limit);
    };

    test(
      "a guest that its timer or input wakes runs at once beside those that spin on every CPU",
      async () => {
        // Of two CPUs it is the one that core's interrupts do not go to.
        const last = target.cpus - 1;
        const affinity = 1 << last;
        await machine().scrubbed();
        for (let cpu = 0; cpu <= last; cpu++) await spin(cpu);
        const limit = exact ? LATE_ALARMS : LATE_ALARMS_BUSY;
        expectLate("its timer", await alarms({ affinity }), limit);
        expectLate("its timer, on any CPU", await alarms({}), limit);
        if (exact) expectLate("input", await inputs({}), LATE_INPUTS);
      },
      within(target, 90),
    );

    test.runIf(exact)(
      "guests that sleep for a moment again and again have their share, and no more",
      async () => {
        const affinity = 1 << (target.cpus - 1);
        await machine().scrubbed();
        const append = `counts=${MOMENT_COUNTS} rounds=200000 busy=${khz()}`;
        const guests = [];
        for (let sleepers = 0; sleepers < 2; sleepers++) guests.push(await machine().run("alarm", { affinity, append }));
        guests.push(await machine().run("spin", { affinity }));
        const found = await runShares(machine(), guests, 1);
        for (const share of found) expect(Math.abs(share * guests.length - 1), `shares ${found}`).toBeLessThan(0.1);
      },
      within(target, 90),
    );
  },
  [1, 2],
);
