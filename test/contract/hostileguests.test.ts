// Guests that go wrong: each ends with its reason, or runs on in vain, while a neighbour's memory and progress stay what they were.
import { expect, test } from "vitest";
import { nestedPath } from "../../control/src/inspect/nested.js";
import { EndReason, RunState } from "../../protocol/messages.js";
import type { Guest } from "./support/guest.js";
import { startNeighbour } from "./support/neighbour.js";
import { useMachine, within } from "./support/suite.js";
import { onEachEngine } from "./support/targets.js";

const MIB = 2 ** 20;

onEachEngine("hostile guests", (target) => {
  const machine = useMachine(target);

  /** Runs `act` beside a neighbour that must not notice. */
  const beside = async (act: () => Promise<void>): Promise<void> => {
    const neighbour = await startNeighbour(machine());
    await act();
    await neighbour.isUntouched();
  };

  test(
    "a triple fault ends the guest",
    () => beside(async () => expect(await endOf("triple")).toBe(EndReason.TripleFault)),
    within(target, 60),
  );
  test(
    "HLT with interrupts off ends the guest",
    () => beside(async () => expect(await endOf("halted")).toBe(EndReason.HaltedForever)),
    within(target, 60),
  );

  // QEMU 7.2's exit from it leaves the host's paging off: svm_fields.asm keeps guests out of it.
  test(
    "a guest that enables long mode with neither paging nor PAE is the only one that notices",
    () => beside(async () => expect(await endOf("unpaged")).toBe(EndReason.PowerOff)),
    within(target, 60),
  );

  test(
    "a flood on the console holds up the guest that makes it, and loses nothing",
    () =>
      beside(async () => {
        const guest = await machine().run("flood");
        await guest.shows(/\n200 flood/, 60);
        const numbers = [...guest.console.matchAll(/^(\d+) flood/gm)].map((match) => Number(match[1]));
        expect(numbers.slice(0, 200)).toEqual(Array.from({ length: 200 }, (_, index) => index + 1));
        expect(guest.lost).toBe(0);
        const start = Date.now();
        await machine().hypervisor.ping();
        expect(Date.now() - start).toBeLessThan(within(target, 2));
      }),
    within(target, 120),
  );

  test(
    "a dead guest's secret is not found by the next",
    async () => {
      const secret = 0x6b7d_3f21_9c84_e5a6n;
      // In all of the memory that there is, so that the next guest cannot but get some of it.
      const holders: Guest[] = [];
      const hold = () => machine().run("secret", { memory: "64M", append: `secret=0x${secret.toString(16)}` });
      for (let holder = await hold().catch(noMemory); holder && holders.length < 12; holder = await hold().catch(noMemory))
        holders.push(holder);
      expect(holders.length).toBeGreaterThan(0);
      for (const holder of holders) await holder.shows("secret: everywhere", 60);
      const seen = Buffer.from(await machine().hypervisor.guestGet(holders[0]?.slot ?? 0, 32 * 2 ** 20, 8)).readBigUInt64LE();
      expect(seen).toBe(secret);
      for (const holder of holders) await holder.remove();

      const complement = secret ^ 0xffff_ffff_ffff_ffffn;
      for (let turn = 0; turn < 2; turn++) {
        const searcher = await machine().run("search", { memory: "64M", append: `not=0x${complement.toString(16)}` });
        const found = await searcher.shows(/search: (\d+) bytes, found (\d+)\n/, 60);
        expect(Number(found[1])).toBeGreaterThan(60 * 2 ** 20);
        expect(found[2]).toBe("0");
      }
    },
    within(target, 150),
  );

  test("a guest's nested tables lead to the memory that it was given, and nowhere else", async () => {
    const { hypervisor } = machine();
    const { guest, runs } = await hypervisor.guestCreate({ memoryBytes: 6 * MIB, wallSeconds: 0 });
    try {
      for (const address of [0, 2 * MIB + 0x1234, 6 * MIB - 1]) {
        const run = runs.find(({ guestPhysical, bytes }) => address >= guestPhysical && address < guestPhysical + bytes);
        const { root, entries } = await hypervisor.guestNested(guest, address);
        const path = nestedPath(address, BigInt(root), entries);
        expect(path.entries.at(-1)?.flags).toEqual(expect.arrayContaining(["read", "write", "execute", "large"]));
        expect(path.physical).toBe(BigInt((run?.hostPhysical ?? 0) + address - (run?.guestPhysical ?? 0)));
      }
      for (const address of [6 * MIB, 2 ** 30, 2 ** 47, 2 ** 48 - 1]) {
        const { root, entries } = await hypervisor.guestNested(guest, address);
        expect(nestedPath(address, BigInt(root), entries).physical).toBeUndefined();
      }
    } finally {
      await hypervisor.guestDestroy(guest);
    }
  });

  test(
    "an ended guest stays for inspection until it is destroyed, and cannot be started again",
    async () => {
      const guest = await machine().run("triple");
      await guest.ends();
      const state = await machine().hypervisor.guestState(guest.slot);
      expect(state).toMatchObject({ state: RunState.Ended, reason: EndReason.TripleFault });
      expect((await machine().hypervisor.guestRegisters(guest.slot)).length).toBeGreaterThan(70);
      await expect(machine().hypervisor.guestResume(guest.slot)).rejects.toMatchObject({ code: "E_HV_BAD_STATE" });
      await expect(machine().hypervisor.guestPause(guest.slot)).rejects.toMatchObject({ code: "E_HV_BAD_STATE" });
    },
    within(target, 30),
  );

  const noMemory = (error: { code?: string }): undefined => {
    if (error.code !== "E_HV_NO_MEMORY") throw error;
  };

  const endOf = async (name: string): Promise<EndReason> => {
    const guest = await machine().run(name);
    const { reason } = await guest.ends();
    expect(guest.console).toContain(`${name}: now`);
    expect(guest.console).not.toContain("FAIL");
    return reason;
  };
});
