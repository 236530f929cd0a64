// `swap` in the daemon, on a hypervisor in memory: which guests go over and why one does not, who waits for whom, and by which layout each one's state is
// read from then on.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Client } from "../../../control/src/client/client.js";
import { statusError } from "../../../control/src/hypervisor/texts.js";
import { EndReason, Status } from "../../../protocol/messages.js";
import { ModuleHeader, ModuleLimit } from "../../../protocol/module.js";
import { sampleLayout } from "../snapshot/sample.js";
import type { FakeModules } from "./fake.js";
import { Harness } from "./harness.js";

let harness: Harness;
let client: Client;
let modules: FakeModules;
beforeEach(async () => {
  harness = await Harness.start();
  client = await harness.client();
  ({ modules } = harness.hypervisor);
});
afterEach(() => harness.stop());

/** A module's header, and nothing behind it. */
function header({ base = modules.base, address = 0x11_0000, identity = "identity of one!" } = {}): string {
  const bytes = Buffer.alloc(ModuleHeader.End);
  bytes.writeBigUInt64LE(BigInt(ModuleLimit.Magic), ModuleHeader.Magic);
  bytes.writeBigUInt64LE(BigInt(address), ModuleHeader.Start);
  bytes.write(base, ModuleHeader.Base, "latin1");
  bytes.write(identity, ModuleHeader.Identity, "latin1");
  return bytes.toString("base64");
}
const image = sampleLayout();
const REFUSED = new RegExp(`refused its state: no machine is ever in the state that ${image.records[1]?.record} says`);
const swap = (module = header(), layout: object = image) => client.call("swap", { module, layout: layout as Record<string, unknown> });
const run = (name: string) => client.call("run", { image: "sector", name });
const moduleOf = async (guest: string) => (await client.call("inspect", { guest })).module;

test("guests go over, new ones start on it, and all of that is told", async () => {
  const { slot } = await run("one");
  expect(await moduleOf("one")).toEqual({ slot: 0, identity: "0123456789abcdef" });
  expect(await client.call("swap.place", {})).toEqual({ slot: 1, address: 0x11_0000, bytes: 65536, base: modules.base });
  const result = await swap();
  expect(result).toMatchObject({ module: "identity of one!", slot: 1, newGuests: true, guests: [{ name: "one", error: null }] });
  expect(modules.guests.get(slot ?? -1)).toBe(1);
  expect(modules.current).toBe(1);
  await run("two");
  expect([await moduleOf("one"), await moduleOf("two")]).toEqual(Array(2).fill({ slot: 1, identity: "identity of one!" }));
  expect((await client.call("status", {})).hypervisor?.module).toEqual({ slot: 1, identity: "identity of one!" });
  expect(harness.hypervisor.guests.size).toBe(2); // the carrier is gone
});

test("a copy runs on its source's module, not on the one for new guests", async () => {
  const { slot } = await run("one");
  const layout = { ...image, records: image.records.map((record) => ({ ...record, fields: record.fields.slice(1) })) };
  modules.errors.set(slot ?? -1, statusError("GuestSwap", Status.StateNotZero, [0n]));
  await swap(header(), layout);
  modules.errors.clear();
  expect((await run("two")).slot).not.toBe(slot);
  const copies = [...(await client.call("clone", { guest: "one", count: 2 })), ...(await client.call("clone", { guest: "two" }))];
  const places = await Promise.all(copies.map(async ({ name }) => (await moduleOf(name))?.slot));
  expect(places).toEqual([0, 0, 1]);
});

test("a module that is there is not loaded again: back to the image's own, and to one in a place", async () => {
  const loads: number[] = [];
  const load = modules.moduleLoad.bind(modules);
  modules.moduleLoad = async (carrier, address, bytes, slot) => {
    loads.push(slot);
    await load(carrier, address, bytes, slot);
    modules.identities[slot] = "identity of one!"; // its header's
  };
  const events: [string, string, number][] = [];
  client.on("event", (event) => {
    if (event.type === "guest.swapped") events.push([event.guest.name, event.module, event.slot]);
  });
  await client.call("events.subscribe", {});
  await run("one");
  await swap();
  const own = { identity: "0123456789abcdef" };
  expect(await client.call("swap.place", own)).toMatchObject({ slot: 0 });
  expect(await swap(header(own))).toMatchObject({ slot: 0, newGuests: true, guests: [{ name: "one", error: null }] });
  expect(modules.current).toBe(0);
  expect(await swap(header(own))).toMatchObject({ slot: 0, guests: [] }); // it runs on it
  expect(await swap()).toMatchObject({ slot: 1, guests: [{ name: "one", error: null }] });
  expect(loads).toEqual([1]);
  await expect
    .poll(() => events)
    .toEqual([
      ["one", "identity of one!", 1],
      ["one", "0123456789abcdef", 0],
      ["one", "identity of one!", 1],
    ]);
  // Whatever is full: who goes back needs no place.
  for (let place = 1; place < ModuleLimit.Slots; place++) modules.guests.set(100 + place, place);
  expect(await client.call("swap.place", own)).toMatchObject({ slot: 0 });
  expect(await swap(header(own))).toMatchObject({ slot: 0 });
});

