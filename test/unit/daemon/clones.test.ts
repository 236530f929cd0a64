// Clones of guests and of snapshots in the daemon: which guests come of it, what they are called, and what stays when it fails.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MAX_CLONES } from "../../../control/src/api/clones.js";
import type { Notification, Params } from "../../../control/src/api/methods.js";
import type { Client } from "../../../control/src/client/client.js";
import { HvkitError } from "../../../control/src/errors.js";
import { AgentDecoder, type AgentMessage } from "../../../control/src/link/agentframe.js";
import { AgentCloned, AgentFrame } from "../../../protocol/agent.js";
import { EndReason, RunState } from "../../../protocol/messages.js";
import type { FakeHypervisor } from "./fake.js";
import { Harness, until } from "./harness.js";

let harness: Harness;
let client: Client;

beforeEach(async () => {
  harness = await Harness.start();
  client = await harness.client();
});
afterEach(() => harness.stop());

const run = (params: object = {}) => harness.call(client, "run", { image: "linux", name: "web", append: "a=b", ...params });
const clone = (params: Omit<Params<"clone">, "guest"> = {}) => harness.call(client, "clone", { guest: "web", ...params });
const hypervisor = (): FakeHypervisor => harness.hypervisor;
const names = async (): Promise<string[]> => (await harness.call(client, "ps", {})).map(({ name }) => name);
const told = async (): Promise<string[]> =>
  (await client.call("events", {})).events.map((event) => ("guest" in event ? `${event.guest.name} ${event.type.slice(6)}` : event.type));
const noMemory = () => Promise.reject(new HvkitError("E_HV_NO_MEMORY", "Not enough memory.", { hint: "Remove guests." }));

/** After so many the hypervisor has no memory for another. */
function memoryFor(count: number): void {
  const guestClone = hypervisor().guestClone.bind(hypervisor());
  let made = 0;
  hypervisor().guestClone = (options) => (made++ < count ? guestClone(options) : noMemory());
}

