import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Client } from "../../../control/src/client/client.js";
import { Daemon } from "../../../control/src/daemon/daemon.js";
import { silentLog } from "../../../control/src/daemon/log.js";
import { HvkitError } from "../../../control/src/errors.js";
import { EndReason, ResumeClock, RunState } from "../../../protocol/messages.js";
import { sampleLayout, sampleState } from "../snapshot/sample.js";
import { fakeBoot } from "./fake.js";
import { Harness, until } from "./harness.js";

let harness: Harness;
let client: Client;

beforeEach(async () => {
  harness = await Harness.start();
  client = await harness.client();
});
afterEach(() => harness.stop());

const run = (params: object = {}) => harness.call(client, "run", { image: "linux", name: "web", append: "a=b", ...params });
const create = (name = "one") => harness.call(client, "snapshot.create", { guest: "web", name });

describe("a snapshot", () => {
  it("has all of the guest, which goes on", async () => {
    const { id } = await run();
    const states: string[] = [];
    client.on("event", (event) => states.push(event.type));
    await client.call("events.subscribe", {});
    const stages: string[] = [];
    client.on("progress", ({ stage, done, total }) => stages.push(`${stage} ${done / total}`));
    const made = await harness.call(client, "snapshot.create", { guest: "web", name: "one", description: "before" });
    expect(made).toMatchObject({
      name: "one",
      path: join(harness.snapshots, "one.hvsnap"),
      description: "before",
      guest: { id, name: "web" },
      image: "linux",
      kind: "linux",
      append: "a=b",
      memoryBytes: 32 * 2 ** 20,
      engine: { name: "qemu", accel: "tcg", vendor: "AMD SVM", build: "fake 1" },
      cpuModel: "portable",
      tscKhz: 1_000_000,
      layout: sampleLayout().identity,
    });
    expect(harness.hypervisor.calls).toEqual(["start 1", "save 1"]);
    expect(harness.hypervisor.get(1).state).toBe(RunState.Runnable);
    expect(states).toEqual(["guest.paused", "guest.unpaused"]);
    expect(stages.at(-1)).toBe("save 1");
    expect(await harness.call(client, "snapshot.inspect", { snapshot: "one" })).toEqual(made);
    expect(await harness.call(client, "snapshot.ls", {})).toMatchObject([
      { name: "one", snapshot: { guest: { name: "web" } }, problem: null },
    ]);
  });

  it("of a paused guest leaves it paused, and gets a name of its own", async () => {
    await run();
    await client.call("pause", { guest: "web" });
    const { name } = await harness.call(client, "snapshot.create", { guest: "web" });
    expect(name).toMatch(/^web-\d{8}-\d{6}$/);
    expect(harness.hypervisor.get(1).state).toBe(RunState.Paused);
    expect(await harness.call(client, "inspect", { guest: "web" })).toMatchObject({ state: "paused" });
  });

  it("that fails lets the guest go on, and leaves no file", async () => {
    await run();
    harness.hypervisor.guestStateSave = () => Promise.reject(new HvkitError("E_HV_BAD_REQUEST", "no"));
    await expect(create()).rejects.toMatchObject({ code: "E_HV_BAD_REQUEST" });
    expect(harness.hypervisor.get(1).state).toBe(RunState.Runnable);
    expect(await harness.call(client, "inspect", { guest: "web" })).toMatchObject({ state: "running" });
    expect(readdirSync(harness.snapshots)).toEqual([]);
  });

  it.each([
    ["E_NO_GUEST", { guest: "nobody" }],
    ["E_NAME", { guest: "web", name: "../one" }],
    ["E_DESCRIPTION", { guest: "web", name: "two", description: "x".repeat(1025) }],
    ["E_DESCRIPTION", { guest: "web", name: "two", description: "red \x1b[31m" }],
    ["E_SNAPSHOT_EXISTS", { guest: "web", name: "one" }],
  ])("is refused with %s", async (code, params) => {
    await run();
    await create();
    await expect(client.call("snapshot.create", params)).rejects.toMatchObject({ code });
    expect(harness.hypervisor.calls).toEqual(["start 1", "save 1"]);
  });

  it("is not taken of a guest that has ended", async () => {
    await run();
    harness.hypervisor.end(1, EndReason.PowerOff);
    await expect(create()).rejects.toMatchObject({ code: "E_GUEST_STATE" });
  });

  it("is removed, and is gone", async () => {
    await run();
    await create();
    await client.call("snapshot.rm", { name: "one" });
    await expect(client.call("restore", { snapshot: "one" })).rejects.toMatchObject({ code: "E_NO_SNAPSHOT" });
  });
});

