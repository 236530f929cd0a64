// A guest's tables, registers and devices are its own to fill with anything: the tools come to an end, with a result or an error of theirs,
// and what they print obeys nobody's control characters.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { showCpu } from "../../../control/src/cli/commands/cpu.js";
import { machineJson, showMachine } from "../../../control/src/cli/commands/machine.js";
import { showWalk } from "../../../control/src/cli/commands/walk.js";
import { showFindings } from "../../../control/src/cli/commands/why.js";
import { HvkitError } from "../../../control/src/errors.js";
import { readCode } from "../../../control/src/inspect/code.js";
import { coreNotes } from "../../../control/src/inspect/coredump.js";
import { machineOf } from "../../../control/src/inspect/devices/machine.js";
import { listMappings } from "../../../control/src/inspect/mappings.js";
import { readMapped } from "../../../control/src/inspect/memory.js";
import { readRecords } from "../../../control/src/inspect/records.js";
import { linearOf, type MachineView, pagingOf } from "../../../control/src/inspect/view.js";
import { walkPages } from "../../../control/src/inspect/walk.js";
import { layoutSchema, registerNames } from "../../../control/src/snapshot/format.js";
import { diagnose } from "../../../control/src/why/diagnose.js";
import { collectFault } from "../../../control/src/why/fault.js";
import { layout, region } from "../../../scripts/lib/layout.mjs";
import { scaled } from "../../support/scale.js";
import { asleep, evidence, running } from "../why/evidence.js";
import { ramOf, type Word } from "./ram.js";

const RAM = 0x4_0000;
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
/** Addresses and entries that lead somewhere, more often than not. */
const near = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.nat(RAM / 4096), fc.nat(0x1ff), fc.boolean())
      .map(([page, bits, nx]) => (BigInt(page) << 12n) | BigInt(bits | 1) | (nx ? 1n << 63n : 0n)),
  },
  u64,
  fc.bigInt({ min: 0n, max: 0xffff_ffffn }),
);
const word: fc.Arbitrary<Word> = fc.tuple(
  fc.nat(RAM / 8 - 1).map((index) => index * 8),
  near,
);
/** The first entries of the first pages: where walks of low and high addresses pass. */
const entry: fc.Arbitrary<Word> = fc
  .tuple(fc.nat(15), fc.constantFrom(0, 8, 0xff8, 0x800), near)
  .map(([page, offset, value]) => [page * 4096 + offset, value]);
const ram = fc.array(fc.oneof(word, entry), { maxLength: 60 });
const registers = fc
  .tuple(
    fc.array(near, { minLength: registerNames.length, maxLength: registerNames.length }),
    fc.constantFrom(0n, 0x11n, 0x8000_0011n),
    fc.constantFrom(0n, 0x10n, 0x20n),
    fc.constantFrom(0n, 0xd00n),
  )
  .map(([values, cr0, cr4, efer]) => ({
    ...Object.fromEntries(registerNames.map((name, index) => [name, values[index] ?? 0n])),
    cr0,
    cr4,
    efer,
  }));

/** The result; undefined where it is refused with a code. */
async function attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof HvkitError && /^E_(UNMAPPED|TABLES|PAGING_MODE)$/.test(error.code)) return undefined;
    throw error;
  }
}

const isPlain = (text: string): boolean => /^[\n\x20-\x7e→]*$/.test(text);

describe("whatever a guest has made of itself", () => {
  it("tables, code and faults are read to an end", async () => {
    await fc.assert(
      fc.asyncProperty(ram, registers, near, async (words, found, address) => {
        const memory = ramOf(words, RAM);
        const paging = pagingOf(found);
        const walk = await attempt(() => walkPages(memory, paging, address));
        if (walk) expect(isPlain(showWalk({ walk, tables: null, nested: [] }))).toBe(true);
        const read = await attempt(() => readMapped(memory, paging, address, 0x3000));
        if (read) expect(read.bytes.length).toBeLessThanOrEqual(0x3000);
        await attempt(() => readCode(memory, found, linearOf(found, "cs", address), 20));
        const mappings = await attempt(() => listMappings(memory, paging));
        for (const { physical, bytes } of mappings ?? []) expect(physical + bytes).toBeLessThanOrEqual(RAM);
        const view: MachineView = {
          name: "web",
          memory,
          registers: async () => found,
          machine: () => Promise.reject(new Error("unasked")),
        };
        const fault = await attempt(() => collectFault(view, found, [address]));
        const end = { code: "triple-fault", text: "It did.", value: "0x0", rip: "0x0" };
        if (fault) expect(isPlain(showFindings(diagnose(evidence({ state: "exited", end, fault }))))).toBe(true);
        expect(isPlain(showCpu({ guest: "web", state: "running", idle: false, registers: found }))).toBe(true);
        expect(coreNotes(found).length).toBeGreaterThan(700);
      }),
      { numRuns: scaled(300, 20_000) },
    );
  });

  it("devices are told in words, and diagnosed", () => {
    const table = layoutSchema.parse({ identity: "0123456789abcdef", region: region(), records: layout() });
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 800, maxLength: 800 }),
        u64,
        u64,
        registers,
        fc.boolean(),
        (bytes, clockNs, inject, found, halted) => {
          const records = readRecords(table, bytes);
          const machine = machineOf({ records, clockNs, halted, inject, events: bytes[0] ?? 0, inputBytes: [bytes[1] ?? 0, 0] });
          expect(isPlain(showMachine(machine))).toBe(true);
          JSON.stringify(machineJson(machine, records));
          const standing = { registers: found, machine, code: [], unmapped: null, before: bytes.subarray(0, 2) };
          for (const seen of [asleep(), running()])
            expect(isPlain(showFindings(diagnose(evidence({ standing, running: seen }))))).toBe(true);
        },
      ),
      { numRuns: scaled(300, 50_000) },
    );
  });
});
