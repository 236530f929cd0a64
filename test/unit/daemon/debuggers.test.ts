// Debuggers of the daemon: one a guest, its breakpoints in memory only while the guest runs, and a guest that goes on when the debugger is gone.
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Notification } from "../../../control/src/api/methods.js";
import type { Client } from "../../../control/src/client/client.js";
import { HvkitError } from "../../../control/src/errors.js";
import { DebugFlag, DebugStop } from "../../../protocol/debug.js";
import { EndReason, RunState } from "../../../protocol/messages.js";
import { Register } from "../../../protocol/state.js";
import type { FakeHypervisor } from "./fake.js";
import { Harness, until } from "./harness.js";

const INT1 = 0xf1;
const ATTACHED = DebugFlag.Attached;
let harness: Harness;
let client: Client;
let stops: Notification<"debug.stop">[];
let ends: Notification<"debug.end">[];

const hypervisor = (): FakeHypervisor => harness.hypervisor;
const stateOf = (slot: number): RunState | undefined => hypervisor().guests.get(slot)?.state;
const byteAt = (address: number): number | undefined => hypervisor().guests.get(1)?.ram[address];

beforeEach(async () => {
  harness = await Harness.start();
  client = await harness.client();
  stops = [];
  ends = [];
  client.on("debug.stop", (stop) => stops.push(stop));
  client.on("debug.end", (end) => ends.push(end));
  await harness.call(client, "run", { image: "sector", name: "web" });
});
afterEach(() => harness.stop());

const attach = () => harness.call(client, "debug.attach", { guest: "web" });

test("taken, the guest stands; given back, it runs, and nothing of the debugger is left", async () => {
  expect((await attach()).guest.state).toBe("paused");
  expect(stateOf(1)).toBe(RunState.Paused);
  await harness.call(client, "debug.detach", { guest: "web" });
  expect(stateOf(1)).toBe(RunState.Runnable);
  expect(hypervisor().wishes.at(-1)?.wish).toEqual({ flags: 0, addresses: [], dr7: 0 });
});

test("a guest that was left before its first instruction is taken as it is", async () => {
  await harness.call(client, "run", { image: "sector", name: "early", paused: true });
  expect((await harness.call(client, "debug.attach", { guest: "early" })).guest.state).toBe("paused");
});

test("breakpoints lie in memory while it runs, and what was there comes back when it stops", async () => {
  await attach();
  await harness.call(client, "debug.store", { guest: "web", address: 0x500, data: Buffer.from([0x90, 0x91]).toString("base64") });
  const resume = { guest: "web", step: true, pops: true, addresses: ["0x7c00"], dr7: 2, software: [0x500, 0x501, 0x500] };
  await harness.call(client, "debug.resume", resume);
  expect([byteAt(0x500), byteAt(0x501)]).toEqual([INT1, INT1]);
  expect(hypervisor().wishes.at(-1)?.wish).toMatchObject({ flags: 7, addresses: [0x7c00n], dr7: 2 });
  hypervisor().stopAt(1, DebugStop.Software, 0x500n);
  await until(() => stops.length > 0);
  expect(stops).toMatchObject([{ stop: DebugStop.Software, rip: "0x500" }]);
  expect([byteAt(0x500), byteAt(0x501)]).toEqual([0x90, 0x91]);
});

test("what the guest itself has written over a breakpoint stays", async () => {
  await attach();
  await harness.call(client, "debug.resume", { guest: "web", software: [0x500] });
  hypervisor().guests.get(1)?.ram.set([0x42], 0x500);
  await harness.call(client, "debug.pause", { guest: "web" });
  expect(byteAt(0x500)).toBe(0x42);
  expect(stops).toMatchObject([{ stop: 0 }]);
});

test("registers are read and written by name; one that is refused is named", async () => {
  await attach();
  await harness.call(client, "debug.write", { guest: "web", registers: [["rip", "0x1234"]], inject: "0x80000301" });
  expect((await harness.call(client, "debug.read", { guest: "web" })).registers.rip).toBe("0x1234");
  expect(hypervisor().registers[Register.Rip]).toBe(0x1234n);
  await expect(client.call("debug.write", { guest: "web", registers: [["cr0", "0x0"]] })).rejects.toMatchObject({
    code: "E_DEBUG_REGISTER",
  });
  await expect(client.call("debug.write", { guest: "web", registers: [["xyz", "0x0"]] })).rejects.toMatchObject({
    code: "E_DEBUG_REGISTER",
  });
});

