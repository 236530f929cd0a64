// A guest's clocks against the wall clock: RTC, PIT, TSC and KVM's clock, beside a guest that takes all the time it gets, and over a
// pause. Bochs' machine has a time of its own, fifty million instructions a second: there the hypervisor's clock stands for the wall's.
import { describe, expect, test } from "vitest";
import { ResumeClock } from "../../protocol/messages.js";
import { scaled } from "../support/scale.js";
import type { Guest } from "./support/guest.js";
import { useMachine, within } from "./support/suite.js";
import { onEachEngine } from "./support/targets.js";

/** Seconds by the guest's RTC that are looked at. */
const SECONDS = scaled(12, 60);
const PAUSE_MS = 3000;
/** the limit */
const TOLERANCE = 0.01;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

onEachEngine("time", (target) => {
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

  /** What each clock made of the time from one reading to the other, less `frozen` seconds, as a part of it. */
  const rates = (from: Reading, to: Reading, frozen = 0): Record<string, number> =>
    Object.fromEntries(CLOCKS.map((clock) => [clock, (to[clock] - from[clock]) / (to.wall - from.wall - frozen)]));

  const expectRight = (measured: Record<string, number>, slack = 0): void => {
    for (const clock of CLOCKS) {
      expect(Math.abs((measured[clock] ?? 0) - 1), `${clock} runs at ${measured[clock]} of the wall clock`).toBeLessThan(TOLERANCE + slack);
    }
  };

  describe("a guest's clocks", () => {
    test(
      "agree with the wall clock while another guest spins",
      async () => {
        await machine().run("spin");
        const guest = await machine().run("clock");
        await read(guest);
        const from = await read(guest);
        let to = from;
        while (to.rtc - from.rtc < SECONDS) to = await read(guest);
        expectRight(rates(from, to));
      },
      within(target, 30 + SECONDS * 2),
    );

    test.each([
      ["stood still", ResumeClock.Frozen],
      ["catch up", ResumeClock.CatchUp],
    ])(
      "after a pause: they %s",
      async (_what, clock) => {
        const { hypervisor } = machine();
        // Emulated time flies while a machine is idle.
        await machine().run("spin");
        const guest = await machine().run("clock");
        await read(guest);
        const from = await read(guest);
        await hypervisor.guestPause(guest.slot);
        const paused = await wall();
        do await sleep(100);
        while ((await wall()) - paused < PAUSE_MS / 1000);
        const resumed = await wall();
        await hypervisor.guestResume(guest.slot, clock);
        let to = await read(guest);
        while (to.wall - resumed < SECONDS / 2) to = await read(guest);
        // The pause's own edges are known as well as a request takes.
        expectRight(rates(from, to, clock === ResumeClock.Frozen ? resumed - paused : 0), 0.1 / (to.wall - from.wall));
      },
      within(target, 60 + SECONDS),
    );
  });
});
