// Another machine module for guests that run: hv/machine is changed, built for a place in the hypervisor, and given to guests in the middle of what they
// do. They must not notice: the hash guest's every round is that of one which nobody touched. What cannot be carried over, or fails as it takes over,
// leaves a guest with the module that it has.
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { Carrier } from "../../control/src/hypervisor/carrier.js";
import { readModule } from "../../control/src/hypervisor/modules.js";
import { type Layout, layoutSchema } from "../../control/src/snapshot/format.js";
import { planMoves, regionMoves } from "../../control/src/snapshot/moves.js";
import { EndReason, Op, RunState } from "../../protocol/messages.js";
import { ModuleFault, ModuleHeader, ModuleLimit, SwapMove } from "../../protocol/module.js";
import { ExitReason } from "../../protocol/state.js";
import { TraceMode } from "../../protocol/trace.js";
import { buildModule } from "../../scripts/lib/module.mjs";
import { nightly, scaled } from "../support/scale.js";
import type { Guest } from "./support/guest.js";
import { useMachine, within } from "./support/suite.js";
import { onEachEngine } from "./support/targets.js";

const PLACE = 1;
/** "hvkx" for "hvki" */
const SIGNATURE = { was: 0x696b7668, is: 0x786b7668 };

/** What a developer might do: a record gets a field and moves, two others change places, an exit counts as another, CPUID says another name. */
const EDITS = [
  {
    file: "hv/machine/records.ts",
    from: "  /** the guest executed HLT and waits for an event */",
    to: "  /** @zero */\n  added: u64;\n  /** the guest executed HLT and waits for an event */",
  },
  {
    file: "hv/machine/state.ts",
    from: `export const TIMERS: usize = (POWER + offsetof<PowerRecord>() + 7) & ~7;
export const KVM_CLOCK: usize = (TIMERS + offsetof<TimersRecord>() + 7) & ~7;
export const STATE_END: usize = (KVM_CLOCK + offsetof<KvmClockRecord>() + 7) & ~7;`,
    to: `export const KVM_CLOCK: usize = (POWER + offsetof<PowerRecord>() + 7) & ~7;
export const TIMERS: usize = (KVM_CLOCK + offsetof<KvmClockRecord>() + 7) & ~7;
export const STATE_END: usize = (TIMERS + offsetof<TimersRecord>() + 7) & ~7;`,
  },
  {
    file: "hv/machine/machine.ts",
    from: "  guest.count(reason);\n",
    to: "  guest.count(reason == ExitReason.Hlt ? ExitReason.Init : reason);\n",
  },
  { file: "hv/machine/cpuid.ts", from: "0x40000010, 0x696b7668,", to: "0x40000010, 0x786b7668," },
];

const image = layoutSchema.parse(JSON.parse(readFileSync("build/layout.json", "utf8")));

