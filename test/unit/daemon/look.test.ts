// The methods that look inside a guest, and the view that the tools make of them.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Client } from "../../../control/src/client/client.js";
import { collectEvidence } from "../../../control/src/client/collect.js";
import { liveView } from "../../../control/src/client/liveview.js";
import { EndReason } from "../../../protocol/messages.js";
import { Harness, until } from "./harness.js";

let harness: Harness;
let client: Client;
beforeEach(async () => {
  harness = await Harness.start();
  client = await harness.client();
  await harness.call(client, "run", { image: "sector", name: "web" });
});
afterEach(() => harness.stop());

/** The hypervisor goes, and another one comes. */
async function lose(): Promise<void> {
  harness.hypervisor.emit("lost", "gone");
  await until(async () => {
    const { state } = await client.call("status", {});
    return state === "running" && harness.made.length === 2;
  });
}

describe("a guest's machine", () => {
  it("comes as records, by the layout table of the hypervisor that runs", async () => {
    const machine = await harness.call(client, "machine", { guest: "web" });
    expect(machine).toMatchObject({ name: "web", state: "running", halted: true, inject: "0x80000020", events: 5, inputBytes: [0, 2] });
    // of the sample's layout table and region (test/unit/snapshot/sample.ts)
    expect(Object.keys(machine.records)).toEqual(["vcpu", "timer"]);
    expect(machine.records.timer).toMatchObject({ mode: String((152 * 3 + 1) & 255), latch: ["207", "210", "213"] });
    expect(machine.records.vcpu?.gpr).toHaveLength(16);
  });

  it("is there for one that has ended, and not for one that the hypervisor has no more", async () => {
    harness.hypervisor.end(1, EndReason.TripleFault);
    expect(await harness.call(client, "machine", { guest: "web" })).toMatchObject({ state: "exited", idle: false });
    expect(await harness.call(client, "exit", { guest: "web" })).toMatchObject({
      fields: { qualification: "0x1", vectoring: "0x5", linearAddress: "0x8" },
      end: { code: "triple-fault" },
    });
    await lose();
    await expect(client.call("machine", { guest: "web" })).rejects.toMatchObject({ code: "E_GUEST_STATE" });
  });
});

it("nested tables have the vendor's name", async () => {
  const nested = await harness.call(client, "nested", { guest: "web", address: 0x40_1234 });
  expect(nested).toMatchObject({ tables: "NPT", root: "0x1000", entries: ["0x2007", "0x3007", "0x400087"] });
  await expect(client.call("nested", { guest: "web", address: 2 ** 48 })).rejects.toMatchObject({ code: "E_RPC_PARAMS" });
});

describe("the view of a live guest", () => {
  it("reads registers, memory in pieces, and the machine", async () => {
    const ram = harness.hypervisor.get(1).ram;
    for (let at = 0; at < ram.length; at += 4096) ram.writeUInt32LE(at, at);
    const view = await liveView(client, "web");
    expect(view.memory.bytes).toBe(2 * 2 ** 20);
    expect(Buffer.from(await view.memory.read(0, ram.length)).equals(ram)).toBe(true);
    await expect(view.memory.read(ram.length - 1, 2)).rejects.toMatchObject({ code: "E_ADDRESS" });
    expect(await view.registers()).toMatchObject({ rax: 0n, rcx: 0x1111n });
    expect(await view.machine()).toMatchObject({ clockNs: 123_456_789_012n, records: { timer: { mode: 201n } } });
  });
});

it("evidence is collected of a guest that runs, that ends meanwhile, and that is lost", async () => {
  expect(await collectEvidence(client, "web")).toMatchObject({ state: "running", running: { activity: { exits: 0n }, unchanged: true } });
  const meanwhile = collectEvidence(client, "web");
  setTimeout(() => harness.hypervisor.end(1, EndReason.HaltedForever), 100);
  expect(await meanwhile).toMatchObject({ state: "exited", end: { code: "halted-forever" }, running: undefined });
  await lose();
  expect(await collectEvidence(client, "web")).toMatchObject({ state: "exited", standing: undefined });
});
