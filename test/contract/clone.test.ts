// Copies of a guest in the middle of what it does: they go on as it does, share with it what neither writes, and give all of it back.
import { expect, test } from "vitest";
import { Carrier } from "../../control/src/hypervisor/carrier.js";
import { digestOf } from "../../control/src/hypervisor/digest.js";
import { EndReason, RunState } from "../../protocol/messages.js";
import { Register } from "../../protocol/state.js";
import type { Guest } from "./support/guest.js";
import type { Machine } from "./support/machine.js";
import { useMachine, within } from "./support/suite.js";
import { onEachEngine, type Target } from "./support/targets.js";

const MIB = 2 ** 20;
const PAGE = 4096;
/** images/hash: what each round shows. */
const hashes = (guest: Guest): Map<number, string> =>
  new Map([...guest.console.matchAll(/round (\d+) ([0-9A-F]{16}) ticks /g)].map(([, round, hash = ""]) => [Number(round), hash]));

/** test/guests/twin: what it says to a command. */
async function ask(guest: Guest, command: string, answer: RegExp): Promise<string[]> {
  const from = guest.console.length;
  await guest.write(command);
  return [...(await guest.shows(answer, 40, from))].slice(1);
}
const sum = async (guest: Guest): Promise<string> => (await ask(guest, "s", /sum (\d+)\n/))[0] ?? "";
const write = (guest: Guest): Promise<string[]> => ask(guest, "w", /wrote (\d+)\n/);
const generation = (guest: Guest): Promise<string[]> => ask(guest, "g", /generation (\d+) entropy ([0-9A-F]{16}) (\S+) (\S+) (\S+)\n/);

/** Rounds that leave time for a request, however busy this machine is: Bochs takes seconds for each. */
const roundsOn = ({ name }: Target): number => (name === "bochs" ? 3 : 10);
const wholeRuns = new Map<string, Map<number, string>>();

/** What the same guest shows that is never copied: the same on each machine of an engine. */
async function wholeRun(machine: Machine): Promise<Map<number, string>> {
  const { name } = machine.target;
  const known = wholeRuns.get(name);
  if (known) return known;
  const guest = await machine.run("hash", { append: `rounds=${roundsOn(machine.target)}` });
  await guest.ends(60);
  const found = hashes(guest);
  wholeRuns.set(name, found);
  return found;
}

onEachEngine(
  "clones",
  (target) => {
    const machine = useMachine(target);

    test(
      "a guest, its copy and the copy's copy go on with the hash of one that was never copied",
      async () => {
        const last = roundsOn(target);
        const expected = await wholeRun(machine());
        const source = await machine().run("hash", { append: `rounds=${last}` });
        await source.shows("round 1 ");
        const { copy } = await machine().clone(source);
        const { copy: second } = await machine().clone(copy);
        for (const guest of [source, copy, second]) await guest.ends(60);
        expect(expected.size).toBe(last);
        expect(hashes(source)).toEqual(expected);
        for (const guest of [copy, second]) {
          expect(hashes(guest).get(last)).toBe(expected.get(last));
          for (const [round, hash] of hashes(guest)) expect({ round, hash }).toEqual({ round, hash: expected.get(round) });
        }
      },
      within(target, 120),
    );

    test(
      "neither sees what the other writes, by itself or by the hypervisor's hand",
      async () => {
        const { hypervisor } = machine();
        const source = await machine().run("twin");
        await source.shows("ready");
        await write(source);
        const before = await sum(source);
        const { copy } = await machine().clone(source);
        expect(await sum(copy)).toBe(before);
        await write(copy);
        const copied = await sum(copy);
        expect(copied).not.toBe(before);
        expect(await sum(source)).toBe(before);
        await write(source);
        await write(source);
        expect(await sum(copy)).toBe(copied);
        const written = await sum(source);
        expect([before, copied]).not.toContain(written);
        // A third one: of the copy, which shares with two.
        const { copy: third } = await machine().clone(copy);
        // The control plane's writes, over a page's end, and its reads, by the window and by the line.
        const text = Buffer.from("the copy's own");
        const at = 3 * MIB - 7;
        await hypervisor.guestPut(third.slot, at, text);
        expect(Buffer.from(await hypervisor.guestGet(third.slot, at, text.length)).equals(text)).toBe(true);
        expect(await hypervisor.guestDigest(third.slot, at, text.length)).toBe(await digestOf(text));
        for (const other of [source, copy]) {
          expect(Buffer.from(await hypervisor.guestGet(other.slot, at, text.length)).equals(text)).toBe(false);
        }
        // A device's: string input.
        for (const [guest, byte] of [
          [third, "3"],
          [copy, "2"],
          [source, "1"],
        ] as const) {
          await guest.write(`p${byte}`);
          expect(await ask(guest, "i", /in (\d+)\n/)).toEqual([String(byte.charCodeAt(0))]);
        }
        for (const [guest, byte] of [
          [third, "3"],
          [copy, "2"],
          [source, "1"],
        ] as const) {
          expect(Buffer.from(await hypervisor.guestGet(guest.slot, 0x180000, 512)).toString()).toBe(byte.repeat(512));
        }
        // By the hypervisor's own eyes it is the same as by the window's.
        for (const guest of [source, copy, third]) {
          await hypervisor.guestPause(guest.slot);
          const ram = await hypervisor.guestGet(guest.slot, 0, 4 * MIB);
          expect(await hypervisor.guestDigest(guest.slot, 0, 4 * MIB)).toBe(await digestOf(ram));
        }
      },
      within(target, 90),
    );

    test(
      "a copy is of one moment, though its source writes on",
      async () => {
        const source = await machine().run("twin");
        await source.shows("ready");
        // Each pass leaves a multiple of the pages' addresses in them. A copy in the middle of one finishes it: what it would have of
        // a later one stays, and the sum is none.
        let addresses = 0n;
        for (let at = 2 * MIB; at < 16 * MIB; at += PAGE) addresses += BigInt(at);
        for (let turn = 0; turn < 3; turn++) {
          await source.write("wwww");
          const { copy } = await machine().clone(source);
          const { copy: second } = await machine().clone(copy);
          for (const guest of [copy, second]) {
            expect(BigInt(await sum(guest)) % addresses).toBe(0n);
            await guest.remove();
          }
        }
      },
      within(target, 60),
    );
  },
  [1, 2],
);