describe("a daemon that starts", () => {
  it("removes what killed writers left, and no snapshot", async () => {
    await run();
    await create();
    writeFileSync(join(harness.snapshots, "two.hvsnap.999999999-5.new"), "half of it");
    const { boot } = fakeBoot();
    const request = { engine: "auto", accel: "auto", memoryBytes: 2 ** 30 } as const;
    new Daemon({ boot, request, paths: harness.paths, root: harness.root, log: silentLog(), snapshotFolder: harness.snapshots });
    expect(readdirSync(harness.snapshots)).toEqual(["one.hvsnap"]);
  });
});

describe("restore", () => {
  it("makes a new guest of it, with RAM and state, that goes on", async () => {
    await run();
    harness.hypervisor.get(1).ram.write("written later", 0x123456);
    const { createdAt } = await create();
    const guest = await harness.call(client, "restore", { snapshot: "one" });
    expect(guest).toMatchObject({
      name: "web-2",
      image: "linux",
      state: "running",
      append: "a=b",
      memoryBytes: 32 * 2 ** 20,
      snapshot: { name: "one", createdAt },
    });
    const [before, after] = [harness.hypervisor.get(1), harness.hypervisor.get(3)]; // slot 2 showed what CPUID answers
    expect(after.ram.equals(before.ram)).toBe(true);
    const { region, ...state } = sampleState();
    expect(after.saved).toMatchObject({
      ...state,
      fpu: Buffer.from(state.fpu),
      consoleInput: state.consoleInput.map((part) => Buffer.from(part)),
    });
    expect(Buffer.from(after.saved?.region ?? []).subarray(0, 144)).toEqual(Buffer.from(region).subarray(0, 144));
    expect(after.state).toBe(RunState.Runnable);
    expect(await harness.call(client, "restore", { snapshot: "one", name: "third", paused: true })).toMatchObject({
      name: "third",
      state: "paused",
    });
    expect(harness.hypervisor.get(4).state).toBe(RunState.Paused);
    await client.call("unpause", { guest: "third" });
    expect(harness.hypervisor.get(4).state).toBe(RunState.Runnable);
  });

  it("takes the name that the guest had, when it is free", async () => {
    await run();
    await create();
    await client.call("rm", { guest: "web", force: true });
    expect(await harness.call(client, "restore", { snapshot: join(harness.snapshots, "one.hvsnap") })).toMatchObject({ name: "web" });
  });

  it.each(["restore", "revert"] as const)("paused by %s, catches up with the time since it was saved, once", async (how) => {
    await run();
    await create();
    const at = harness.hypervisor.guests;
    const goBack = (): Promise<unknown> =>
      how === "restore"
        ? client.call("restore", { snapshot: "one", name: "two", paused: true })
        : client.call("revert", { guest: "web", snapshot: "one", paused: true });
    const guest = how === "restore" ? "two" : "web";
    await new Promise((resolve) => setTimeout(resolve, 30));
    await goBack();
    const slot = Math.max(...at.keys());
    await client.call("unpause", { guest, clock: "catch-up" });
    const { clock, behindNs = 0n } = harness.hypervisor.get(slot).resumed ?? {};
    expect(clock).toBe(ResumeClock.CatchUp);
    expect(Number(behindNs)).toBeGreaterThanOrEqual(29e6);
    expect(Number(behindNs)).toBeLessThan(60e9);
    await client.call("pause", { guest });
    await client.call("unpause", { guest, clock: "catch-up" });
    expect(harness.hypervisor.get(slot).resumed).toEqual({ clock: ResumeClock.CatchUp, behindNs: 0n });
  });

  it("of a guest that was paused catches up with that time too, and so does one that was saved again", async () => {
    await run();
    await client.call("pause", { guest: "web" });
    await new Promise((resolve) => setTimeout(resolve, 300));
    await create("one");
    await client.call("restore", { snapshot: "one", name: "two", paused: true });
    await client.call("snapshot.create", { guest: "two", name: "later" });
    await client.call("restore", { snapshot: "later", name: "three", paused: true });
    const slot = Math.max(...harness.hypervisor.guests.keys());
    await client.call("unpause", { guest: "three", clock: "catch-up" });
    expect(Number(harness.hypervisor.get(slot).resumed?.behindNs)).toBeGreaterThanOrEqual(299e6);
  });

  it("that fails leaves nothing", async () => {
    await run();
    await create();
    const { freeBytes } = harness.hypervisor;
    harness.hypervisor.loadError = new HvkitError("E_HV_BAD_REQUEST", "no");
    await expect(client.call("restore", { snapshot: "one" })).rejects.toMatchObject({ code: "E_HV_BAD_REQUEST" });
    expect([...harness.hypervisor.guests.keys()]).toEqual([1]);
    expect(harness.hypervisor.freeBytes).toBe(freeBytes);
    expect(await harness.call(client, "ps", {})).toHaveLength(1);
  });

  it("is refused before anything is made where the CPU lacks something", async () => {
    await run();
    await create();
    harness.hypervisor.cpuid = sampleState().cpuid.map((row) => ({ ...row, edx: row.leaf === 1 ? 0 : row.edx }));
    await expect(client.call("restore", { snapshot: "one" })).rejects.toMatchObject({
      code: "E_SNAPSHOT_CPU",
      message: expect.stringContaining("the CPU lacks sse2") as string,
    });
    await expect(client.call("revert", { guest: "web", snapshot: "one" })).rejects.toMatchObject({ code: "E_SNAPSHOT_CPU" });
    expect([...harness.hypervisor.guests.keys()]).toEqual([1]);
    expect(await harness.call(client, "snapshot.check", { snapshot: "one" })).toMatchObject({
      ok: false,
      target: "qemu (tcg), AMD SVM",
      obstacles: expect.arrayContaining([{ code: "cpu-feature", severity: "error", text: "the CPU lacks fpu" }]) as unknown,
    });
  });

  it("is checked where the CPU model cannot be had at all", async () => {
    await run();
    await create();
    harness.hypervisor.guestCreate = () => Promise.reject(new HvkitError("E_HV_CPU_LACKS", "The CPU lacks CPUID 7h EBX 00000020h."));
    expect(await harness.call(client, "snapshot.check", { snapshot: "one" })).toMatchObject({
      ok: false,
      target: "this hypervisor",
      obstacles: [{ code: "cpu-feature", severity: "error", text: "The CPU lacks CPUID 7h EBX 00000020h." }],
    });
  });

  it("is reset from its image, and says so when that is gone", async () => {
    await run();
    await create();
    await harness.call(client, "restore", { snapshot: "one", name: "two" });
    expect(await harness.call(client, "reset", { guest: "two" })).toMatchObject({ state: "running", restarts: 1 });
    expect(await harness.call(client, "inspect", { guest: "two" })).toMatchObject({ snapshot: null });
    expect(harness.hypervisor.calls.at(-1)).toMatch(/^start/);
    rmSync(join(harness.root, "images/linux"), { recursive: true });
    await expect(client.call("reset", { guest: "two" })).rejects.toMatchObject({ code: "E_NO_IMAGE" });
    expect(await harness.call(client, "inspect", { guest: "two" })).toMatchObject({ state: "running" });
  });

  it("cannot be reset when files were added that the snapshot does not keep", async () => {
    const file = join(harness.folder, "data");
    writeFileSync(file, "added data");
    await run({ add: [{ file, path: "/add/data" }] });
    await create();
    const { added } = await harness.call(client, "restore", { snapshot: "one", name: "two" });
    expect(added).toEqual([{ path: "/add/data", bytes: 10 }]);
    await expect(client.call("reset", { guest: "two" })).rejects.toMatchObject({ code: "E_RESET_FILES" });
    expect(await harness.call(client, "reset", { guest: "web" })).toMatchObject({ state: "running" });
  });

  it("works after the hypervisor was lost, and `down` with it", async () => {
    await run();
    await create();
    harness.hypervisor.emit("lost", "gone");
    await until(() => harness.made.length === 2 && harness.daemon.host.state === "running");
    expect(await harness.call(client, "restore", { snapshot: "one", name: "two" })).toMatchObject({ state: "running" });
    expect(await harness.call(client, "revert", { guest: "web", snapshot: "one" })).toMatchObject({ state: "running", end: null });
  });
});

