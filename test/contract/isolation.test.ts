// What a broken module can do: a machine's trap ends its own guest, with a reason; its imports refuse bad arguments; a trap in core is a
// panic with a report. Runs the build variant `hostile` (test/hostile).
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { describeEnd } from "../../control/src/hypervisor/texts.js";
import { EndReason, type GuestKind, type Op, RunState } from "../../protocol/messages.js";
import { TraceMode } from "../../protocol/trace.js";
import { build } from "../../scripts/lib/build.mjs";
import { tracedExits } from "./support/exits.js";
import { Machine } from "./support/machine.js";
import { type Neighbour, startNeighbour } from "./support/neighbour.js";
import { expectHarmless, useMachine, within } from "./support/suite.js";
import { onEachEngine, type Target } from "./support/targets.js";

/** The numbers of test/hostile/attacks.ts, and how the guest ends. */
const attacks: [attack: number, what: string, reason: EndReason][] = [
  [1, "a load beyond the memory", EndReason.TrapOutOfBounds],
  [2, "a load at the far end of the window", EndReason.TrapOutOfBounds],
  [3, "a store beyond the memory", EndReason.TrapOutOfBounds],
  [4, "unreachable code", EndReason.TrapUnreachable],
  [5, "deep recursion", EndReason.TrapStackExhausted],
  [6, "frames larger than a guard page", EndReason.TrapStackExhausted],
  [7, "a bad table index", EndReason.TrapCallIndirect],
  [8, "a division by zero", EndReason.TrapDivideByZero],
  [9, "a division that overflows", EndReason.TrapIntegerOverflow],
  [10, "an endless loop", EndReason.TrapRunaway],
];
const RANDOM_FIELDS = 11;
const SPIN_BELOW = 12;
const IMPORT_BELOW = 13;
/** calls that no machine's stack of 64 KiB has room for */
const TOO_DEEP = 1 << 16;
/** of the stack: what the sweep of depths covers, and in how many steps */
const LAST_KIB = 1 / 64;
const SWEEP_STEPS = 24;
const BAD_IMPORTS = 32;
/** LAST of test/hostile/imports.ts */
const LAST_IMPORT = 0x3ffff0;
/** TAKEN of test/hostile/attacks.ts */
const TAKEN = 0x3ffff0;
const TRAP_AT_BOOT = 0xffff as GuestKind;
const SPIN_AT_BOOT = 0xfffe as GuestKind;
/** The numbers of test/hostile/core.ts. */
const PANIC = 0xffff as Op;
const WILD_STORE = 0xfffe as Op;
const BAD_HOST_IMPORTS = 0xfffd as Op;

beforeAll(async () => {
  await build({ variant: "hostile", only: ["hv"] });
}, 120_000);

