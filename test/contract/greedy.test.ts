// One copy writes more than there is: it ends, its memory is the others', and they go on.
import { expect, test } from "vitest";
import { EndReason } from "../../protocol/messages.js";
import type { Guest } from "./support/guest.js";
import { useMachine, within } from "./support/suite.js";
import { onEachEngine } from "./support/targets.js";

const MIB = 2 ** 20;
const COPIES = 4;

/** test/guests/twin: its answer to "s". */
async function sum(guest: Guest): Promise<string> {
  const from = guest.console.length;
  await guest.write("s");
  const [, found = ""] = await guest.shows(/sum (\d+)\n/, 40, from);
  return found;
}

onEachEngine(
  "a greedy copy",
  (target) => {
    const machine = useMachine(target, { memoryMiB: 96 });

    test(
      "ends, and nobody else does: idle copies and the source answer, and write, with what it gave",
      async () => {
        const { hypervisor } = machine();
        await machine().scrubbed();
        const { freeBytes: before } = await hypervisor.hostStat();
        const source = await machine().run("twin");
        await source.shows("ready");
        const expected = await sum(source);
        const copies: Guest[] = [];
        for (let count = 0; count < COPIES; count++) copies.push((await machine().clone(source)).copy);
        const [greedy, ...idle] = copies as [Guest, ...Guest[]];

        // A guest takes all that it may have; the rest is not enough for the 14 MiB that a copy writes.
        const { freeBytes } = await hypervisor.hostStat();
        const kept = (1 + COPIES) * MIB;
        let memory = Math.floor(freeBytes / 2 / MIB) * 2;
        let ballast: Guest | undefined;
        for (; !ballast; memory -= 2) {
          ballast = await machine()
            .run("hash", { memory: `${memory}M`, append: "rounds=100000" })
            .catch((error: unknown) => {
              expect(error).toMatchObject({ code: "E_HV_NO_MEMORY" });
              return undefined;
            });
        }
        const left = (await hypervisor.hostStat()).freeBytes;
        expect(left).toBeGreaterThanOrEqual(kept);
        expect(left).toBeLessThan(13 * MIB);

        await greedy.write("w");
        expect(EndReason[(await greedy.ends(60)).reason]).toBe("OutOfMemory");
        expect(greedy.end?.value).toBe(0n);
        for (const guest of [source, ...idle]) expect(await sum(guest)).toBe(expected);
        // All is back but what the greedy one has besides RAM, and the tables that the sums and consoles took.
        await machine().scrubbed();
        expect((await hypervisor.hostStat()).freeBytes).toBeGreaterThan(left - MIB);
        await ballast.shows("round ");

        // What is left of it to look at.
        await expect(hypervisor.guestGet(greedy.slot, 0, 4096)).rejects.toMatchObject({ code: "E_HV_MEMORY_GONE" });
        await expect(hypervisor.guestDigest(greedy.slot, 0, 4096)).rejects.toMatchObject({ code: "E_HV_MEMORY_GONE" });
        await expect(hypervisor.guestPut(greedy.slot, 0, Buffer.from("x"))).rejects.toMatchObject({ code: "E_HV_MEMORY_GONE" });
        expect((await hypervisor.guestRegisters(greedy.slot)).length).toBeGreaterThan(16);

        // The next one is as greedy: it ends as well, and the source is still nobody's prey.
        const [second, ...others] = idle as [Guest, ...Guest[]];
        await second.write("w");
        expect(EndReason[(await second.ends(60)).reason]).toBe("OutOfMemory");
        for (const guest of [source, ...others]) expect(await sum(guest)).toBe(expected);

        for (const guest of [ballast, greedy, source, second, ...others]) await guest.remove();
        expect((await hypervisor.hostStat()).freeBytes).toBe(before);
      },
      within(target, 120),
    );
  },
  [1, 2],
);
