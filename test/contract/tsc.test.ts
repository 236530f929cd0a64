// A guest whose TSC has another rate than the machine's, as one that was saved elsewhere has: its clocks keep their rates. Where the CPU
// scales the TSC nothing exits for it; where it does not, and that is every SVM machine and the older ones with VMX, each RDTSC does.
import { expect, test } from "vitest";
import { ExitReason } from "../../protocol/state.js";
import type { Guest } from "./support/guest.js";
import { useMachine, within } from "./support/suite.js";
import { onEachEngine, type Target } from "./support/targets.js";

/** Bochs' newest CPU but one: VMX with all that hvkit needs, and no TSC scaling. */
const UNSCALED = "cpu: model=broadwell_ult, count=1, ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=1";
const SECONDS = 6;
const TOLERANCE = 0.01;

onEachEngine("a TSC of another rate", (target) => {
  suite(target, target.vendor === "Intel VMX");
  if (target.name === "bochs") suite({ ...target, title: `${target.title} without TSC scaling` }, false, [UNSCALED]);
});

function suite(target: Target, scales: boolean, extra: string[] = []): void {
  const machine = useMachine(target, { extra });

  /** The guest's next line: seconds by its RTC, the TSC, and seconds by KVM's clock. The RTC is polled at 100 Hz. */
  const read = async (guest: Guest): Promise<{ rtc: number; tsc: number; kvm: number }> => {
    const match = await guest.shows(/clock: rtc (\d+) pit \d+ tsc (\d+) kvm (\d+)\n/, 60, guest.console.length);
    return { rtc: Number(match[1]), tsc: Number(match[2]), kvm: Number(match[3]) / 1e9 };
  };

  test.each([0.7, 1.3])(
    `%s of the machine's, on ${target.title}`,
    async (factor) => {
      const { hypervisor } = machine();
      const khz = Math.round(hypervisor.hello.tscKhz * factor);
      const guest = await machine().run("clock", { tscKhz: khz });
      await read(guest);
      const from = await read(guest);
      let to = from;
      while (to.rtc - from.rtc < SECONDS) to = await read(guest);
      const passed = to.rtc - from.rtc;
      expect(Math.abs((to.tsc - from.tsc) / (khz * 1000) / passed - 1)).toBeLessThan(TOLERANCE);
      expect(Math.abs((to.kvm - from.kvm) / passed - 1)).toBeLessThan(TOLERANCE);
      const { byReason } = await hypervisor.guestStat(guest.slot);
      const exits = byReason.get(ExitReason.Rdtsc) ?? 0n;
      if (scales) expect(exits).toBe(0n);
      else expect(exits).toBeGreaterThan(5n);
    },
    within(target, 60),
  );
}