onEachEngine(
  "isolation",
  (target) => {
    describe("a machine's trap", () => {
      const machine = useMachine(target, { variant: "hostile" });
      let neighbour: Neighbour | undefined;
      afterEach(() => {
        neighbour = undefined;
      });
      const untouched = async (): Promise<void> => neighbour?.isUntouched();

      test.each(attacks)(
        "attack %i, %s, ends its guest alone",
        async (attack, _what, reason) => {
          neighbour = await startNeighbour(machine());
          const guest = await machine().run("attack", { append: `attack=${attack}` });
          const end = await guest.ends();
          expect(EndReason[end.reason]).toBe(EndReason[reason]);
          expect(guest.console).toContain(`attack: ${attack}\n`);
          expect(guest.console).not.toContain("refused");
          await untouched();
        },
        within(target, 60),
      );

      test(
        "a trap in the handler of a recorded exit leaves the record, and the ring's memory comes back",
        async () => {
          const { hypervisor } = machine();
          await machine().scrubbed();
          const { freeBytes } = await hypervisor.hostStat();
          const guest = await machine().run("attack", { append: "attack=4", traceModes: TraceMode.All });
          expect((await guest.ends()).reason).toBe(EndReason.TrapUnreachable);
          // The handler did not come to counting the exit, and not to a verdict.
          const { exits, count } = await tracedExits(machine(), guest);
          expect(BigInt(count)).toBe((await hypervisor.guestStat(guest.slot)).exits + 1n);
          expect(exits.at(-1)).toMatchObject({ index: count - 1, reason: "cpuid", leaf: "0x48560004" });
          const rip = (await hypervisor.guestState(guest.slot)).rip;
          expect(BigInt(exits.at(-1)?.rip ?? 0)).toBe(rip);
          await guest.remove();
          await machine().scrubbed();
          expect((await hypervisor.hostStat()).freeBytes).toBe(freeBytes);
        },
        within(target, 60),
      );

      test(
        "a trap while booting is an error of the start, and the guest can be destroyed",
        async () => {
          neighbour = await startNeighbour(machine());
          const { guest } = await machine().hypervisor.guestCreate({ memoryBytes: 4 * 2 ** 20, wallSeconds: 0 });
          const start = machine().hypervisor.guestStart({ guest, kind: TRAP_AT_BOOT, block: 0x100000, blockBytes: 64 });
          await expect(start).rejects.toMatchObject({ code: "E_HV_ENDED" });
          await machine().hypervisor.guestDestroy(guest);
          await untouched();
        },
        within(target, 60),
      );

      test(
        "a boot that never comes back is an error of the start; others go on",
        async () => {
          neighbour = await startNeighbour(machine());
          const { guest } = await machine().hypervisor.guestCreate({ memoryBytes: 4 * 2 ** 20, wallSeconds: 0 });
          const start = machine().hypervisor.guestStart({ guest, kind: SPIN_AT_BOOT, block: 0x100000, blockBytes: 64 });
          // A boot may move megabytes: it has 200 interrupts of the timer, 2 s, where an exit has 5 (hv/asm/guests.asm).
          const reason = describeEnd(EndReason.TrapRunaway, 0n);
          await expect(start).rejects.toMatchObject({ code: "E_HV_ENDED", message: expect.stringContaining(reason) });
          expect(await machine().hypervisor.guestState(guest)).toMatchObject({ state: RunState.Ended, reason: EndReason.TrapRunaway });
          await machine().hypervisor.guestDestroy(guest);
          await timerLives();
          await untouched();
        },
        within(target, 60),
      );

      test.each([
        [SPIN_BELOW, "its own code"],
        [IMPORT_BELOW, "an import"],
      ])(
        "attack %i, a loop in %s with next to no stack left, ends its guest at every depth",
        async (attack) => {
          const endAt = async (depth: number): Promise<EndReason> => {
            const guest = await machine().run("attack", { append: `attack=${attack} depth=${depth}` });
            const { reason } = await guest.ends();
            await guest.remove();
            expect([EndReason.TrapRunaway, EndReason.TrapStackExhausted].map((allowed) => EndReason[allowed])).toContain(EndReason[reason]);
            return reason;
          };
          let [fits, tooDeep] = [0, TOO_DEEP];
          expect(await endAt(fits)).toBe(EndReason.TrapRunaway);
          expect(await endAt(tooDeep)).toBe(EndReason.TrapStackExhausted);
          while (tooDeep - fits > 1) {
            const depth = (fits + tooDeep) >> 1;
            if ((await endAt(depth)) === EndReason.TrapRunaway) fits = depth;
            else tooDeep = depth;
          }
          const step = Math.max(1, Math.floor((tooDeep * LAST_KIB) / SWEEP_STEPS));
          for (let depth = tooDeep - step * SWEEP_STEPS; depth <= tooDeep; depth += step) await endAt(depth);
          await timerLives();
        },
        within(target, 60),
      );

      /** Only interrupts of the timer take the CPU from `spin`, and tick in hello64. */
      const timerLives = async (): Promise<void> => {
        await machine().run("spin");
        const guest = await machine().run("hello64", { append: "hz=20 ticks=1" });
        await guest.shows("hello64: done", 20);
      };

      test(
        "every import refuses every kind of bad argument",
        async () => {
          neighbour = await startNeighbour(machine());
          const guest = await machine().run("attack", { append: `attack=${BAD_IMPORTS}` });
          const result = await guest.shows(/attack: refused (\d+), not refused (\d+), the first (\d+)\n/).catch(async (error: Error) => {
            const last = Buffer.from(await machine().hypervisor.guestGet(guest.slot, LAST_IMPORT, 4)).readUInt32LE();
            throw new Error(`after call ${last}: ${error.message}`);
          });
          expect({ granted: result[2], first: result[3] }).toEqual({ granted: "0", first: "0" });
          expect(Number(result[1])).toBeGreaterThan(280);
          await untouched();
        },
        within(target, 60),
      );

      test(
        "random values in every field harm the guest at most",
        async () => {
          neighbour = await startNeighbour(machine());
          const guest = await machine().run("attack", { append: `attack=${RANDOM_FIELDS}` });
          // Nothing that it wrote is checked by anyone but the CPU: an entry that fails, a triple fault, or code somewhere.
          await expectHarmless(machine(), guest, 2);
          const taken = Buffer.from(await machine().hypervisor.guestGet(guest.slot, TAKEN, 8)).readBigUInt64LE();
          expect(taken).toBeGreaterThan(100n);
          await untouched();
        },
        within(target, 60),
      );

      test(
        "core's imports refuse every kind of bad argument",
        async () => {
          neighbour = await startNeighbour(machine());
          expect(neighbour.guest.slot).toBe(0);
          const reply = await machine().hypervisor.request(BAD_HOST_IMPORTS);
          expect({ granted: reply.number(1), first: reply.number(2) }).toEqual({ granted: 0, first: 0 });
          expect(reply.number(0)).toBeGreaterThan(200);
          await untouched();
        },
        within(target, 60),
      );

      test(
        "no trap cost the hypervisor memory",
        async () => {
          await machine().scrubbed();
          const before = await machine().hypervisor.hostStat();
          for (const [attack] of attacks.slice(0, 6)) {
            const guest = await machine().run("attack", { append: `attack=${attack}` });
            await guest.ends();
            await guest.remove();
          }
          await machine().scrubbed();
          expect((await machine().hypervisor.hostStat()).freeBytes).toBe(before.freeBytes);
        },
        within(target, 60),
      );
    });

    test.each([
      ["a trap", PANIC],
      ["a wild store", WILD_STORE],
    ])("%s in core is a panic with a symbolized report", (_what, op) => panics(target, op), within(target, 90));
  },
  [1, 2],
);

/** The whole hypervisor goes down with it: a machine of its own. */
async function panics(target: Target, op: Op): Promise<void> {
  const machine = await Machine.start(target, { variant: "hostile" });
  try {
    const lost = new Promise<string>((resolve) => machine.hypervisor.on("lost", resolve));
    const reported = new Promise<string[]>((resolve) => machine.hypervisor.on("panic", resolve));
    const answered = machine.hypervisor.request(op).then(
      () => Promise.reject(new Error("the request was answered")),
      (error) => (error.code === "E_HV_PANIC" ? reported : Promise.reject(error)),
    );
    const report = (await Promise.race([reported, answered])).join("\n");
    expect(report).toMatch(/hvkit: panic: /);
    expect(report).toMatch(/rax=[0-9a-f]{16}/i);
    expect(report).toMatch(/hvkit: exit /);
    // names from the ELF: the module's function, and the loop in NASM that called it
    expect(report).toMatch(/core.*poll/);
    await lost;
  } finally {
    await machine.stop();
  }
}
