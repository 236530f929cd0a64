// Recorded exits and counters for clients: asked for part by part, told once; what is watched is set bit by bit.
import { afterEach, beforeEach, expect, it } from "vitest";
import { MAX_EXITS, methods } from "../../../control/src/api/methods.js";
import type { Client } from "../../../control/src/client/client.js";
import type { RawExit } from "../../../control/src/hypervisor/traced.js";
import { EndReason } from "../../../protocol/messages.js";
import { TraceMode } from "../../../protocol/trace.js";
import { Harness } from "./harness.js";

/** records of one reply */
const PART = 9;
const OUT = 0x7b;
let harness: Harness;
let client: Client;
let modes: number;

beforeEach(async () => {
  harness = await Harness.start();
  client = await harness.client();
  await harness.call(client, "run", { image: "sector", name: "web" });
  modes = 0;
  const { hypervisor } = harness;
  const { guestStat } = hypervisor;
  hypervisor.guestStat = async () => ({ ...(await guestStat.call(hypervisor)), traceModes: modes });
  hypervisor.guestTrace = async (...[, set]: unknown[]) => {
    modes = set as number;
  };
});
afterEach(() => harness.stop());

/** The hypervisor has recorded so many; `last` is how its last one differs. */
function record(count: number, last: Partial<RawExit> = {}): void {
  harness.hypervisor.guestTraced = async (...[, from]: unknown[]) => {
    const first = (from as number | undefined) ?? count;
    const exits = Array.from({ length: Math.max(0, Math.min(PART, count - first)) }, (_, place): RawExit => {
      const exit = { reason: OUT, verdict: 0, tsc: 5n, rip: 0x1000n, qualification: 0x3f8_0010n, rax: 0x41n, rcx: 0n, result: 0x41n };
      const index = first + place;
      return { index, ...exit, ...(index === count - 1 ? last : {}) };
    });
    return { count, exits };
  };
}

const numbers = async (part: { from?: number; last?: number }): Promise<number[]> =>
  (await harness.call(client, "trace", { guest: "web", ...part })).exits.map(({ index }) => index);

it("gives the last exits, or those from a number on, as many as one reply takes", async () => {
  record(1000);
  expect(await numbers({})).toEqual(Array.from({ length: 20 }, (_, index) => 980 + index));
  expect(await numbers({ last: 3 })).toEqual([997, 998, 999]);
  const some = await numbers({ from: 100 });
  expect([some.length, some[0], some.at(-1)]).toEqual([MAX_EXITS, 100, 99 + MAX_EXITS]);
  expect(await numbers({ from: 1000 })).toEqual([]);
  const found = await harness.call(client, "trace", { guest: "web", last: 1 });
  expect(methods.trace.result.parse(found)).toMatchObject({ count: 1000, exits: [{ reason: "io-out", port: 0x3f8, value: "0x41" }] });
});

it("says at which address a guest ended, and that a handler trapped", async () => {
  record(3, { reason: 0x400, verdict: 2, qualification: 2n });
  const { slot } = await harness.call(client, "inspect", { guest: "web" });
  harness.hypervisor.end(slot ?? -1, EndReason.UnbackedMemory, 0xa0000n);
  const ended = await harness.call(client, "trace", { guest: "web" });
  expect(ended.exits.at(-1)).toMatchObject({ reason: "nested-fault", direction: "write", address: "0xa0000", verdict: "stop" });
  expect(ended.exits[0]).not.toHaveProperty("address");

  await harness.call(client, "reset", { guest: "web" });
  const again = await harness.call(client, "inspect", { guest: "web" });
  harness.hypervisor.end(again.slot ?? -1, EndReason.TrapUnreachable);
  expect((await harness.call(client, "trace", { guest: "web" })).exits.map(({ verdict }) => verdict)).toEqual(["resume", "resume", "trap"]);
});

it("watches what it is told to, and leaves the rest as it is", async () => {
  expect(await harness.call(client, "trace.set", { guest: "web", ring: true })).toEqual({ ring: true, time: false });
  expect(await harness.call(client, "trace.set", { guest: "web", time: true })).toEqual({ ring: true, time: true });
  expect(modes).toBe(TraceMode.All);
  expect(await harness.call(client, "trace.set", { guest: "web", ring: false })).toEqual({ ring: false, time: true });
  expect(await harness.call(client, "stats", { guest: "web" })).toMatchObject({ timed: true, traced: false });
});

it("records a guest from its start on when it is run so, and each time that it is started", async () => {
  await harness.call(client, "run", { image: "sector", name: "seen", trace: true });
  expect(modes).toBe(TraceMode.Ring);
  modes = 0;
  await harness.call(client, "reset", { guest: "seen" });
  expect(modes).toBe(TraceMode.Ring);
  expect(await harness.call(client, "inspect", { guest: "seen" })).toMatchObject({ launch: { image: "sector", trace: true } });
});

it("has all counters at once", async () => {
  const found = methods.top.result.parse(await harness.call(client, "top", {}));
  expect(found.guests.map(({ name }) => name)).toEqual(["web"]);
  expect(found.guests[0]?.byReason[0]).toEqual({ reason: "io-out", count: "95" });
  expect(found.link).toMatchObject({ bytesIn: "300", bytesOut: "700" });
});