describe("a guest keeps its machine, with the reason", () => {
  test.each([
    [Status.StateNotZero, [0n], "E_SWAP_STATE", /is not known here, and not 0/],
    [Status.Ended, [BigInt(EndReason.TrapRunaway), 0n], "E_SWAP_FAILED", /failed as it took over: .*did not come back/],
    [Status.RecordRefused, [BigInt(image.records[1]?.address ?? 0)], "E_SWAP_FAILED", REFUSED],
  ])("%s", async (status, words, code, message) => {
    const { slot } = await run("one");
    modules.errors.set(slot ?? -1, statusError("GuestSwap", status, words));
    const layout = { ...image, records: image.records.map((record) => ({ ...record, fields: record.fields.slice(1) })) };
    const result = await swap(header(), code === "E_SWAP_STATE" ? layout : image);
    expect(result.guests).toMatchObject([{ name: "one", error: { code, message: expect.stringMatching(message) } }]);
    expect(result.newGuests).toBe(code === "E_SWAP_STATE");
    expect(modules.current).toBe(code === "E_SWAP_STATE" ? 1 : 0);
    expect(await moduleOf("one")).toMatchObject({ slot: 0 });
  });

  test("a field that is missing is not even tried", async () => {
    await run("one");
    const [record, ...rest] = image.records;
    if (!record) throw new Error("no record");
    const fields = [...record.fields, { name: "extra", offset: record.bytes, type: "u64" as const, count: 1 }];
    const layout = {
      ...image,
      records: [{ ...record, bytes: record.bytes + 8, fields }, ...rest.map((each) => ({ ...each, address: each.address + 8 }))],
    };
    const { guests } = await swap(header(), layout);
    expect(guests).toMatchObject([
      { error: { code: "E_SWAP_STATE", message: `its state does not fit: ${record.record}.extra is missing` } },
    ]);
    expect(modules.guests.size).toBe(0);
  });

  test("one that ends meanwhile is not spoken of", async () => {
    const { slot } = await run("one");
    modules.errors.set(slot ?? -1, statusError("GuestSwap", Status.BadState, [5n]));
    expect((await swap()).guests).toEqual([]);
  });
});

describe("a module is refused", () => {
  test.each([
    ["that is none", () => Buffer.from("no module").toString("base64"), "E_SWAP_MODULE"],
    ["of another base", () => header({ base: "0000000000000000" }), "E_SWAP_BASE"],
    ["of another place", () => header({ address: 0x10_0000 }), "E_SWAP_PLACE"],
  ])("%s", async (_what, module, code) => {
    await run("one");
    await expect(swap(module())).rejects.toMatchObject({ code });
    expect(harness.hypervisor.guests.size).toBe(1);
  });

  test("whose layout table is none", async () => {
    await expect(swap(header(), { identity: "x" })).rejects.toMatchObject({ code: "E_SWAP_MODULE" });
  });

  test("when all places are taken, and the guests there are named", async () => {
    await run("one");
    for (let place = 1; place < ModuleLimit.Slots; place++) modules.guests.set(100 + place, place);
    await expect(swap()).rejects.toMatchObject({
      code: "E_SWAP_FULL",
      message: expect.stringContaining("0123456789abcdef (the image's): one, new guests"),
    });
    await expect(client.call("swap.place", {})).rejects.toMatchObject({ code: "E_SWAP_FULL" });
  });

  test("and a place where nobody is, is not said to be for new guests", async () => {
    modules.identities.splice(1, 3, "module of one...", "module of two...", "module of three.");
    for (let place = 1; place < ModuleLimit.Slots; place++) modules.guests.set(100 + place, place);
    modules.current = 1;
    await expect(swap()).rejects.toMatchObject({
      code: "E_SWAP_FULL",
      message: expect.stringMatching(
        /\(0123456789abcdef \(the image's\): no guest; module of one\.\.\.: new guests; module of two\.\.\.: guests that are/,
      ),
    });
  });
});

test("a swap waits for guests that are being made, and they for it", async () => {
  const order: string[] = [];
  const { hypervisor } = harness;
  const create = hypervisor.guestStart.bind(hypervisor);
  let go = (): void => {};
  const held = new Promise<void>((resolve) => {
    go = resolve;
  });
  hypervisor.guestStart = async (options) => {
    await held;
    await create(options);
    order.push("started");
  };
  const load = modules.moduleLoad.bind(modules);
  modules.moduleLoad = async (...args) => {
    order.push("load");
    await load(...args);
  };
  const first = run("one");
  while (hypervisor.guests.size === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  const swapping = swap();
  const second = run("two");
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(order).toEqual([]);
  go();
  await Promise.all([first, swapping, second]);
  expect(order).toEqual(["started", "load", "started"]);
  expect(await moduleOf("two")).toMatchObject({ slot: 1 });
});
