// A guest that is saved at any moment, ended, and restored as a new one goes on at the very instruction: images/hash prints a hash over all
// that it does, and every line after a restore is the one that it would have printed without.
import { expect, test } from "vitest";
import type { SavedState } from "../../control/src/hypervisor/saved.js";
import { readLayout } from "../../control/src/snapshot/layout.js";
import { EventBit } from "../../hv/machine/layout.js";
import { RunState } from "../../protocol/messages.js";
import { Register } from "../../protocol/state.js";
import { randomFrom, scaled, seedOf } from "../support/scale.js";
import type { Guest } from "./support/guest.js";
import { root } from "./support/machine.js";
import { startNeighbour } from "./support/neighbour.js";
import { expectHarmless, useMachine, within } from "./support/suite.js";
import { onEachEngine, type Target } from "./support/targets.js";

/** Restores of a guest at least. */
const LEAST = 3;
/** Looks at a guest, for the moments that are wanted: how long, at most, in seconds. */
const PATIENCE = 60;
const CS_LONG = 0x2000n;
const EFER_LMA = 0x400n;
const RFLAGS_IF = 0x200n;
const REP = 0xf3;
const INS = 0x6c;
const EVENT_VALID = 1n << 31n;
/** XSAVE area (SDM vol. 1, 13.4): XMM registers, XSTATE_BV, upper halves of the YMM registers. */
const XMM = 160;
const XSTATE_BV = 512;
const YMM = 576;
const SSE = 2;
const AVX = 4;
/** CPUID leaf 1, ECX */
const CPUID_AVX = 1 << 28;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const register = (state: SavedState, index: Register): bigint => state.registers[index] ?? 0n;

/** images/hash: what a guest does, and in the middle of what it must have been met. */
const GUESTS: [what: string, modes: number, wanted: string[]][] = [
  ["in 64-bit mode", 1, ["64-bit", "halted", "string I/O", "SSE", "AVX"]],
  ["in 32-bit mode", 2, ["32-bit", "halted", "string I/O", "SSE"]],
  ["in real mode", 4, ["real", "halted", "string I/O", "SSE"]],
  ["of exceptions", 8, ["64-bit", "an event to inject"]],
  ["that holds interrupts back", 16, ["64-bit", "an interrupt that waits"]],
];

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
  if (register(state, Register.Efer) & EFER_LMA) return register(state, Register.CsAttributes) & CS_LONG ? "64-bit" : "between";
  return "32-bit";
}

/** Where a field lies in the state region. */
function offsetOf(record: string, field: string): number {
  const layout = readLayout(root);
  const found = layout.records.find((one) => one.record === record);
  const offset = found?.fields.find(({ name }) => name === field)?.offset;
  if (!found || offset === undefined) throw new Error(`${record}.${field} is not in the layout table`);
  return found.address - layout.region.start + offset;
}

/** What a guest that was restored, and not entered yet, shares with the one that was saved: all but what its first entry sets up,
 *  and the clock, which is looked at apart. */
function lasting(state: SavedState): SavedState {
  const region = state.region.slice();
  region.fill(0, offsetOf("timers", "armed"), offsetOf("timers", "armed") + 8);
  return { ...state, region, events: 0, halted: false, clockNs: 0n };
}

/** Where the guest's next instruction lies: it maps its memory one to one. */
const placeOf = (state: SavedState): number =>
  Number(register(state, Register.Rip) + (modeOf(state) === "real" ? register(state, Register.CsBase) : 0n));

/** What the guest is in the middle of. `code`: its next instruction. */
function momentsOf(state: SavedState, [repeat, opcode = 0]: Uint8Array): string[] {
  const moments = [modeOf(state)];
  const isOpen = (register(state, Register.Rflags) & RFLAGS_IF) !== 0n;
  if (state.halted && isOpen) moments.push("halted");
  // INS or OUTS, and some of its elements are done (images/hash: BUFFER_BYTES, or half of it).
  if (repeat === REP && (opcode & 0xfc) === INS && register(state, Register.Rcx) % 0x800n !== 0n) moments.push("string I/O");
  if (state.inject & EVENT_VALID) moments.push("an event to inject");
  if (state.region[offsetOf("picMaster", "int")] === 1 && !isOpen) moments.push("an interrupt that waits");
  const lives = (from: number, bytes: number): boolean => state.fpu.subarray(from, from + bytes).some((byte) => byte !== 0);
  const inUse = state.fpu[XSTATE_BV] ?? SSE;
  if (inUse & SSE && lives(XMM + 16, 32)) moments.push("SSE");
  if (inUse & AVX && lives(YMM + 8 * 16, 16)) moments.push("AVX");
  return moments;
}

