// A guest moves between the vendors: saved under SVM on QEMU it goes on under VMX on Bochs, and the other way round, with another TSC under it.
import { expect, test } from "vitest";
import { GuestEntryReply, Op } from "../../protocol/messages.js";
import type { Guest } from "./support/guest.js";
import type { Machine } from "./support/machine.js";
import { useMachine, within } from "./support/suite.js";
import { onBothVendors } from "./support/targets.js";

onBothVendors("between vendors", (svm, vmx) => {
  const onSvm = useMachine(svm);
  const onVmx = useMachine(vmx);
  const ways: [string, () => Machine, () => Machine][] = [
    ["SVM to VMX", onSvm, onVmx],
    ["VMX to SVM", onVmx, onSvm],
  ];
  const move = async (guest: Guest, from: Machine, to: Machine): Promise<Guest> => {
    const saved = await from.save(guest);
    await guest.remove();
    const next = await to.restore(saved);
    await to.hypervisor.guestResume(next.slot);
    return next;
  };

  test.each(ways)(
    "%s: the running hash is the one of a guest that never moved",
    async (_way, from, to) => {
      const whole = await from().run("hash", { append: "rounds=60" });
      await whole.shows("hash: done", 120);
      const lines = (guest: Guest): string[] => [...guest.console.matchAll(/round \d+ [0-9A-F]{16}/g)].map(([line]) => line);
      const expected = lines(whole);
      let guest = await from().run("hash");
      await guest.shows("hash: round 3 ");
      let [here, there] = [from, to];
      for (let turn = 0; turn < 4; turn++) {
        guest = await move(guest, here(), there());
        [here, there] = [there, here];
        const round = Number((await guest.shows(/round (\d+) /, 60))[1]);
        await guest.shows(`round ${round + 2} `, 60);
        for (const line of lines(guest)) if (Number(line.split(" ")[1]) <= 60) expect(expected).toContain(line);
      }
    },
    within(vmx, 120),
  );

  test.each(ways)(
    "%s: Linux goes on, its shell answers, and its clocks have gone on by the guest's time",
    async (_way, from, to) => {
      let guest = await from().run("linux", { memory: "96M" });
      await guest.shows("linux:/root# ", 120);
      await guest.write(`while :; do echo "at $(cut -d' ' -f1 /proc/uptime) $(date +%s)."; sleep 1; done\n`);
      await guest.shows(/at [\d.]+ \d+\./, 60);
      const before = await readClocks(guest, from());
      guest = await move(guest, from(), to());
      const after = await readClocks(guest, to(), SECONDS);
      const [real, uptime, date] = (["guest", "uptime", "date"] as const).map((clock) => after[clock] - before[clock]);
      expect(real).toBeGreaterThan(SECONDS - 2);
      expect(Math.abs(uptime - real) / real).toBeLessThan(0.01);
      // date says whole seconds
      expect(Math.abs(date - real)).toBeLessThan(1 + 0.01 * real);
      await guest.write("\x03");
      await guest.write("echo $((6 * 7))-$(uname -m)\n");
      await guest.shows("42-x86_64", 60);
    },
    within(vmx, 240),
  );
});

/** Seconds of the guest's time after the move. */
const SECONDS = 20;

interface Clocks {
  /** as the hypervisor has it, in seconds */
  guest: number;
  uptime: number;
  date: number;
}

/** What the guest's loop says at its `lines`th line from now on, and the guest's time just then. */
async function readClocks(guest: Guest, machine: Machine, lines = 2): Promise<Clocks> {
  let from = guest.console.length;
  let match = await guest.shows(/at ([\d.]+) (\d+)\./, 60, from);
  for (let line = 1; line < lines; line++) {
    from += match.index + match[0].length;
    match = await guest.shows(/at ([\d.]+) (\d+)\./, 60, from);
  }
  const entry = await machine.hypervisor.request(Op.GuestEntry, [guest.slot]);
  return { guest: Number(entry.word(GuestEntryReply.ClockNs)) / 1e9, uptime: Number(match[1]), date: Number(match[2]) };
}