onEachEngine("clones: what they have, and what comes back", (target) => {
  const machine = useMachine(target);

  test(
    "all memory comes back, in whatever order they go; the source loses its nested translations",
    async () => {
      const { hypervisor } = machine();
      await machine().scrubbed();
      const { freeBytes } = await hypervisor.hostStat();
      for (const order of [
        [0, 1, 2],
        [2, 1, 0],
        [1, 0, 2],
      ]) {
        const source = await machine().run("twin", { memory: "8M", append: "size=8" });
        await source.shows("ready");
        const flushes = (await hypervisor.guestStat(source.slot)).nestedFlushes;
        const { copy } = await machine().clone(source);
        await generation(source);
        expect((await hypervisor.guestStat(source.slot)).nestedFlushes).toBeGreaterThan(flushes);
        const stat = await hypervisor.guestStat(copy.slot);
        expect(stat.overheadBytes).toBeLessThanOrEqual(96 * 1024);
        const { copy: second } = await machine().clone(copy);
        await write(copy);
        const { copiedBytes, copyFaults } = await hypervisor.guestStat(copy.slot);
        expect(copiedBytes).toBeGreaterThanOrEqual(6 * MIB - 2 * PAGE);
        expect(copyFaults).toBeGreaterThanOrEqual(BigInt(copiedBytes / PAGE));
        await write(second);
        const guests = [source, copy, second];
        for (const index of order) await guests[index]?.remove();
        expect((await hypervisor.hostStat()).freeBytes).toBe(freeBytes);
      }
    },
    within(target, 90),
  );

  test(
    "what was the last one's is its own again, and is not copied",
    async () => {
      const { hypervisor } = machine();
      const source = await machine().run("twin");
      await source.shows("ready");
      const { copy } = await machine().clone(source);
      await copy.remove();
      await write(source);
      const { copiedBytes, nestedTableBytes } = await hypervisor.guestStat(source.slot);
      expect(copiedBytes).toBe(0);
      expect(nestedTableBytes).toBe(3 * PAGE);
    },
    within(target, 40),
  );

  test(
    "each knows which copy it is, and reads its entropy once",
    async () => {
      const source = await machine().run("twin");
      await source.shows("ready");
      const zeros = "0".repeat(16);
      expect(await generation(source)).toEqual(["0", zeros, zeros, zeros, zeros]);
      const clone = await machine().clone(source, { paused: true });
      expect((await machine().hypervisor.guestState(clone.copy.slot)).state).toBe(RunState.Paused);
      await machine().hypervisor.guestResume(clone.copy.slot);
      const words = new BigUint64Array(Uint8Array.from(clone.entropy).buffer);
      const hex = [...words].map((word) => word.toString(16).toUpperCase().padStart(16, "0"));
      expect(await generation(clone.copy)).toEqual([String(clone.generation), ...hex]);
      expect(await generation(clone.copy)).toEqual([String(clone.generation), zeros, zeros, zeros, zeros]);
      expect((await generation(source))[0]).toBe("0");
      const { copy: second, generation: later } = await machine().clone(clone.copy);
      expect(later).toBeGreaterThan(clone.generation);
      expect((await generation(second))[0]).toBe(String(later));
    },
    within(target, 40),
  );

  test(
    "a copy is saved and restored as any guest is",
    async () => {
      const last = roundsOn(target);
      const source = await machine().run("hash", { append: `rounds=${last}` });
      await source.shows("round 1 ");
      const { copy } = await machine().clone(source);
      const saved = await machine().save(copy);
      await copy.remove();
      const restored = await machine().restore(saved);
      await machine().hypervisor.guestResume(restored.slot);
      await restored.ends(60);
      await source.ends(60);
      expect(hashes(restored).get(last)).toBe(hashes(source).get(last));
      expect(hashes(source).size).toBe(last);
    },
    within(target, 90),
  );

  test(
    "who has ended has no copies",
    async () => {
      const guest = await machine().run("hello64", { append: "ticks=0" });
      await guest.ends();
      await expect(machine().clone(guest)).rejects.toMatchObject({ code: "E_HV_BAD_STATE" });
    },
    within(target, 20),
  );
});