describe("a clone", () => {
  it("goes on with what its source had, and its source too; its console begins empty", async () => {
    const { id } = await run();
    hypervisor().get(1).ram.write("of both", 0x123456);
    hypervisor().write(1, "before\n");
    const [made] = await clone();
    expect(made).toMatchObject({
      name: "web-1",
      image: "linux",
      state: "running",
      append: "a=b",
      launch: null,
      snapshot: null,
      slot: 2,
      clone: { of: { id, name: "web" }, generation: "2" },
      console: [{ end: 0 }, { end: 0 }],
    });
    expect(made?.id).not.toBe(id);
    expect(hypervisor().get(1).state).toBe(RunState.Runnable);
    expect(hypervisor().get(2).state).toBe(RunState.Runnable);
    expect(hypervisor().get(2).ram.toString("latin1", 0x123456, 0x12345d)).toBe("of both");
    expect((await harness.call(client, "inspect", { guest: "web" })).clone).toBeNull();
    hypervisor().write(2, "after\n");
    expect(Buffer.from((await client.call("logs", { guest: "web-1" })).data, "base64").toString()).toBe("after\n");
    expect(await told()).toEqual([
      "web created",
      "web started",
      ...["created", "cloned", "started", "unpaused"].map((what) => `web-1 ${what}`),
    ]);
  });

  it("gets entropy and a number that no other has", async () => {
    await run();
    const entropy: string[] = [];
    const guestClone = hypervisor().guestClone.bind(hypervisor());
    hypervisor().guestClone = (options) => {
      entropy.push(Buffer.from(options.entropy).toString("hex"));
      return guestClone(options);
    };
    const made = [...(await clone()), ...(await clone())];
    expect(new Set(entropy.map((text) => text.length))).toEqual(new Set([64]));
    expect(new Set(entropy).size).toBe(2);
    expect(new Set(made.map((each) => each.clone?.generation)).size).toBe(2);
  });

  it("that is a Linux is told so by the agent's line, first of all", async () => {
    await run();
    await clone({ count: 2 });
    await clone({ name: "other" });
    const frames = [...hypervisor().guests.values()].flatMap(({ typed }) => {
      const found: AgentMessage[] = [];
      const decoder = new AgentDecoder((message) => found.push({ ...message, payload: Buffer.from(message.payload) }));
      for (const bytes of typed) decoder.push(bytes);
      return found;
    });
    expect(frames.map(({ session, type }) => [session, type])).toEqual(Array(3).fill([0n, AgentFrame.Cloned]));
    const payloads = frames.map(({ payload }) => Buffer.from(payload));
    expect(payloads.map((payload) => payload.toString("latin1", AgentCloned.Name))).toEqual(["web-1", "web-2", "other"]);
    const details = await Promise.all(["web-1", "web-2", "other"].map((guest) => client.call("inspect", { guest })));
    expect(payloads.map((payload) => String(payload.readBigUInt64LE(AgentCloned.Generation)))).toEqual(
      details.map((each) => each.clone?.generation),
    );
    expect(new Set(payloads.map((payload) => payload.toString("hex", AgentCloned.Entropy, AgentCloned.Name))).size).toBe(3);
  });

  it("of another kind is told nothing", async () => {
    await run({ image: "sector", append: undefined });
    await clone();
    expect([...hypervisor().guests.values()].flatMap(({ typed }) => typed)).toEqual([]);
  });

  it("waits for unpause when it shall", async () => {
    await run();
    expect(await clone({ paused: true })).toMatchObject([{ state: "paused" }]);
    expect(hypervisor().get(2).state).toBe(RunState.Paused);
    await client.call("unpause", { guest: "web-1" });
    expect(hypervisor().get(2).state).toBe(RunState.Runnable);
  });

  it("of a paused guest goes on, and that one does not", async () => {
    await run();
    await client.call("pause", { guest: "web" });
    expect(await clone()).toMatchObject([{ state: "running" }]);
    expect(hypervisor().get(1).state).toBe(RunState.Paused);
  });

  it("lives on when its source is gone, and is cloned, saved and booted anew like any guest", async () => {
    await run();
    await clone();
    await client.call("rm", { guest: "web", force: true });
    expect(await harness.call(client, "clone", { guest: "web-1" })).toMatchObject([{ name: "web-1-1", clone: { of: { name: "web-1" } } }]);
    await client.call("snapshot.create", { guest: "web-1", name: "one" });
    await client.call("revert", { guest: "web-1-1", snapshot: "one" });
    expect(await client.call("inspect", { guest: "web-1-1" })).toMatchObject({ clone: null, snapshot: { name: "one" } });
    await client.call("reset", { guest: "web-1" });
    expect(await client.call("inspect", { guest: "web-1" })).toMatchObject({ state: "running", clone: null });
  });

  it("has none of its source's breakpoints", async () => {
    await run();
    await client.call("debug.attach", { guest: "web" });
    const before = hypervisor().get(1).ram[0x500];
    await client.call("debug.resume", { guest: "web", software: [0x500] });
    expect(hypervisor().get(1).ram[0x500]).not.toBe(before);
    await clone();
    expect(hypervisor().get(2).ram[0x500]).toBe(before);
    expect(hypervisor().get(1).ram[0x500]).not.toBe(before);
    expect(hypervisor().get(1).state).toBe(RunState.Runnable);
  });
});