describe("revert", () => {
  it("takes the guest back, with its id, name and log", async () => {
    const { id } = await run();
    harness.hypervisor.write(1, "before ");
    const { ram } = harness.hypervisor.get(1);
    ram.write("then", 0x100000);
    await create();
    ram.write("now!", 0x100000);
    expect(await harness.call(client, "revert", { guest: "web", snapshot: "one" })).toMatchObject({
      id,
      name: "web",
      state: "running",
      restarts: 0,
      snapshot: { name: "one" },
      slot: 3,
    });
    expect([...harness.hypervisor.guests.keys()]).toEqual([3]);
    expect(harness.hypervisor.get(3).ram.toString("latin1", 0x100000, 0x100004)).toBe("then");
    harness.hypervisor.write(3, "after");
    expect(Buffer.from((await client.call("logs", { guest: "web" })).data, "base64").toString()).toBe("before after");
  });

  it("keeps the CPUs that the guest was pinned to; a restore takes its own", async () => {
    await client.call("run", { image: "sector", name: "web", affinity: [0] });
    await create();
    await client.call("revert", { guest: "web", snapshot: "one" });
    expect(harness.hypervisor.get(3).affinity).toBe(0b1);
    await client.call("restore", { snapshot: "one", name: "two", affinity: [1, 2] });
    expect(harness.hypervisor.get(4).affinity).toBe(0b110);
    expect(await client.call("inspect", { guest: "two" })).toMatchObject({ affinity: [1, 2] });
  });

  it("a restored guest has the CPUs that the saved one was pinned to, as far as they are here", async () => {
    await client.call("run", { image: "sector", name: "web", affinity: [0, 3] });
    await create();
    expect(await client.call("snapshot.inspect", { snapshot: "one" })).toMatchObject({ affinity: [0, 3] });
    harness.hypervisor.hello.cpus = 2;
    expect(await client.call("restore", { snapshot: "one", name: "two" })).toMatchObject({ affinity: [0] });
    harness.hypervisor.hello.cpus = 4;
    expect(await client.call("restore", { snapshot: "one", name: "three" })).toMatchObject({ affinity: [0, 3] });
    expect(await client.call("restore", { snapshot: "one", name: "four", affinity: [1] })).toMatchObject({ affinity: [1] });
    await client.call("run", { image: "sector", name: "late", affinity: [3] });
    await client.call("snapshot.create", { guest: "late", name: "late" });
    harness.hypervisor.hello.cpus = 1;
    expect(await client.call("restore", { snapshot: "late", name: "five" })).toMatchObject({ affinity: null });
  });

  it("takes a guest back that has ended", async () => {
    await run();
    await create();
    harness.hypervisor.end(1, EndReason.TripleFault);
    expect(await harness.call(client, "revert", { guest: "web", snapshot: "one", paused: true })).toMatchObject({
      state: "paused",
      end: null,
    });
  });

  it("ends the guest first only where there is no room for both", async () => {
    await run();
    await create();
    harness.hypervisor.freeBytes = 0; // not even for the guest that shows what CPUID answers
    expect(await harness.call(client, "revert", { guest: "web", snapshot: "one" })).toMatchObject({ state: "running", slot: 2 });
    expect(harness.hypervisor.calls).toEqual(["start 1", "save 1", "destroy 1", "load 2"]);
  });

  it("ends the guest first where all slots are taken", async () => {
    await run();
    await create();
    const { hypervisor } = harness;
    const guestCreate = hypervisor.guestCreate.bind(hypervisor);
    hypervisor.guestCreate = (options) =>
      hypervisor.guests.size > 0 ? Promise.reject(new HvkitError("E_HV_NO_SLOT", "All slots are taken")) : guestCreate(options);
    expect(await harness.call(client, "revert", { guest: "web", snapshot: "one" })).toMatchObject({ state: "running", slot: 2 });
    expect(hypervisor.calls).toEqual(["start 1", "save 1", "destroy 1", "load 2"]);
  });

  it("of a guest that resets itself meanwhile is what it ends with", async () => {
    await run();
    await create();
    const { hypervisor } = harness;
    const guestStateLoad = hypervisor.guestStateLoad.bind(hypervisor);
    hypervisor.guestStateLoad = async (slot, state) => {
      hypervisor.end(1, EndReason.Reset);
      await new Promise((resolve) => setTimeout(resolve, 20)); // its start is due by now
      await guestStateLoad(slot, state);
    };
    await client.call("revert", { guest: "web", snapshot: "one" });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await harness.call(client, "inspect", { guest: "web" })).toMatchObject({
      state: "running",
      restarts: 0,
      snapshot: { name: "one" },
    });
    expect(hypervisor.calls).not.toContain("start 4");
  });

  it("that fails leaves the guest as it was", async () => {
    await run();
    await create();
    harness.hypervisor.loadError = new HvkitError("E_HV_BAD_REQUEST", "no");
    await expect(client.call("revert", { guest: "web", snapshot: "one" })).rejects.toMatchObject({ code: "E_HV_BAD_REQUEST" });
    expect(await harness.call(client, "inspect", { guest: "web" })).toMatchObject({ state: "running", slot: 1 });
    expect([...harness.hypervisor.guests.keys()]).toEqual([1]);
  });

  it("says why the guest is gone when it fails without room for both", async () => {
    await run();
    await create();
    harness.hypervisor.freeBytes = 2 ** 21;
    harness.hypervisor.loadError = new HvkitError("E_HV_BAD_REQUEST", "not this one");
    await expect(client.call("revert", { guest: "web", snapshot: "one" })).rejects.toMatchObject({ code: "E_HV_BAD_REQUEST" });
    expect(await harness.call(client, "inspect", { guest: "web" })).toMatchObject({
      state: "exited",
      end: { code: "revert-failed", text: "It could not go back: not this one" },
    });
    harness.hypervisor.loadError = undefined;
    expect(await harness.call(client, "revert", { guest: "web", snapshot: "one" })).toMatchObject({ state: "running" });
  });

  it("is for snapshots of the guest, or of the one that it was restored from", async () => {
    await run();
    await create();
    await client.call("run", { image: "linux", name: "other" });
    await expect(client.call("revert", { guest: "other", snapshot: "one" })).rejects.toMatchObject({ code: "E_SNAPSHOT_GUEST" });
    await client.call("restore", { snapshot: "one", name: "two" });
    await client.call("snapshot.create", { guest: "two", name: "later" });
    for (const snapshot of ["one", "later"]) {
      expect(await harness.call(client, "revert", { guest: "two", snapshot })).toMatchObject({ snapshot: { name: snapshot } });
    }
  });

  it("refuses a damaged snapshot before it ends anything", async () => {
    await run();
    const { path } = await create();
    const bytes = readFileSync(path);
    bytes[bytes.length - 100] = (bytes[bytes.length - 100] ?? 0) ^ 4;
    writeFileSync(path, bytes);
    await expect(client.call("revert", { guest: "web", snapshot: "one" })).rejects.toMatchObject({ code: "E_SNAPSHOT_DAMAGED" });
    expect(harness.hypervisor.calls).toEqual(["start 1", "save 1"]);
    expect(await harness.call(client, "snapshot.check", { snapshot: "one" })).toMatchObject({
      ok: false,
      obstacles: [{ code: "damaged" }],
    });
  });
});
