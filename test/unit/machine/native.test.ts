// Native against V8: the machine module that the build made, run by V8 and as native code, agrees on every call: the imports that it calls,
// their arguments, its result, and all of its memory.
import { describe, expect, test } from "vitest";
import { Layout } from "../../../hv/machine/layout.js";
import { fuzz, type Target } from "../../support/fuzz/guided.js";
import { scaled, seedOf } from "../../support/scale.js";
import { perform } from "./exits.js";
import { Guest, VENDORS } from "./guest.js";
import { productWasm, Twin } from "./native.js";

const OPERATIONS = scaled(100_000, 10_000_000);
const LENGTH = 100;
const module = new WebAssembly.Module(productWasm as BufferSource);

describe.each(VENDORS)("native code on %s", (_name, vendor) => {
  const options = (beside: Twin) => ({ vendor, ramBytes: 2 << 20, module, beside });

  test("does what V8 does", { timeout: scaled(120_000, 7_200_000) }, () => {
    const twin = new Twin();
    let guest: Guest;
    const target: Target = {
      reset: () => {
        guest = new Guest(options(twin));
      },
      apply: (operation) => {
        if (guest.ended === undefined) perform(guest, operation);
      },
      settle: () => {},
    };
    fuzz({ target, seed: seedOf(20_265), operations: OPERATIONS, length: LENGTH, fresh: () => 0 });
    expect(twin.compared).toBeGreaterThan(OPERATIONS / 4);
  });

  test("a difference is seen, in memory and in what an import is asked", () => {
    const twin = new Twin();
    const guest = new Guest(options(twin));
    guest.cpuid(0);
    const memory = new Uint8Array(guest.machine.memory.buffer);
    memory[Layout.RegionEnd - 1] = 1;
    expect(() => guest.cpuid(0)).toThrow(`the memories differ from ${(Layout.RegionEnd - 1).toString(16)} on`);
    memory[Layout.RegionEnd - 1] = 0;
    guest.cpuid(0);
    // The table of exit reasons: V8 counts another reason than the native code does.
    const reasons = memory.slice(0x4000, 0x4100);
    memory.fill(23, 0x4000, 0x4100);
    expect(() => guest.exit("hlt", [0xf4])).toThrow(/call 0 of an import is not V8's, count/);
    memory.set(reasons, 0x4000);
  });
});