describe("several clones", () => {
  it("are all of one moment, have the next free numbers, and begin when all are there", async () => {
    await run();
    await run({ name: "web-2" });
    const stages: Notification<"progress">[] = [];
    client.on("progress", (progress) => stages.push(progress));
    hypervisor().calls.length = 0;
    const made = await clone({ count: 3 });
    expect(made.map(({ name, state }) => [name, state])).toEqual(["web-1", "web-3", "web-4"].map((name) => [name, "running"]));
    // The first copy is what the others are copies of; it was nobody's, and is gone.
    expect(hypervisor().calls).toEqual(["clone 1 3", "clone 3 4", "clone 3 5", "clone 3 6", "destroy 3"]);
    expect(hypervisor().guests.has(3)).toBe(false);
    expect(stages).toEqual([0, 1, 2, 3].map((done) => ({ stage: "clone", done, total: 3, unit: "guests" })));
    expect((await clone({ count: 2, name: "test" })).map(({ name }) => name)).toEqual(["test-1", "test-2"]);
  });

  it("keep their source for the first one only", async () => {
    await run();
    const guestClone = hypervisor().guestClone.bind(hypervisor());
    let paused: Promise<unknown> | undefined;
    hypervisor().guestClone = async (options) => {
      // The first copy of the first one.
      if (options.guest !== 1) {
        paused ??= harness.call(client, "pause", { guest: "web" });
        await paused;
      }
      return guestClone(options);
    };
    expect(await clone({ count: 3 })).toHaveLength(3);
    expect(hypervisor().get(1).state).toBe(RunState.Paused);
  });

  it("are all of them, or none: memory that is short harms nobody", async () => {
    await run();
    memoryFor(4);
    await expect(clone({ count: 10 })).rejects.toMatchObject({
      code: "E_HV_NO_MEMORY",
      message: "clone 4 of 10 could not be made, and those before it are taken back: Not enough memory.",
      hint: "Remove guests.",
      data: { made: 3, count: 10 },
    });
    expect(await names()).toEqual(["web"]);
    expect([...hypervisor().guests.keys()]).toEqual([1]);
    expect(hypervisor().get(1).state).toBe(RunState.Runnable);
  });

  it("are taken back when who asked for them goes", async () => {
    await run();
    const guestClone = hypervisor().guestClone.bind(hypervisor());
    const other = await harness.client();
    hypervisor().guestClone = async (options) => {
      if (hypervisor().guests.size === 4) {
        await other.close();
        await until(() => harness.daemon.server.connections().length === 1);
      }
      return guestClone(options);
    };
    await expect(other.call("clone", { guest: "web", count: 10 })).rejects.toMatchObject({ code: "E_DAEMON_LOST" });
    await until(() => hypervisor().guests.size === 1);
    expect(await names()).toEqual(["web"]);
  });

  it("go with the hypervisor, when it is lost on the way", async () => {
    await run();
    const guestClone = hypervisor().guestClone.bind(hypervisor());
    hypervisor().guestClone = async (options) => {
      if (hypervisor().guests.size < 4) return guestClone(options);
      harness.hypervisor.emit("lost", "The engine ended.");
      throw new HvkitError("E_LINK_LOST", "The engine ended.");
    };
    await expect(clone({ count: 10 })).rejects.toMatchObject({ code: "E_LINK_LOST" });
    expect(await names()).toEqual(["web"]);
  });

  it("leave alone what somebody did to one of them meanwhile", async () => {
    await run();
    client.on("event", (event) => {
      if (event.type === "guest.cloned" && event.guest.name === "web-1") void client.call("rm", { guest: "web-1", force: true });
    });
    await client.call("events.subscribe", {});
    expect(await clone({ count: 3 })).toHaveLength(3);
    expect(await names()).toEqual(["web", "web-2", "web-3"]);
    expect(hypervisor().guests.size).toBe(3);
  });
});

