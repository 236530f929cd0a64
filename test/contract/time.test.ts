// A guest's clocks against the wall clock: RTC, PIT, TSC and KVM's clock, beside guests that take all the time they get, on one CPU and on
// two, over a pause and over a restore. Bochs' machine has a time of its own, fifty million instructions a second: there the hypervisor's clock stands for the wall's.
import { describe, expect, test } from "vitest";
import { ResumeClock } from "../../protocol/messages.js";
import { Register } from "../../protocol/state.js";
import { scaled } from "../support/scale.js";
import type { Guest } from "./support/guest.js";
import { useMachine, within } from "./support/suite.js";
import { onEachEngine } from "./support/targets.js";

/** Seconds by the guest's RTC that are looked at. */
const SECONDS = scaled(12, 60);
const PAUSE_MS = 3000;
/** Lines that are looked at before and after a pause, one a second. */
const READINGS = scaled(3, 10);
/** the limit */
const TOLERANCE = 0.01;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

onEachEngine(
  "time",
  (target) => {
    const machine = useMachine(target);

    /** Seconds of the wall clock, or of what stands for it, and when they were asked for. */
    const wall = async (): Promise<number> =>
      target.name === "bochs" ? Number((await machine().hypervisor.hostStat()).uptimeNs) / 1e9 : performance.now() / 1000;

    interface Reading {
      wall: number;
      rtc: number;
      pit: number;
      tsc: number;
      kvm: number;
    }

    /** All of the guest's clocks in seconds, right after its RTC went on to another second, with the wall clock of that moment. */
    const read = async (guest: Guest): Promise<Reading> => {
      const match = await guest.shows(/clock: rtc (\d+) pit (\d+) tsc (\d+) kvm (\d+)\n/, 60, guest.console.length);
      const now = await wall();
      const [rtc = 0, pit = 0, tsc = 0, kvm = 0] = match.slice(1).map(Number);
      return { wall: now, rtc, pit: pit / 100, tsc: tsc / (machine().hypervisor.hello.tscKhz * 1000), kvm: kvm / 1e9 };
    };

    const CLOCKS = ["rtc", "pit", "tsc", "kvm"] as const;

    /** How many seconds a clock is behind the wall clock, but for a constant, and when it was found to be. */
    interface Behind {
      by: number;
      wall: number;
    }

    /** Of several readings: a line that comes late makes a clock look further behind, and so the least is the truest. */
    const behind = async (guest: Guest): Promise<Record<string, Behind>> => {
      const least: Record<string, Behind> = {};
      for (let count = 0; count < READINGS; count++) {
        const reading = await read(guest);
        for (const clock of CLOCKS) {
          const by = reading.wall - reading[clock];
          if (by < (least[clock]?.by ?? Number.POSITIVE_INFINITY)) least[clock] = { by, wall: reading.wall };
        }
      }
      return least;
    };

    /** The wall clock before something and after it. */
    const around = async (act: () => Promise<unknown>): Promise<[before: number, after: number]> => {
      const before = await wall();
      await act();
      return [before, await wall()];
    };

    /** On a machine that has something to do: emulated time flies while it is idle. */
    const startClock = async (): Promise<{ guest: Guest; from: number; before: Record<string, Behind> }> => {
      for (let cpu = 0; cpu < target.cpus; cpu++) await machine().run("spin");
      const guest = await machine().run("clock");
      await read(guest);
      const from = await wall();
      return { guest, from, before: await behind(guest) };
    };

    describe("a guest's clocks", () => {
      test(
        "agree with the wall clock while another guest spins",
        async () => {
          const { guest, from, before } = await startClock();
          // Bochs' CPUs take turns: a second of its time takes two.
          const seconds = target.name === "bochs" ? SECONDS / target.cpus : SECONDS;
          while ((await wall()) - from < seconds - READINGS) await sleep(100);
          const after = await behind(guest);
          for (const clock of CLOCKS) {
            const [then, now] = [before[clock], after[clock]] as [Behind, Behind];
            const lost = (now.by - then.by) / (now.wall - then.wall);
            expect(Math.abs(lost), `${clock} runs at ${1 - lost} of the wall clock`).toBeLessThan(TOLERANCE);
          }
        },
        within(target, 30 + SECONDS * 2),
      );

      /** `least` and `most`: what the pause may have put the clocks behind by, from when it was asked for to when it was done. */
      const expectBehind = async (
        guest: Guest,
        before: Record<string, Behind>,
        least: number,
        most: number,
        from: number,
      ): Promise<void> => {
        const after = await behind(guest);
        const slack = TOLERANCE * ((await wall()) - from);
        for (const clock of CLOCKS) {
          const more = (after[clock]?.by ?? 0) - (before[clock]?.by ?? 0);
          expect(more, `${clock} is behind by ${more} s, of ${least} to ${most}`).toBeGreaterThan(least - slack);
          expect(more, `${clock} is behind by ${more} s, of ${least} to ${most}`).toBeLessThan(most + slack);
        }
      };
      const passes = async (since: number): Promise<void> => {
        do await sleep(100);
        while ((await wall()) - since < PAUSE_MS / 1000);
      };

      // What a CPU does with a pause does not depend on how many there are; a restored guest begins on either.
      test.skipIf(target.cpus > 1).each([
        ["stood still", ResumeClock.Frozen],
        ["catch up", ResumeClock.CatchUp],
      ])(
        "after a pause: they %s",
        async (_what, clock) => {
          const { hypervisor } = machine();
          const { guest, from, before } = await startClock();
          const [first, paused] = await around(() => hypervisor.guestPause(guest.slot));
          const stands = await hypervisor.guestStateSave(guest.slot);
          await passes(paused);
          const { clockNs, registers } = await hypervisor.guestStateSave(guest.slot);
          expect({ clockNs, tsc: registers[Register.Tsc] }).toEqual({ clockNs: stands.clockNs, tsc: stands.registers[Register.Tsc] });
          const [resumed, last] = await around(() => hypervisor.guestResume(guest.slot, clock));
          const [least, most] = clock === ResumeClock.CatchUp ? [0, 0] : [resumed - paused, last - first];
          await expectBehind(guest, before, least, most, from);
        },
        within(target, 60 + SECONDS),
      );

      test.skipIf(target.cpus === 1)(
        "after a restore: they catch up with the time since it was saved",
        async () => {
          const { hypervisor } = machine();
          const { guest: old, from, before } = await startClock();
          const [first, paused] = await around(() => hypervisor.guestPause(old.slot));
          const saved = await machine().save(old);
          await old.remove();
          const guest = await machine().restore(saved);
          await passes(paused);
          const resumes = await wall();
          const behindNs = BigInt(Math.round((resumes - paused) * 1e9));
          await hypervisor.guestResume(guest.slot, ResumeClock.CatchUp, behindNs);
          const last = await wall();
          await expectBehind(guest, before, 0, last - resumes + (paused - first), from);
        },
        within(target, 60 + SECONDS),
      );
    });
  },
  [1, 2],
);
