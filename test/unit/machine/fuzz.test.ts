// Exits at random: whatever a guest does, its machine does not trap, does not lose RIP's place without saying so, and allocates nothing
// (all that lies above Layout.Data stays as init left it).
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { EventBit, Layout, Verdict } from "../../../hv/machine/layout.js";
import { ExitField, Register } from "../../../protocol/state.js";
import { Guest, RAW, VENDORS } from "./guest.js";

const word = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const step = fc.record({
  mode: fc.constantFrom("long", "protected", "real", "stay", "stay", "stay"),
  reason: fc.oneof(fc.constantFrom(...(Object.keys(RAW) as (keyof typeof RAW)[])), fc.integer({ min: 0, max: 0x410 })),
  code: fc.array(
    fc.oneof(fc.constantFrom(0x0f, 0xa2, 0x32, 0x30, 0xf4, 0x6c, 0x6e, 0xf3, 0x66, 0x67, 0x20, 0x22), fc.integer({ min: 0, max: 255 })),
    {
      minLength: 4,
      maxLength: 16,
    },
  ),
  registers: fc.array(fc.tuple(fc.integer({ min: 0, max: Register.R15 }), word), { maxLength: 4 }),
  page: fc.tuple(fc.integer({ min: 0, max: 0x3fff }), fc.integer({ min: 0, max: 255 })),
  flags: fc.constantFrom(2n, 0x202n, 0x302n, 0x602n, 0x20202n),
  shadow: fc.integer({ min: 0, max: 3 }),
  length: fc.integer({ min: 0, max: 15 }),
  qualification: word,
  info2: word,
  vectoring: fc.oneof(fc.constant(0n), word),
  events: fc.integer({ min: 0, max: 15 }),
});

describe.each(VENDORS)("a guest at random on %s", (_name, vendor) => {
  property.prop([fc.array(step, { minLength: 1, maxLength: 30 })], { numRuns: 20 })("its machine stands", (steps) => {
    const guest = new Guest({ vendor, ramBytes: 2 << 20 });
    const above = (): Buffer => Buffer.from(new Uint8Array(guest.machine.memory.buffer, Layout.Data, Layout.End - Layout.Data));
    const before = Buffer.from(above());
    for (const { mode, reason, code, registers, page, flags, shadow, length, qualification, info2, vectoring, events } of steps) {
      if (mode !== "stay") guest[mode]();
      guest.ram[page[0]] = page[1];
      for (const [register, value] of registers) guest.set(register, value);
      guest.set(Register.Rflags, flags);
      guest.set(ExitField.Vectoring, vectoring & 0xffffffffn);
      guest.set(ExitField.Interruption, info2 & 0xffffffffn);
      guest.set(ExitField.InstructionInfo, qualification & 0x3ffffn);
      const at = Number(guest.get(Register.Rip) & 0x1fffefn);
      guest.ram.set(code, at);
      const raw = typeof reason === "number" ? reason : guest.reason(reason);
      const verdict = guest.raw(raw, { length, shadow, qualification, info2 });
      expect([Verdict.Resume, Verdict.Halt, Verdict.Stop]).toContain(verdict);
      expect(verdict === Verdict.Stop).toBe(guest.ended !== undefined);
      if (verdict === Verdict.Stop) break;
      guest.now += 1_000_000n;
      expect(guest.machine.event(events) === Verdict.Stop).toBe(false);
      guest.machine.event(EventBit.Nmi);
    }
    expect(above()).toEqual(before);
  });
});