describe("a clone is refused, and nothing is made,", () => {
  it.each<[string, object]>([
    ["E_NO_GUEST", { guest: "nobody" }],
    ["E_NAME", { name: "../one" }],
    ["E_NAME", { name: "../one", count: 2 }],
    ["E_NAME_TAKEN", { name: "web" }],
    ["E_RPC_PARAMS", { count: 0 }],
    ["E_RPC_PARAMS", { count: -1 }],
    ["E_RPC_PARAMS", { count: 1.5 }],
    ["E_RPC_PARAMS", { count: "abc" }],
    ["E_RPC_PARAMS", { count: MAX_CLONES + 1 }],
  ])("with %s: %j", async (code, params) => {
    await run();
    await expect(client.call("clone", { guest: "web", ...params })).rejects.toMatchObject({ code });
    expect(await names()).toEqual(["web"]);
    expect(hypervisor().guests.size).toBe(1);
  });

  it("of a guest that has ended", async () => {
    await run();
    hypervisor().end(1, EndReason.PowerOff);
    await expect(clone()).rejects.toMatchObject({ code: "E_GUEST_STATE", message: "guest 'web' is exited: cannot clone it" });
  });

  it("of a guest that ends just then", async () => {
    await run();
    hypervisor().get(1).state = RunState.Ended; // and the event is on its way
    await expect(clone({ count: 2 })).rejects.toMatchObject({ code: "E_HV_BAD_STATE" });
    expect(await names()).toEqual(["web"]);
  });

  it("when all slots are taken", async () => {
    await run({ image: "sector", append: undefined });
    // Somebody else's: four are left, of which one is what the copies are copied from.
    const one = hypervisor().get(1);
    for (let slot = 1000; hypervisor().guests.size < MAX_CLONES - 3; slot++) hypervisor().guests.set(slot, one);
    expect(await clone({ count: 3 })).toHaveLength(3);
    await expect(clone({ count: 1 })).resolves.toHaveLength(1);
    await expect(clone({ count: 3 })).rejects.toMatchObject({ code: "E_HV_NO_SLOT" });
    expect(await names()).toHaveLength(5);
  });

  it("when memory is short for the first", async () => {
    await run();
    memoryFor(0);
    await expect(clone()).rejects.toMatchObject({ code: "E_HV_NO_MEMORY", message: "Not enough memory." });
    await expect(clone({ count: 2 })).rejects.toMatchObject({ code: "E_HV_NO_MEMORY" });
    expect(await names()).toEqual(["web"]);
  });
});

describe("run --from", () => {
  const from = (params: Omit<Params<"run.from">, "snapshot"> = {}) => harness.call(client, "run.from", { snapshot: "one", ...params });
  beforeEach(async () => {
    await run();
    hypervisor().get(1).ram.write("saved", 0x1000);
    await client.call("snapshot.create", { guest: "web", name: "one" });
    await client.call("rm", { guest: "web", force: true });
    // The guest that shows what CPUID answers goes after the first look.
    await client.call("snapshot.check", { snapshot: "one" });
    hypervisor().calls.length = 0;
  });

  it("loads the snapshot once, for as many copies as there shall be", async () => {
    const made = await from({ count: 3 });
    expect(made).toMatchObject(
      ["web-1", "web-2", "web-3"].map((name) => ({ name, state: "running", snapshot: { name: "one" }, clone: { of: null } })),
    );
    expect(hypervisor().calls).toEqual(["load 3", "clone 3 4", "clone 3 5", "clone 3 6", "destroy 3"]);
    expect(hypervisor().get(6).ram.toString("latin1", 0x1000, 0x1005)).toBe("saved");
  });

  it("makes even one a copy, which can tell that it is one", async () => {
    expect(await from({ name: "web", paused: true })).toMatchObject([
      { name: "web", state: "paused", clone: { of: null, generation: "4" } },
    ]);
    expect([...hypervisor().guests.keys()]).toEqual([4]);
  });

  it("leaves nothing when it fails", async () => {
    memoryFor(2);
    await expect(from({ count: 3 })).rejects.toMatchObject({ code: "E_HV_NO_MEMORY" });
    await expect(from({ name: "../x" })).rejects.toMatchObject({ code: "E_NAME" });
    await expect(harness.call(client, "run.from", { snapshot: "none" })).rejects.toMatchObject({ code: "E_NO_SNAPSHOT" });
    expect(await names()).toEqual([]);
    expect(hypervisor().guests.size).toBe(0);
  });

  it("lives on without the snapshot's file", async () => {
    await from({ count: 2 });
    await client.call("snapshot.rm", { name: "one" });
    expect(await harness.call(client, "clone", { guest: "web-1" })).toHaveLength(1);
    expect((await client.call("ps", {})).map(({ state }) => state)).toEqual(["running", "running", "running"]);
  });
});