onEachEngine("a storm of clones", (target) => {
  const machine = useMachine(target, { memoryMiB: 64 });

  /** As many as there can be. */
  async function copiesOf(source: Guest): Promise<{ copies: Guest[]; refusal: unknown }> {
    const copies: Guest[] = [];
    for (;;) {
      try {
        copies.push((await machine().clone(source)).copy);
        expect(copies.length).toBeLessThan(300);
      } catch (refusal) {
        return { copies, refusal };
      }
    }
  }

  test(
    "is refused before it harms anybody; when no frame is left, one of them ends and says so, who does not share goes on, and all of it comes back",
    async () => {
      const { hypervisor } = machine();
      await machine().scrubbed();
      const { freeBytes } = await hypervisor.hostStat();
      const neighbour = await machine().run("hash", { append: "rounds=100000" });
      const source = await machine().run("twin");
      await source.shows("ready");
      await write(source);
      const before = await sum(source);
      const { copies, refusal } = await copiesOf(source);
      const guests = [source, ...copies];
      expect(refusal).toMatchObject({ code: "E_HV_NO_MEMORY" });
      expect(guests.length).toBeGreaterThan(6);
      for (const guest of guests) expect(await sum(guest)).toBe(before);
      // Each wants 14 MiB of its own now.
      for (const guest of guests) await guest.write("w");
      await expect.poll(() => guests.filter(({ end }) => end).length, { timeout: within(target, 30) }).toBeGreaterThan(0);
      for (const { end } of guests) if (end) expect(EndReason[end.reason]).toBe("OutOfMemory");
      const round = Number((await neighbour.shows(/round (\d+) (?!.*round)/s))[1]);
      await neighbour.shows(`round ${round + 2} `);
      for (const guest of [...guests, neighbour]) await guest.remove();
      expect((await hypervisor.hostStat()).freeBytes).toBe(freeBytes);
    },
    within(target, 120),
  );

  /** Done, or refused for want of memory; `or`: what it comes to where there is memory. */
  async function orShort(work: Promise<unknown>, or = "done"): Promise<void> {
    const outcome = await work.then(
      () => "done",
      (error: { code?: string }) => error.code,
    );
    expect([or, "E_HV_NO_MEMORY", "E_HV_MEMORY_GONE"]).toContain(outcome);
  }

  // No write of the hypervisor's own, outside of a machine, may find that a page is shared and that no frame is left: that would be its panic. So each
  // gets its pages first, or is to a page that is never shared (hv/asm/share.asm).
  test(
    "leaves core no write that faults: when no frame is left, each is refused, or a guest gives for it, or it needs none",
    async () => {
      const { hypervisor } = machine();
      await machine().scrubbed();
      const { freeBytes } = await hypervisor.hostStat();
      const carrier = await Carrier.make(hypervisor);
      const source = await machine().run("twin");
      await source.shows("ready");
      await write(source);
      const { copies } = await copiesOf(source);
      const [idle, ...writers] = copies;
      if (!idle) throw new Error("no copy was made");
      await hypervisor.guestPause(idle.slot);
      for (const guest of writers) await guest.write("w");
      await expect.poll(() => writers.some(({ end }) => end), { timeout: within(target, 30) }).toBe(true);

      // What is never shared.
      const registers = await hypervisor.guestRegisters(idle.slot);
      await hypervisor.debugger.guestRegistersWrite(idle.slot, [
        [Register.Rax, registers[Register.Rax] ?? 0n],
        [Register.Rip, registers[Register.Rip] ?? 0n],
        [Register.Cr3, registers[Register.Cr3] ?? 0n],
      ]);
      await hypervisor.debugger.guestFpuWrite(idle.slot, await hypervisor.debugger.guestFpu(idle.slot));
      await hypervisor.debugger.guestDebug(idle.slot, { flags: 0, addresses: [], dr7: 0 });
      await hypervisor.consoleWrite(idle.slot, 1, Buffer.alloc(16));

      // Whichever way it goes: a swap of the module, in a message, in many, by the store.
      await carrier.setMoves([]); // a state of zeros, which no machine takes
      await orShort(carrier.swap(idle.slot, 0), "E_HV_RECORD_REFUSED");
      for (let at = 0; at < 8 * MIB; at += 4 * PAGE) await orShort(hypervisor.guestPut(idle.slot, at, Buffer.alloc(64, 1)));
      for (const bytes of [1, PAGE, MIB]) await orShort(hypervisor.guestPut(idle.slot, 8 * MIB, Buffer.alloc(bytes, 2)));

      for (const guest of [source, ...writers, idle]) await guest.remove();
      await carrier.remove();
      expect((await hypervisor.hostStat()).freeBytes).toBe(freeBytes);
    },
    within(target, 120),
  );
});
