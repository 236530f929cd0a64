import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { showStale } from "../../../control/src/cli/commands/ps.js";
import { showStatus } from "../../../control/src/cli/commands/status.js";
import { HvkitError } from "../../../control/src/errors.js";
import { Harness, until } from "./harness.js";

let harness: Harness;
afterEach(() => harness.stop());

const running = async (): Promise<boolean> => harness.daemon.host.state === "running" && harness.made.length > 1;

describe("a lost hypervisor", () => {
  it("is started again; its guests are lost, and can be reset", async () => {
    harness = await Harness.start();
    const client = await harness.client();
    await client.call("run", { image: "sector", name: "web" });
    harness.hypervisor.write(1, "before\n");
    harness.hypervisor.emit("lost", "The engine qemu ended by itself (SIGKILL).");
    await until(running);
    expect(harness.engines.stopped()).toBe(1);
    const [guest] = await harness.call(client, "ps", {});
    expect(guest).toMatchObject({
      state: "lost",
      end: { code: "lost", text: "It went down with the hypervisor: The engine qemu ended by itself (SIGKILL)." },
    });
    const status = await harness.call(client, "status", {});
    expect(status).toMatchObject({
      state: "running",
      restarts: 1,
      lastFailure: { reason: "The engine qemu ended by itself (SIGKILL).", panic: [] },
    });
    expect(Buffer.from((await client.call("logs", { guest: "web" })).data, "base64").toString()).toBe("before\n");
    await expect(client.call("regs", { guest: "web" })).rejects.toMatchObject({ code: "E_GUEST_STATE" });
    expect(await harness.call(client, "reset", { guest: "web" })).toMatchObject({ state: "running", restarts: 1, end: null });
  });

  it("keeps its panic report", async () => {
    harness = await Harness.start();
    const client = await harness.client();
    const events: string[] = [];
    client.on("event", (event) => events.push("reason" in event ? `${event.type} ${event.reason}` : event.type));
    await client.call("events.subscribe", {});
    const lines = ["hvkit: panic: #GP", "rip core+12 <poll+4>"];
    harness.hypervisor.emit("panic", lines);
    harness.hypervisor.emit("lost", "The hypervisor panicked: #GP");
    await until(running);
    const { lastFailure } = await harness.call(client, "status", {});
    expect(lastFailure).toMatchObject({ reason: "The hypervisor panicked: #GP", panic: lines });
    expect(readFileSync(join(harness.paths.folder, "panic-1.txt"), "utf8")).toBe(`${lines.join("\n")}\n`);
    expect(events).toEqual(["link.lost The hypervisor panicked: #GP", "link.back"]);
  });

  it("is not what a console that cannot be written is: the bytes are lost, and told", async () => {
    harness = await Harness.start();
    const client = await harness.client();
    const { id } = await client.call("run", { image: "sector", name: "web" });
    rmSync(join(harness.paths.guests, id), { recursive: true });
    harness.hypervisor.write(1, "nobody has room");
    expect(await harness.call(client, "ps", {})).toMatchObject([{ state: "running", consoleLost: 15 }]);
    expect(await harness.call(client, "logs", { guest: "web" })).toMatchObject({ start: 0, end: 0, lost: 15 });
    expect(await harness.call(client, "inspect", { guest: "web" })).toMatchObject({ console: [{ lost: 15 }, { lost: 0 }] });
    expect(await harness.call(client, "status", {})).toMatchObject({ state: "running", restarts: 0 });
  });

  it("counts as lost when it panics and says no more", async () => {
    harness = await Harness.start();
    harness.hypervisor.emit("panic", ["hvkit: panic: trap"]);
    await until(running);
    expect(harness.daemon.host.lastFailure?.reason).toBe("hvkit: panic: trap");
  });

  it("fails the requests that are under way, and says why there is none", async () => {
    harness = await Harness.start((_hypervisor, index) => (index === 0 ? undefined : new Promise((resolve) => setTimeout(resolve, 300))));
    const client = await harness.client();
    harness.hypervisor.emit("lost", "gone");
    await expect(client.call("run", { image: "sector" })).rejects.toMatchObject({ code: "E_HYPERVISOR_DOWN" });
    expect(await harness.call(client, "ps", {})).toEqual([]);
    expect(await harness.call(client, "status", {})).toMatchObject({ state: "restarting", hypervisor: null });
  });

  it("that cannot be started again leaves a daemon that says so", async () => {
    harness = await Harness.start((_hypervisor, index) => {
      if (index > 0) throw new HvkitError("E_ENGINE", "no engine any more");
    });
    const client = await harness.client();
    harness.hypervisor.emit("lost", "gone");
    await until(() => harness.daemon.host.state === "failed");
    await expect(client.call("ping", {})).rejects.toMatchObject({
      code: "E_HYPERVISOR_DOWN",
      message: expect.stringContaining("no engine any more") as string,
    });
    expect(await harness.call(client, "status", {})).toMatchObject({ state: "failed", engine: null });
  });

  it("is not started again for ever", async () => {
    harness = await Harness.start((hypervisor) => void setTimeout(() => hypervisor.emit("lost", "again"), 10));
    await until(() => harness.daemon.host.state === "failed");
    expect(harness.made.length).toBe(4);
  });

  it("of a machine elsewhere is waited for while it is away; its guests are lost", async () => {
    let away = 0;
    harness = await Harness.start((hypervisor, index) => {
      hypervisor.external = true;
      if (index > 0 && ++away < 2) throw new HvkitError("E_CONNECT", "nothing listens there");
    });
    const client = await harness.client();
    await client.call("run", { image: "sector", name: "web" });
    harness.hypervisor.emit("lost", "The line to the hypervisor was closed");
    await until(running);
    expect(away).toBe(2);
    expect(await harness.call(client, "ps", {})).toMatchObject([{ state: "lost" }]);
    expect(await harness.call(client, "status", {})).toMatchObject({ state: "running", restarts: 1 });
  });

  it("of which the line alone is away keeps its guests, and says so", async () => {
    harness = await Harness.start((hypervisor) => {
      hypervisor.external = true;
    });
    const client = await harness.client();
    const events: unknown[] = [];
    client.on("event", (event) => events.push(event));
    await client.call("run", { image: "sector", name: "web" });
    await client.call("events.subscribe", {});
    harness.hypervisor.emit("broken", "the bridge ends");
    const away = await harness.call(client, "status", {});
    expect(away).toMatchObject({
      state: "running",
      hypervisor: null,
      linkLost: { since: expect.any(String) as string, reason: "the bridge ends" },
      restarts: 0,
      lastFailure: null,
    });
    expect(showStatus(away)).toMatch(/^link: +lost .* ago, the guests go on: the bridge ends$/m);
    expect(showStatus(away)).toMatch(/^guests: +1 running of 1, when the link was lost$/m);
    const known = await harness.call(client, "ps", {});
    expect(known).toMatchObject([{ name: "web", state: "running", staleSince: away.linkLost?.since }]);
    expect(showStale(known)).toMatch(/^hvkit: the link is lost since \d+ seconds?: /);
    harness.hypervisor.emit("back");
    const again = await harness.call(client, "ps", {});
    expect(again).toMatchObject([{ name: "web", state: "running", staleSince: null }]);
    expect(showStale(again)).toBeUndefined();
    expect(await harness.call(client, "status", {})).toMatchObject({ state: "running", linkLost: null, hypervisor: { cpus: 1 } });
    harness.hypervisor.emit("broken", "and again");
    harness.hypervisor.emit("lost", "The hypervisor has started again");
    await until(running);
    expect(await harness.call(client, "status", {})).toMatchObject({ state: "running", linkLost: null, restarts: 1 });
    expect(await harness.call(client, "ps", {})).toMatchObject([{ name: "web", state: "lost", staleSince: null }]);
    expect(events).toMatchObject([
      { type: "link.lost", reason: "the bridge ends", guests: "kept" },
      { type: "link.back", restarts: 0, guests: "kept" },
      { type: "link.lost", reason: "and again", guests: "kept" },
      { type: "link.lost", reason: "The hypervisor has started again", guests: "lost" },
      { type: "guest.ended", state: "lost" },
      { type: "link.back", restarts: 1, guests: "lost" },
    ]);
  });

  it("of a machine elsewhere is not waited for when it says no, and can be taken down while it is", async () => {
    harness = await Harness.start((hypervisor, index) => {
      hypervisor.external = true;
      if (index > 0) throw new HvkitError("E_TOKEN", "the token is a wrong one");
    });
    harness.hypervisor.emit("lost", "gone");
    await until(() => harness.daemon.host.state === "failed");
    await harness.stop();
    harness = await Harness.start((hypervisor, index) => {
      hypervisor.external = true;
      if (index > 0) throw new HvkitError("E_CONNECT", "nothing listens there");
    });
    harness.hypervisor.emit("lost", "gone");
    await until(() => harness.daemon.host.state === "restarting");
    await harness.daemon.stop();
  });

  it("of a machine elsewhere goes on after the daemon, without the daemon's guests", async () => {
    harness = await Harness.start((hypervisor) => {
      hypervisor.external = true;
    });
    const client = await harness.client();
    await client.call("run", { image: "sector", name: "web" });
    const { hypervisor } = harness;
    expect(hypervisor.guests.size).toBe(1);
    await harness.daemon.stop();
    expect(hypervisor.guests.size).toBe(0);
    expect(hypervisor.calls).not.toContain("shutdown");
  });

  it("is ended in order when the daemon is, even while it starts", async () => {
    let release: (() => void) | undefined;
    harness = await Harness.start((_hypervisor, index) =>
      index === 0 ? undefined : new Promise((resolve) => (release = () => resolve(undefined))),
    );
    harness.hypervisor.emit("lost", "gone");
    await until(() => release !== undefined);
    const stopping = harness.daemon.stop();
    release?.();
    await stopping;
    expect(harness.made.at(-1)?.closed).toBe(true);
    expect(existsSync(harness.paths.socket)).toBe(false);
  });
});