test.each([
  ["copied", () => harness.call(client, "clone", { guest: "web" })],
  ["saved", () => harness.call(client, "snapshot.create", { guest: "web", name: "here" })],
])("a guest that stops by itself just as it is %s stays so, and its debugger hears of it", async (_what, act) => {
  await attach();
  const before = byteAt(0x500);
  await harness.call(client, "debug.resume", { guest: "web", software: [0x500] });
  const { guestPause } = hypervisor();
  hypervisor().guestPause = async (guest) => {
    hypervisor().guestPause = guestPause;
    hypervisor().stopAt(guest, DebugStop.Software, 0x500n);
    throw new HvkitError("E_HV_BAD_STATE", "The guest is paused.");
  };
  await act();
  await until(() => stops.length > 0);
  expect(stops).toMatchObject([{ stop: DebugStop.Software, rip: "0x500" }]);
  expect(stateOf(1)).toBe(RunState.Paused);
  expect(byteAt(0x500)).toBe(before);
  const copy = hypervisor().guests.get(2);
  if (copy) expect([copy.ram[0x500], copy.state]).toEqual([before, RunState.Runnable]);
});

test("one debugger a guest; nobody else continues it", async () => {
  await attach();
  const other = await harness.client();
  await expect(other.call("debug.attach", { guest: "web" })).rejects.toMatchObject({ code: "E_DEBUG_ATTACHED" });
  await expect(other.call("unpause", { guest: "web" })).rejects.toMatchObject({ code: "E_DEBUG_ATTACHED" });
  await expect(other.call("debug.read", { guest: "web" })).rejects.toMatchObject({ code: "E_DEBUG_DETACHED" });
  await expect(other.call("debug.resume", { guest: "web" })).rejects.toMatchObject({ code: "E_DEBUG_DETACHED" });
});

test("while it runs it must be stopped first; `pause` by anybody is a stop for the debugger", async () => {
  await attach();
  await harness.call(client, "debug.resume", { guest: "web" });
  await expect(client.call("debug.read", { guest: "web" })).rejects.toMatchObject({ code: "E_DEBUG_RUNNING" });
  const other = await harness.client();
  expect((await other.call("pause", { guest: "web" })).state).toBe("paused");
  await expect.poll(() => stops.length).toBe(1); // by another connection than the reply
});

test("a connection that closes detaches: breakpoints go, and the guest runs", async () => {
  await attach();
  await harness.call(client, "debug.resume", { guest: "web", step: true, software: [0x500] });
  await client.close();
  await until(() => hypervisor().wishes.at(-1)?.wish.flags === 0 && stateOf(1) === RunState.Runnable);
  expect(byteAt(0x500)).toBe(0);
  expect((await (await harness.client()).call("debug.attach", { guest: "web" })).guest.state).toBe("paused");
});

test.each([
  ["ended", () => hypervisor().end(1, EndReason.PowerOff), "exited"],
  ["reset", () => client.call("reset", { guest: "web" }), "restarting"],
  ["removed", () => client.call("rm", { guest: "web", force: true }), undefined],
])("a guest that is %s is told, once, and can be taken again if it is there", async (what, act, state) => {
  await attach();
  await harness.call(client, "debug.resume", { guest: "web" });
  await act();
  await until(() => ends.length > 0);
  if (state !== undefined) expect(ends).toMatchObject([{ state }]);
  await expect(client.call("debug.read", { guest: "web" })).rejects.toMatchObject({
    code: expect.stringMatching(/E_DEBUG_DETACHED|E_NO_GUEST/),
  });
  if (what === "reset") {
    expect((await attach()).guest.state).toBe("paused");
    await harness.call(client, "debug.detach", { guest: "web" });
  }
  expect(ends).toHaveLength(1);
});

test("a snapshot has nothing of the debugger, which goes on as before", async () => {
  await attach();
  await harness.call(client, "debug.resume", { guest: "web", addresses: ["0x7c00"], dr7: 2, software: [0x500] });
  let seen: (number | undefined)[] = [];
  const save = hypervisor().guestStateSave.bind(hypervisor());
  hypervisor().guestStateSave = async (guest) => {
    seen = [byteAt(0x500), hypervisor().wishes.at(-1)?.wish.flags];
    return save(guest);
  };
  await harness.call(client, "snapshot.create", { guest: "web", name: "s" });
  expect(seen).toEqual([0, ATTACHED]);
  expect(byteAt(0x500)).toBe(INT1);
  expect(stateOf(1)).toBe(RunState.Runnable);
  expect(stops).toEqual([]);
});
