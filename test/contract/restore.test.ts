// A guest that is saved at any moment, ended, and restored as a new one goes on at the very instruction: images/hash prints a hash over all
// that it does, and every line after a restore is the one that it would have printed without.
import { expect, test } from "vitest";
import type { SavedState } from "../../control/src/hypervisor/saved.js";
import { EventBit } from "../../hv/machine/layout.js";
import { RunState } from "../../protocol/messages.js";
import { Register } from "../../protocol/state.js";
import { randomFrom, scaled, seedOf } from "../support/scale.js";
import type { Guest } from "./support/guest.js";
import type { SavedGuest } from "./support/machine.js";
import { startNeighbour } from "./support/neighbour.js";
import { expectHarmless, useMachine, within } from "./support/suite.js";
import { onEachEngine, type Target } from "./support/targets.js";

/** Restores in a mode at least, and at most, to see all moments. */
const LEAST = 6;
const MOST = 60;
const CS_LONG = 0x2000n;
const REP = 0xf3;
const INS = 0x6c;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const register = (state: SavedState, index: Register): bigint => state.registers[index] ?? 0n;

interface Round {
  hash: string;
  ticks: number;
}

/** The hash of each round, and the timer interrupts that it took. */
function rounds(guest: Guest): Map<number, Round> {
  const lines = guest.console.matchAll(/round (\d+) ([0-9A-F]{16}) ticks (\d+) nmis \d+\n/g);
  return new Map([...lines].map(([, round, hash = "", ticks]) => [Number(round), { hash, ticks: Number(ticks) }]));
}

function modeOf(state: SavedState): string {
  if (!(register(state, Register.Cr0) & 1n)) return "real";
  if (register(state, Register.Efer) & 0x400n) return register(state, Register.CsAttributes) & CS_LONG ? "64-bit" : "between";
  return "32-bit";
}

/** What the guest was in the middle of. */
function momentsOf({ ram, state }: SavedGuest): string[] {
  const moments = [modeOf(state)];
  if (state.halted) moments.push("halted");
  const linear = Number(register(state, Register.Rip) + (moments[0] === "real" ? register(state, Register.CsBase) : 0n));
  const [repeat, opcode = 0] = ram.subarray(linear, linear + 2);
  // INS or OUTS, and some of its elements are done (images/hash: BUFFER_BYTES, or half of it).
  if (repeat === REP && (opcode & 0xfc) === INS && register(state, Register.Rcx) % 0x800n !== 0n) moments.push("string I/O");
  return moments;
}