onEachEngine("restore", (target) => {
  const machine = useMachine(target);

  /** A guest that stands, and what it is in the middle of. */
  const look = async ({ slot }: Guest): Promise<{ moments: string[]; state: SavedState }> => {
    const { hypervisor } = machine();
    await hypervisor.guestPause(slot);
    const state = await hypervisor.guestStateSave(slot);
    return { moments: momentsOf(state, await hypervisor.guestGet(slot, placeOf(state), 2)), state };
  };

  test.each(GUESTS)(
    "a guest %s, saved and restored at many moments, goes on as if nothing had been",
    async (_what, modes, demanded) => {
      const seed = seedOf(20_280) + modes;
      const random = randomFrom(seed);
      const { hypervisor } = machine();
      const append = `modes=${modes}`;
      const whole = await machine().run("hash", { append });
      let guest = await machine().run("hash", { append });
      await guest.shows("hash: start");
      const wanted = new Set(demanded);
      const met = new Map<string, number>();
      const found = new Map<number, Round>();
      const until = Date.now() + within(target, PATIENCE);
      for (let restores = 0; Date.now() < until && (restores < LEAST || wanted.size > 0); ) {
        await sleep(random(30 * target.patience));
        const { moments, state } = await look(guest);
        const offersAvx = state.cpuid.some(({ leaf, ecx }) => leaf === 1 && ecx & CPUID_AVX);
        // The emulators' CPUs have it; a real one may not.
        if (target.accel !== "kvm") expect(offersAvx).toBe(true);
        if (!offersAvx) wanted.delete("AVX");
        if (restores >= LEAST && !moments.some((moment) => wanted.has(moment))) {
          await hypervisor.guestResume(guest.slot);
          continue;
        }
        for (const moment of moments) {
          wanted.delete(moment);
          met.set(moment, (met.get(moment) ?? 0) + 1);
        }
        const saved = await machine().save(guest);
        for (const [round, line] of rounds(guest)) found.set(round, line);
        await guest.remove();
        guest = await machine().restore(saved);
        expect((await hypervisor.guestState(guest.slot)).state).toBe(RunState.Paused);
        // It is in the middle of the same before it goes on.
        const again = await hypervisor.guestStateSave(guest.slot);
        expect(lasting(again)).toEqual(lasting(saved.state));
        const late = Number(again.clockNs - saved.state.clockNs);
        expect(late).toBeGreaterThanOrEqual(-1); // nanoseconds of ticks of nanoseconds: each is rounded down
        expect(late).toBeLessThanOrEqual(Math.ceil(1e6 / hypervisor.hello.tscKhz)); // a tick of the TSC
        await hypervisor.guestResume(guest.slot);
        restores++;
      }
      process.stderr.write(`contract: ${target.title}: HVKIT_SEED=${seed - modes}: restored ${JSON.stringify(Object.fromEntries(met))}\n`);
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
    within(target, PATIENCE + 90),
  );

  test(
    "an NMI that came while the guest was paused, in HLT, comes after the restore, and once",
    async () => {
      let guest = await machine().run("hash", { append: "modes=1" });
      await guest.shows("hash: start");
      const random = randomFrom(seedOf(20_281));
      const { hypervisor } = machine();
      const isHalted = async (): Promise<boolean> => {
        await hypervisor.guestPause(guest.slot);
        const state = await hypervisor.guestStateSave(guest.slot);
        if (state.halted && modeOf(state) === "64-bit") return true;
        await hypervisor.guestResume(guest.slot);
        await sleep(random(20));
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
