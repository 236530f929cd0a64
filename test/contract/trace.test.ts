// A guest's exits, recorded: what the guest did, as its console and its counters tell it; and one image on both vendors.
import { expect, test } from "vitest";
import type { TracedExit } from "../../control/src/api/trace.js";
import { compareTraces } from "../../control/src/trace/diff.js";
import { EndReason } from "../../protocol/messages.js";
import { TraceMode, TraceRing } from "../../protocol/trace.js";
import { tracedExits } from "./support/exits.js";
import { Machine } from "./support/machine.js";
import { useMachine, within } from "./support/suite.js";
import { onBothVendors, onEachEngine } from "./support/targets.js";

const UART = 0x3f8;

/** The bytes that it wrote to COM1, behind the UART's set-up, which is a handful of writes below 20h. */
const written = (exits: readonly TracedExit[]): string =>
  exits
    .filter(({ reason, port, value }) => reason === "io-out" && port === UART && (Number(value) >= 0x20 || value === "0xa"))
    .map(({ value }) => String.fromCharCode(Number(value)))
    .join("");

onEachEngine("trace", (target) => {
  const machine = useMachine(target);

  test(
    "the recorded exits are all that the guest did, from the first to the last",
    async () => {
      const guest = await machine().run("hello64", { append: "ticks=0", traceModes: TraceMode.Ring });
      await guest.ends();
      const { exits, count } = await tracedExits(machine(), guest);
      const stat = await machine().hypervisor.guestStat(guest.slot);
      expect(BigInt(count)).toBe(stat.exits);
      expect(exits.map(({ index }) => index)).toEqual([...Array(count).keys()]);
      expect(written(exits)).toBe(guest.console);
      // The transmitter is empty whenever the guest looks.
      const read = exits.filter(({ port, reason }) => reason === "io-in" && port === UART + 5);
      expect(new Set(read.map(({ value }) => value))).toEqual(new Set(["0x60"]));
      expect(exits.find(({ reason }) => reason === "rdmsr")).toMatchObject({ msr: "0xc0000080", verdict: "resume" });
      expect(exits.at(-1)).toMatchObject({ reason: "io-out", port: 0x604, value: "0x2000", verdict: "stop" });
      expect(exits.slice(0, -1).every(({ verdict }) => verdict === "resume")).toBe(true);
      const times = exits.map(({ timeNs }) => BigInt(timeNs));
      expect(times.every((time, index) => index === 0 || time > (times[index - 1] ?? 0n))).toBe(true);
      expect(times.at(-1)).toBeLessThan(stat.lifeNs);
    },
    within(target, 60),
  );

  test(
    "the ring keeps the last ones, and goes when nobody watches",
    async () => {
      const { hypervisor } = machine();
      const guest = await machine().run("exits", { traceModes: TraceMode.All });
      await guest.ends(60);
      const { count } = await hypervisor.guestTraced(guest.slot);
      const { exits } = await hypervisor.guestTraced(guest.slot, 0);
      expect(count).toBeGreaterThan(5 * 1000);
      expect(exits[0]?.index).toBe(count - TraceRing.Records);
      const last = await tracedExits(machine(), guest, count - 60);
      expect(guest.console.endsWith(written(last.exits))).toBe(true);
      expect(written(last.exits)).toContain("exits: done");
      const watched = await hypervisor.guestStat(guest.slot);
      expect(watched.handlingNs).toBeGreaterThan(0n);
      expect(watched.handlingNs).toBeLessThan(watched.runNs);

      await machine().scrubbed();
      const { freeBytes } = await hypervisor.hostStat();
      await hypervisor.guestTrace(guest.slot, 0);
      const after = await hypervisor.guestStat(guest.slot);
      expect(after.overheadBytes).toBe(watched.overheadBytes - TraceRing.Frames * 4096);
      expect((await hypervisor.hostStat()).freeBytes).toBe(freeBytes + TraceRing.Frames * 4096);
      await expect(hypervisor.guestTraced(guest.slot)).rejects.toMatchObject({ code: "E_HV_NOT_TRACED" });
    },
    within(target, 120),
  );

  test(
    "watching begins and ends while the guest runs, and changes nothing for it",
    async () => {
      const { hypervisor } = machine();
      const guest = await machine().run("state", { append: "spins=64" });
      await guest.shows("state: round 1 ok", 30);
      for (const modes of [TraceMode.Ring, TraceMode.All, TraceMode.Time, TraceMode.Ring, 0]) {
        await hypervisor.guestTrace(guest.slot, modes);
        // The first line may have been under way already.
        const from = guest.console.length;
        await guest.shows(/state: round \d+ ok.*state: round \d+ ok/s, 30, from);
        if (modes & TraceMode.Ring) expect((await hypervisor.guestTraced(guest.slot)).count).toBeGreaterThan(0);
      }
      // What is watched is no part of what is saved.
      await hypervisor.guestTrace(guest.slot, TraceMode.All);
      const copy = await machine().restore(await machine().save(guest));
      expect((await hypervisor.guestStat(copy.slot)).traceModes).toBe(0);
      await hypervisor.guestResume(copy.slot);
      await copy.shows(/state: round \d+ ok/, 30);
      for (const { console, end } of [guest, copy]) {
        expect(console).not.toContain("FAIL");
        expect(end).toBeUndefined();
      }
    },
    within(target, 90),
  );

  test(
    "the exit that ends a guest is the last one",
    async () => {
      const guest = await machine().run("triple", { traceModes: TraceMode.Ring });
      expect((await guest.ends()).reason).toBe(EndReason.TripleFault);
      const { exits } = await tracedExits(machine(), guest);
      expect(exits.at(-1)).toMatchObject({ reason: "triple-fault", verdict: "stop" });
    },
    within(target, 40),
  );
});

onBothVendors("one image on VMX and on SVM", (svm, vmx) => {
  test(
    "does the same; a planted difference is found",
    async () => {
      const record = async (target: typeof svm, append: string): Promise<TracedExit[]> => {
        const machine = await Machine.start(target);
        try {
          const guest = await machine.run("hello64", { append, traceModes: TraceMode.Ring });
          await guest.ends();
          return (await tracedExits(machine, guest)).exits;
        } finally {
          await machine.stop();
        }
      };
      const [a, b, planted] = await Promise.all([
        record(svm, "ticks=0 mark=A"),
        record(vmx, "ticks=0 mark=A"),
        record(svm, "ticks=0 mark=B"),
      ]);
      const same = compareTraces(a, b);
      expect(same.difference).toBeNull();
      expect(same.alike).toBeGreaterThan(150);
      expect(a.length).not.toBe(b.length); // SVM exits for CR4: what one vendor does alone is left out
      const found = compareTraces(planted, b);
      expect(found.difference).toMatchObject({ differs: ["value"], a: { reason: "io-out", value: "0x42" }, b: { value: "0x41" } });
      expect(found.before.at(-1)).toMatchObject({ reason: "io-in", port: UART + 5 });
    },
    within(vmx, 60),
  );
});