onEachEngine("restore", (target) => {
  const machine = useMachine(target);

  test.each([
    ["64-bit", 1],
    ["32-bit", 2],
    ["real", 4],
  ])(
    "a guest in %s mode, in the middle of string I/O or halted, goes on as if nothing had been",
    async (mode, modes) => {
      const append = `modes=${modes}`;
      const whole = await machine().run("hash", { append });
      let guest = await machine().run("hash", { append });
      await guest.shows("hash: start");
      const wanted = new Set([mode, "halted", "string I/O"]);
      const found = new Map<number, Round>();
      for (let count = 0; count < MOST && (count < LEAST || wanted.size > 0); count++) {
        await sleep(Math.random() * 30 * target.patience);
        const saved = await machine().save(guest);
        for (const moment of momentsOf(saved)) wanted.delete(moment);
        for (const [round, line] of rounds(guest)) found.set(round, line);
        await guest.remove();
        guest = await machine().restore(saved);
        expect((await machine().hypervisor.guestState(guest.slot)).state).toBe(RunState.Paused);
        await machine().hypervisor.guestResume(guest.slot);
      }
      expect([...wanted]).toEqual([]);
      const from = Number((await guest.shows(/round (\d+) /))[1]);
      await guest.shows(`round ${from + 3} `);
      for (const [round, line] of rounds(guest)) found.set(round, line);
      await whole.shows(`round ${from + 4} `, 60);
      const expected = rounds(whole);
      let ticks = 0;
      for (const [round, line] of [...found].sort(([a], [b]) => a - b)) {
        if (round > from + 3) continue;
        expect({ round, hash: line.hash }).toEqual({ round, hash: expected.get(round)?.hash });
        expect(line.ticks).toBeGreaterThanOrEqual(ticks);
        ticks = line.ticks;
      }
      expect(ticks).toBeGreaterThan(0);
    },
    within(target, 120),
  );

  test(
    "an NMI that came while the guest was paused, in HLT, comes after the restore, and once",
    async () => {
      let guest = await machine().run("hash", { append: "modes=1" });
      await guest.shows("hash: start");
      const { hypervisor } = machine();
      const isHalted = async (): Promise<boolean> => {
        await hypervisor.guestPause(guest.slot);
        const state = await hypervisor.guestStateSave(guest.slot);
        if (state.halted && modeOf(state) === "64-bit") return true;
        await hypervisor.guestResume(guest.slot);
        await sleep(Math.random() * 20);
        return false;
      };
      for (let tries = 0; !(await isHalted()); tries++) expect(tries).toBeLessThan(200);
      await hypervisor.guestNmi(guest.slot);
      const saved = await machine().save(guest);
      expect(saved.state.events & EventBit.Nmi).toBe(EventBit.Nmi);
      await guest.remove();
      guest = await machine().restore(saved);
      await hypervisor.guestResume(guest.slot);
      await guest.shows(/nmis 1\n(?:.*\n)*?.*nmis 1\n/, 30);
    },
    within(target, 60),
  );

  test(
    "a damaged state is refused, or harms its own guest at most",
    async () => {
      const seed = seedOf(0x5a5ed);
      const turns = damaged(target);
      const random = randomFrom(seed);
      const neighbour = await startNeighbour(machine());
      const guest = await machine().run("hash");
      await guest.shows("hash: round 2 ");
      const saved = await machine().save(guest);
      await guest.remove();
      let refused = 0;
      for (let turn = 0; turn < turns; turn++) {
        try {
          const broken = await machine().restore({ ...saved, state: damage(saved.state, random) });
          await machine().hypervisor.guestResume(broken.slot);
          await expectHarmless(machine(), broken, 0.05);
          await broken.remove();
        } catch (error) {
          const { code = "" } = error as { code?: string };
          if (!/^E_(STATE|HV_(REGISTER|PART|RECORD)_REFUSED|HV_CPU_LACKS|HV_BAD_REQUEST)$/.test(code)) {
            throw new Error(`HVKIT_SEED=${seed}, turn ${turn}`, { cause: error });
          }
          refused++;
        }
      }
      expect(refused).toBeGreaterThan(0);
      expect(refused).toBeLessThan(turns);
      await neighbour.isUntouched();
    },
    within(target, scaled(120, 900)),
  );
});

/** Damaged states that are tried; Bochs takes seconds for each. */
const damaged = (target: Target): number => scaled(Math.round(20 / target.patience), 400);

/** One to eight bits or words of a state, changed. */
function damage(state: SavedState, random: (below: number) => number): SavedState {
  const word = (): bigint => (BigInt(random(2 ** 32)) << 32n) | BigInt(random(2 ** 32));
  const change = (value: bigint): bigint => (random(2) ? BigInt.asUintN(64, value ^ (1n << BigInt(random(64)))) : word());
  const broken: SavedState = {
    ...state,
    registers: [...state.registers],
    fpu: state.fpu.slice(),
    region: state.region.slice(),
    cpuid: state.cpuid.map((row) => ({ ...row })),
  };
  for (let count = 1 + random(8); count > 0; count--) {
    const index = random(broken.registers.length);
    const row = broken.cpuid[random(broken.cpuid.length)];
    switch (random(7)) {
      case 0:
      case 1:
        broken.registers[index] = change(broken.registers[index] ?? 0n);
        break;
      case 2:
        broken.region[random(broken.region.length)] = random(256);
        break;
      case 3:
        broken.fpu[random(broken.fpu.length)] = random(256);
        break;
      case 4:
        if (row) row.ecx = Number(change(BigInt(row.ecx)) & 0xffffffffn);
        break;
      case 5:
        broken.inject = change(broken.inject);
        break;
      default:
        broken.clockNs = change(broken.clockNs);
        broken.events = random(2 ** 32);
    }
  }
  return broken;
}
