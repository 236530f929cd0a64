import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Client } from "../../../control/src/client/client.js";
import { HvkitError } from "../../../control/src/errors.js";
import { EndReason } from "../../../protocol/messages.js";
import { Harness, until } from "./harness.js";

let harness: Harness;
let client: Client;

beforeEach(async () => {
  harness = await Harness.start();
  client = await harness.client();
});
afterEach(() => harness.stop());

describe("a guest in the daemon", () => {
  it("is made of an image: RAM has kernel, initrd and block", async () => {
    const guest = await harness.call(client, "run", { image: "linux", name: "web", append: "nonce=1" });
    expect(guest).toMatchObject({
      name: "web",
      image: "linux",
      state: "running",
      memoryBytes: 32 * 2 ** 20,
      restarts: 0,
      append: "nonce=1",
    });
    expect(harness.hypervisor.get(1).ram.toString("latin1", 0xe00000, 0xe00006)).toBe("kernel");
    expect(guest.placements.map(({ what }) => what)).toEqual(["kernel", "initrd", "boot block"]);
    expect(harness.hypervisor.calls).toEqual(["start 1"]);
  });

  it("gets a name when it is not given one", async () => {
    const guest = await harness.call(client, "run", { image: "sector" });
    expect(guest.name).toMatch(/^[a-z]+_[a-z]+$/);
  });

  it("is found by name, id and a beginning of its id", async () => {
    const { id } = await harness.call(client, "run", { image: "sector", name: "web" });
    for (const guest of ["web", id, id.slice(0, 6)]) expect(await harness.call(client, "inspect", { guest })).toMatchObject({ id });
    await expect(client.call("inspect", { guest: "nobody" })).rejects.toMatchObject({ code: "E_NO_GUEST" });
  });

  it("refuses a taken name, and makes nothing", async () => {
    await harness.call(client, "run", { image: "sector", name: "web" });
    await expect(client.call("run", { image: "sector", name: "web" })).rejects.toMatchObject({ code: "E_NAME_TAKEN" });
    expect(harness.hypervisor.guests.size).toBe(1);
  });

  it("goes through pause, unpause, kill and rm", async () => {
    await harness.call(client, "run", { image: "sector", name: "web" });
    expect(await harness.call(client, "pause", { guest: "web" })).toMatchObject({ state: "paused" });
    await expect(client.call("pause", { guest: "web" })).rejects.toMatchObject({ code: "E_GUEST_STATE" });
    expect(await harness.call(client, "unpause", { guest: "web" })).toMatchObject({ state: "running" });
    await expect(client.call("rm", { guest: "web" })).rejects.toMatchObject({ code: "E_GUEST_RUNNING" });
    expect(await harness.call(client, "kill", { guest: "web" })).toMatchObject({ state: "exited", end: { code: "killed", rip: "0x7c00" } });
    await expect(client.call("kill", { guest: "web" })).rejects.toMatchObject({ code: "E_GUEST_NOT_RUNNING" });
    await harness.call(client, "rm", { guest: "web" });
    expect(await harness.call(client, "ps", {})).toEqual([]);
    expect(harness.hypervisor.guests.size).toBe(0);
  });

  it("that ends by itself while it is killed ended by itself", async () => {
    await harness.call(client, "run", { image: "sector", name: "web" });
    harness.hypervisor.guestKill = (guest) => {
      harness.hypervisor.end(guest, EndReason.PowerOff);
      return Promise.reject(new HvkitError("E_HV_BAD_STATE", "The guest is ended: it cannot do that now."));
    };
    expect(await harness.call(client, "kill", { guest: "web" })).toMatchObject({ state: "exited", end: { code: "power-off" } });
  });

  it("says its last words before it is told to have ended", async () => {
    await harness.call(client, "run", { image: "sector", name: "web" });
    const seen: string[] = [];
    client.on("console", ({ data }) => seen.push(Buffer.from(data, "base64").toString()));
    client.on("console.end", ({ end }) => seen.push(end?.code ?? ""));
    await harness.call(client, "console.attach", { guest: "web" });
    harness.hypervisor.guestKill = (guest) => {
      setTimeout(() => {
        harness.hypervisor.write(guest, "last words");
        harness.hypervisor.end(guest, EndReason.Killed);
      }, 20);
      return Promise.resolve();
    };
    await harness.call(client, "kill", { guest: "web" });
    expect(seen).toEqual(["last words", "killed"]);
  });

  it("is removed by force while it runs", async () => {
    await harness.call(client, "run", { image: "sector", name: "web" });
    await harness.call(client, "rm", { guest: "web", force: true });
    expect(harness.hypervisor.calls).toEqual(["start 1", "destroy 1"]);
  });

  it("is made anew by reset, with its name, options and log", async () => {
    const { id } = await harness.call(client, "run", { image: "linux", name: "web", append: "a=b" });
    harness.hypervisor.write(1, "first ");
    expect(await harness.call(client, "reset", { guest: "web" })).toMatchObject({ id, state: "running", restarts: 1 });
    harness.hypervisor.write(2, "second");
    const { data } = await harness.call(client, "logs", { guest: "web" });
    expect(Buffer.from(data, "base64").toString()).toBe("first second");
    expect(harness.hypervisor.calls).toEqual(["start 1", "destroy 1", "start 2"]);
  });

  it("that is removed stays removed, whatever waits for its turn", async () => {
    await harness.call(client, "run", { image: "sector", name: "web" });
    const removed = client.call("rm", { guest: "web", force: true });
    const others = (["reset", "kill", "pause", "rm"] as const).map((method) => client.call(method, { guest: "web" }));
    await removed;
    for (const other of others) await expect(other).rejects.toMatchObject({ code: expect.stringMatching(/^E_(NO_GUEST|GUEST_RUNNING)$/) });
    expect(harness.hypervisor.guests.size).toBe(0);
    expect(await harness.call(client, "ps", {})).toEqual([]);
  });

  it("that resets itself is started again, and counted", async () => {
    await harness.call(client, "run", { image: "sector", name: "web" });
    harness.hypervisor.end(1, EndReason.Reset);
    await until(() => harness.hypervisor.calls.includes("start 2"));
    await until(async () => (await client.call("ps", {}))[0]?.state === "running");
    expect(await harness.call(client, "inspect", { guest: "web" })).toMatchObject({ restarts: 1, end: null, slot: 2 });
  });

  it("that resets itself can be killed before it is back", async () => {
    await harness.call(client, "run", { image: "sector", name: "web" });
    for (let slot = 1; slot <= 3; slot++) {
      harness.hypervisor.end(slot, EndReason.Reset);
      if (slot < 3) await until(() => harness.hypervisor.guests.has(slot + 1) && harness.hypervisor.calls.includes(`start ${slot + 1}`));
    }
    expect(await harness.call(client, "kill", { guest: "web" })).toMatchObject({ state: "exited", end: { code: "killed" } });
    await new Promise((resolve) => setTimeout(resolve, 250));
    expect(harness.hypervisor.calls.filter((name) => name.startsWith("start"))).toHaveLength(3);
  });

  it("ends with a reason, and is kept for inspection", async () => {
    await harness.call(client, "run", { image: "sector", name: "web" });
    harness.hypervisor.end(1, EndReason.DebugExit, 33n);
    const [guest] = await harness.call(client, "ps", {});
    expect(guest).toMatchObject({ state: "exited", end: { code: "debug-exit", value: "0x21", rip: "0x7c00" } });
    expect((await harness.call(client, "mem", { guest: "web", address: 0x1ef000, length: 6 })).data).toBe(
      Buffer.from("sector").toString("base64"),
    );
  });

  it("that ends within the time of stop is not killed", async () => {
    await harness.call(client, "run", { image: "sector", name: "web" });
    const stopped = harness.call(client, "stop", { guest: "web", time: 5 });
    setTimeout(() => harness.hypervisor.end(1, EndReason.PowerOff), 20);
    expect(await stopped).toMatchObject({ state: "exited", end: { code: "power-off" } });
  });

  it("is stopped when its time is over", async () => {
    await harness.call(client, "run", { image: "sector", name: "web" });
    expect(await harness.call(client, "stop", { guest: "web" })).toMatchObject({ state: "exited", end: { code: "stopped" } });
  });

  it("whose start fails leaves nothing", async () => {
    harness.hypervisor.startError = new HvkitError("E_HV_LINUX_TRUNCATED", "The kernel file is cut short.");
    await expect(client.call("run", { image: "linux" })).rejects.toMatchObject({ code: "E_HV_LINUX_TRUNCATED" });
    expect(await harness.call(client, "ps", {})).toEqual([]);
    expect(harness.hypervisor.guests.size).toBe(0);
  });

  it.each([
    ["E_HV_NO_MEMORY", { memory: "512M" }],
    ["E_MEMORY_SIZE", { memory: "3M" }],
    ["E_SIZE", { memory: "many" }],
    ["E_NO_IMAGE", { image: "nothing" }],
    ["E_ADD_FILE", { add: [{ file: "/nonexistent", path: "x" }] }],
    ["E_NAME", { name: "no blanks" }],
    ["E_NAME", { name: "" }],
    ["E_RPC_PARAMS", { colour: "red" }],
  ])("is refused with %s", async (code, params) => {
    await expect(client.call("run", { image: "linux", ...params })).rejects.toMatchObject({ code });
  });

  it("has files added to its initrd", async () => {
    const file = join(harness.folder, "data");
    writeFileSync(file, "added data");
    await harness.call(client, "run", { image: "linux", name: "web", add: [{ file, path: "/add/data" }] });
    const { ram } = harness.hypervisor.get(1);
    expect(ram.includes("add/data\0")).toBe(true);
    expect(ram.includes("added data")).toBe(true);
  });

  it("shows registers by name, exits by reason, memory and its digest", async () => {
    await harness.call(client, "run", { image: "sector", name: "web" });
    const { registers } = await harness.call(client, "regs", { guest: "web" });
    expect(registers).toMatchObject({ rax: "0x0", rcx: "0x1111", "cs.base": `0x${(30 * 0x1111).toString(16)}` });
    const stats = await harness.call(client, "stats", { guest: "web" });
    expect(stats.byReason).toEqual([
      { reason: "io-out", count: "95" },
      { reason: "cpuid", count: "5" },
    ]);
    expect(await harness.call(client, "digest", { guest: "web", address: 0, length: 4096 })).toEqual({ digest: "0xabc" });
    await expect(client.call("mem", { guest: "web", address: 2 ** 21 - 1, length: 2 })).rejects.toMatchObject({ code: "E_ADDRESS" });
  });
});

describe("the daemon", () => {
  it("tells its status", async () => {
    await harness.call(client, "run", { image: "sector" });
    expect(await harness.call(client, "status", {})).toMatchObject({
      state: "running",
      engine: { name: "qemu", accel: "tcg", why: "a fake" },
      hypervisor: { vendor: "AMD SVM", tsc: String(2n ** 60n), features: ["next-rip", "decode-assist"] },
      guests: { total: 1, running: 1 },
      restarts: 0,
    });
    expect((await harness.call(client, "images", {})).map(({ name, bytes }) => [name, bytes])).toEqual([
      ["linux", 12],
      ["sector", 6],
    ]);
    expect(await harness.call(client, "ping", { data: "AAEC" })).toEqual({ data: "AAEC" });
  });

  it("keeps folder and socket for its user alone", () => {
    expect(statSync(harness.paths.folder).mode & 0o777).toBe(0o700);
    expect(statSync(harness.paths.socket).mode & 0o777).toBe(0o600);
  });

  it("goes down when asked, and ends the engine", async () => {
    const { hypervisor } = harness;
    await harness.call(client, "down", {});
    await until(() => harness.down);
    expect(hypervisor.closed).toBe(true);
    expect(harness.engines.stopped()).toBe(1);
  });
});