onEachEngine(
  "swap",
  (target) => {
    const machine = useMachine(target);
    let module: Buffer;
    let layout: Layout;
    const patience = (seconds: number) => within(target, seconds);

    beforeAll(async () => {
      const address = (await machine().hypervisor.modules.modules()).places[PLACE]?.address ?? 0;
      const built = await buildModule({ address, name: "test", edits: EDITS });
      module = built.bytes;
      layout = layoutSchema.parse(built.layout);
      expect(readModule(module)).toEqual({ address, base: built.base, identity: built.identity });
    }, patience(100));

    /** The module into its place, and from there to guests and back. */
    async function load(bytes: Uint8Array = module): Promise<Carrier> {
      const carrier = await Carrier.make(machine().hypervisor);
      await carrier.load(bytes, PLACE);
      return carrier;
    }
    const over = async (carrier: Carrier, guest: Guest): Promise<void> => {
      await carrier.setMoves(regionMoves(planMoves(image, layout)));
      await carrier.swap(guest.slot, PLACE);
    };
    const back = async (carrier: Carrier, guest: Guest): Promise<void> => {
      await carrier.setMoves(regionMoves(planMoves(layout, image)));
      await carrier.swap(guest.slot, 0);
    };
    const places = async () => (await machine().hypervisor.modules.modules()).places;
    const counted = async (guest: Guest, reason: ExitReason): Promise<bigint> =>
      (await machine().hypervisor.guestStat(guest.slot)).byReason.get(reason) ?? 0n;

    test(
      "guests go over and back in the middle of what they do, and their hashes stay right",
      async () => {
        expect(layout.identity).not.toBe(image.identity);
        const carrier = await load();
        const untouched = await machine().run("hash");
        const swapped = await machine().run("hash");
        const watched = await machine().run("hash", { traceModes: TraceMode.Ring | TraceMode.Time });
        await Promise.all([swapped.shows("round 2 ", 60), watched.shows("round 2 ", 60)]);
        await over(carrier, swapped);
        await over(carrier, watched);
        expect((await places()).map(({ guests }) => guests)).toEqual([2, 2, 0, 0]); // the carrier is one of the image's
        const halts = await counted(swapped, ExitReason.Hlt);
        await swapped.shows("round 4 ", 60);
        expect(await counted(swapped, ExitReason.Init)).toBeGreaterThan(0n); // code of the new module
        expect(await counted(swapped, ExitReason.Hlt)).toBe(halts);
        const turns = target.name === "bochs" ? scaled(3, 30) : scaled(12, 200);
        for (let round = 5; round < 5 + turns; round++) {
          await back(carrier, swapped);
          await over(carrier, swapped);
          await swapped.shows(`round ${round} `, 60);
        }
        expect(await counted(watched, ExitReason.Init)).toBeGreaterThan(0n); // through what stands before exit()
        await Promise.all([untouched, watched].map((guest) => guest.shows(whole(5 + turns), 90)));
        await swapped.shows(whole(4 + turns), 60);
        expectSame(untouched, swapped, 4 + turns);
        expectSame(untouched, watched, 4 + turns);
        await carrier.remove();
      },
      patience(240),
    );

    test(
      "new guests start on the module that is in use; a guest keeps its CPUID, and what it is saved as fits the new one",
      async () => {
        const carrier = await load();
        const { hypervisor } = machine();
        const old = await machine().run("hash");
        await old.shows("round 2 ", 60);
        await over(carrier, old);
        await hypervisor.modules.moduleUse(PLACE);
        const fresh = await machine().run("hash", { append: "rounds=2" });
        const signature = async ({ slot }: Guest) => (await hypervisor.guestCpuid(slot)).find(({ leaf }) => leaf === 0x40000000)?.ebx;
        expect([await signature(old), await signature(fresh)]).toEqual([SIGNATURE.was, SIGNATURE.is]);
        expect((await places()).map(({ current }) => current)).toEqual([false, true, false, false]);
        // Nobody may take the place away from under them.
        await expect(carrier.load(module, PLACE)).rejects.toMatchObject({ data: { words: [`0x${ModuleFault.InUse}`] } });
        const saved = await machine().save(old);
        const again = await machine().restore(saved);
        await hypervisor.guestResume(again.slot);
        await hypervisor.guestResume(old.slot);
        await fresh.ends(90);
        await again.shows(TWO_ROUNDS, 90);
        await old.shows(whole(Math.max(...rounds(again).keys())), 90);
        expectSame(old, again, 2);
        await hypervisor.modules.moduleUse(0);
        await carrier.remove();
      },
      patience(240),
    );

    test(
      "a guest goes over while it shares its memory with a copy, and the copy after it",
      async () => {
        const carrier = await load();
        const untouched = await machine().run("hash");
        const source = await machine().run("hash");
        await source.shows("round 2 ", 60);
        await over(carrier, source);
        const { copy } = await machine().clone(source); // of the new module
        await back(carrier, source);
        await copy.shows(TWO_ROUNDS, 60);
        expect((await places()).map(({ guests }) => guests)).toEqual([3, 1, 0, 0]);
        await back(carrier, copy);
        await over(carrier, source);
        const from = copy.console.length;
        await copy.shows(TWO_ROUNDS, 60, from);
        const last = Math.max(...rounds(copy).keys());
        await Promise.all([untouched, source].map((guest) => guest.shows(whole(last), 90)));
        expectSame(untouched, source, 3);
        expectSame(untouched, copy, 4);
        await carrier.remove();
      },
      patience(240),
    );

    describe("a guest keeps its module", () => {
      let guest: Guest;
      const goesOn = async (): Promise<void> => {
        const from = guest.console.length;
        await guest.shows(/round \d+ [0-9A-F]{16} ticks/, 60, from);
        expect((await places()).map(({ guests }) => guests)[PLACE]).toBe(0);
      };
      /** The module with other bytes where it has an export, or elsewhere. */
      const patched = (at: number, ...bytes: number[]): Buffer => {
        const copy = Buffer.from(module);
        copy.set(bytes, at);
        return copy;
      };
      const exported = (at: ModuleHeader): number => Number(module.readBigUInt64LE(at) - module.readBigUInt64LE(ModuleHeader.Start));

      test(
        "when the new one traps, does not come back, or does not know a part of its state",
        async () => {
          const untouched = await machine().run("hash");
          guest = await machine().run("hash");
          await guest.shows("round 1 ", 60);
          const wrong: [ModuleHeader, number[], EndReason][] = [
            [ModuleHeader.Restore, [0x0f, 0x0b], EndReason.TrapException], // UD2
            [ModuleHeader.Init, [0xeb, 0xfe], EndReason.TrapRunaway], // JMP $
            [ModuleHeader.Instantiate, [0x31, 0xc0, 0x8b, 0x40, 0x10], EndReason.TrapException], // a null pointer
          ];
          for (const [where, code, reason] of wrong) {
            const carrier = await load(patched(exported(where), ...code));
            await expect(over(carrier, guest)).rejects.toMatchObject({
              code: "E_HV_ENDED",
              data: { words: [`0x${reason.toString(16)}`, expect.anything()] },
            });
            await carrier.remove();
            await goesOn();
          }
          const carrier = await load();
          // A field that is never 0: the RTC's seconds.
          const records = layout.records.map((record) => ({ ...record, fields: record.fields.filter(({ name }) => name !== "seconds") }));
          const { gone, ...plan } = planMoves(image, { ...layout, records });
          expect(gone).toMatchObject([{ name: "rtc.seconds" }]);
          await carrier.setMoves(regionMoves({ gone, ...plan }));
          await expect(carrier.swap(guest.slot, PLACE)).rejects.toMatchObject({
            code: "E_HV_STATE_NOT_ZERO",
            data: { words: [`0x${gone[0]?.from.toString(16)}`] },
          });
          await goesOn();
          // A state that no machine is ever in: the moves leave out all of it.
          await carrier.setMoves([]);
          await expect(carrier.swap(guest.slot, PLACE)).rejects.toMatchObject({ code: "E_HV_RECORD_REFUSED" });
          for (const move of [
            { from: 0x3f00, to: 0, bytes: 8 },
            { from: 0, to: 0x3efc, bytes: 8 },
            { from: SwapMove.Nowhere, to: 0, bytes: 0xffff },
          ]) {
            await carrier.setMoves([move]);
            await expect(carrier.swap(guest.slot, PLACE)).rejects.toMatchObject({ code: "E_HV_BAD_REQUEST" });
          }
          await goesOn();
          await carrier.remove();
          const last = Math.max(...rounds(guest).keys());
          await untouched.shows(whole(last), 90);
          expectSame(untouched, guest, last);
        },
        patience(240),
      );

      test(
        "when what comes is no module for this hypervisor, or no place for one",
        async () => {
          guest = await machine().run("hash");
          await guest.shows("round 1 ", 60);
          const { hypervisor } = machine();
          const refused = async (bytes: Uint8Array, fault: ModuleFault, slot = PLACE): Promise<void> => {
            const carrier = await Carrier.make(hypervisor);
            await expect(carrier.load(bytes, slot)).rejects.toMatchObject({ code: "E_HV_MODULE_REFUSED", data: { words: [`0x${fault}`] } });
            await carrier.remove();
          };
          await refused(patched(ModuleHeader.Base, 0x78), ModuleFault.Base); // made of other sources
          await refused(patched(ModuleHeader.Magic, 0), ModuleFault.Header);
          await refused(module, ModuleFault.Header, PLACE + 1); // linked for another place
          await refused(patched(ModuleHeader.TextEnd, 1), ModuleFault.Header);
          await refused(patched(ModuleHeader.TextEnd + 2, 0xff), ModuleFault.Header);
          await refused(
            patched(ModuleHeader.Exit + 1, ...Buffer.from(module).subarray(ModuleHeader.TextEnd + 1, ModuleHeader.TextEnd + 3)),
            ModuleFault.Header,
          );
          await refused(patched(exported(ModuleHeader.InstanceBytes), 0, 0x10, 0, 0), ModuleFault.Instance);
          await refused(module, ModuleFault.Slot, 0);
          await refused(module, ModuleFault.Slot, ModuleLimit.Slots);
          const carrier = await Carrier.make(hypervisor);
          for (const [address, bytes] of [
            [0, 0],
            [0, 4095],
            [0, ModuleLimit.Bytes + 4096],
            [2 ** 21 - 4096, 8192],
            [2 ** 40, 4096],
          ] as const) {
            await expect(hypervisor.modules.moduleLoad(carrier.guest, address, bytes, PLACE)).rejects.toMatchObject({
              code: "E_HV_MODULE_REFUSED",
            });
          }
          await expect(hypervisor.modules.moduleLoad(guest.slot, 0, 4096, PLACE)).rejects.toMatchObject({
            data: { words: [`0x${ModuleFault.Range}`] },
          });
          await expect(hypervisor.modules.moduleUse(PLACE)).rejects.toMatchObject({ code: "E_HV_MODULE_REFUSED" }); // there is none
          await expect(carrier.swap(guest.slot, PLACE)).rejects.toMatchObject({ code: "E_HV_BAD_REQUEST" });
          await expect(carrier.swap(carrier.guest, 0)).rejects.toMatchObject({ code: "E_HV_BAD_STATE" });
          await expect(hypervisor.request(Op.GuestSwap, [guest.slot, 0, guest.slot, 0, 0])).rejects.toMatchObject({
            code: "E_HV_BAD_REQUEST",
          });
          await expect(hypervisor.request(Op.GuestSwap, [guest.slot, 0, carrier.guest, 2 ** 20, 2 ** 29])).rejects.toMatchObject({
            code: "E_HV_BAD_REQUEST",
          });
          await goesOn();
          await carrier.remove();
          expect((await hypervisor.guestState(guest.slot)).state).not.toBe(RunState.Ended);
        },
        patience(120),
      );
    });

    test.runIf(target.name !== "bochs" || nightly)(
      "a Linux that booted goes over, and its shell answers",
      async () => {
        const carrier = await load();
        const guest = await machine().run("linux");
        await guest.shows("linux:/root# ", 120);
        await over(carrier, guest);
        const halts = await counted(guest, ExitReason.Hlt);
        await guest.write("echo $((6 * 7))-$(uname -m)\n");
        await guest.shows("42-x86_64", 60);
        expect(await counted(guest, ExitReason.Init)).toBeGreaterThan(0n);
        expect(await counted(guest, ExitReason.Hlt)).toBe(halts);
        await back(carrier, guest);
        await guest.write("sleep 1; echo again-$((6 * 8))\n");
        await guest.shows("again-48", 60);
        await carrier.remove();
      },
      patience(240),
    );
  },
  [2],
);

/** Hashes by round. */
const rounds = ({ console }: Guest): Map<number, string> =>
  new Map([...console.matchAll(/round (\d+) ([0-9A-F]{16}) ticks/g)].map(([, round, hash = ""]) => [Number(round), hash]));

/** A round's line, to its end: a part of it does not count. */
const whole = (round: number): RegExp => new RegExp(`round ${round} .*\\n`);
const TWO_ROUNDS = /(round \d+ .*\n.*){2}/;

/** In all rounds that both have done, at least so many. */
function expectSame(one: Guest, other: Guest, count: number): void {
  const [all, others] = [rounds(one), rounds(other)];
  const both = [...others].filter(([round]) => all.has(round));
  expect(both.length).toBeGreaterThanOrEqual(count);
  expect(both).toEqual(both.map(([round]) => [round, all.get(round)]));
}
