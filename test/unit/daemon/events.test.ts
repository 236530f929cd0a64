import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { event as eventSchema, type HvkitEvent } from "../../../control/src/api/events.js";
import type { Client } from "../../../control/src/client/client.js";
import { events } from "../../../control/src/client/events.js";
import { EndReason } from "../../../protocol/messages.js";
import { Harness, until } from "./harness.js";

let harness: Harness;
let client: Client;
beforeEach(async () => {
  harness = await Harness.start();
  client = await harness.client();
});
afterEach(() => harness.stop());

const all = async (options: Parameters<typeof events>[1]): Promise<HvkitEvent[]> => {
  const found: HvkitEvent[] = [];
  for await (const event of events(client, options)) found.push(eventSchema.parse(event));
  return found;
};
const told = async (): Promise<string[]> =>
  (await all({ from: 0, follow: false })).map((event) => ("guest" in event ? `${event.guest.name} ${event.type.slice(6)}` : event.type));

describe("events", () => {
  it("tell a guest's life", async () => {
    await client.call("run", { image: "sector", name: "web" });
    await client.call("pause", { guest: "web" });
    await client.call("unpause", { guest: "web" });
    await client.call("reset", { guest: "web" });
    await client.call("kill", { guest: "web" });
    await client.call("rm", { guest: "web" });
    await client.call("run", { image: "sector", name: "late", paused: true });
    expect(await told()).toEqual([
      ...["created", "started", "paused", "unpaused", "restarting", "started", "ended", "removed"].map((what) => `web ${what}`),
      "late created",
      "late started",
    ]);
  });

  it.each([
    [EndReason.HaltedForever, ["halted", "ended"]],
    [EndReason.TrapOutOfBounds, ["trapped", "ended"]],
    [EndReason.EntryFailed, ["trapped", "ended"]],
    [EndReason.PowerOff, ["ended"]],
    [EndReason.Reset, ["restarting", "started"]],
  ])("tell how a guest ended: %i", async (reason, kinds) => {
    await client.call("run", { image: "sector", name: "web" });
    harness.hypervisor.end(1, reason, 7n);
    const expected = ["created", "started", ...kinds].map((what) => `web ${what}`);
    await until(async () => (await told()).length >= expected.length);
    expect(await told()).toEqual(expected);
  });

  it("tell that the link is lost, with every guest, and back", async () => {
    await client.call("run", { image: "sector", name: "web" });
    harness.hypervisor.emit("lost", `The engine qemu ended by itself (SIGKILL). ${"words ".repeat(2000)}the last`);
    await until(() => harness.daemon.host.restarts === 1 && harness.daemon.host.state === "running");
    const found = await all({ from: 2, follow: false });
    expect(found).toMatchObject([
      { type: "link.lost", reason: expect.stringMatching(/^The engine qemu ended.* \.\.\. .*the last$/) as string },
      { type: "guest.ended", state: "lost", end: { code: "lost", text: expect.stringMatching(/the last$/) as string } },
      { type: "link.back", restarts: 1 },
    ]);
    expect(JSON.stringify(found).length).toBeLessThan(5000);
  });

  it("count console bytes that nobody had room for", async () => {
    await client.call("run", { image: "sector", name: "web" });
    harness.hypervisor.emit("consoleLost", 1, 0, 77);
    expect((await all({ from: 2, follow: false }))[0]).toMatchObject({
      type: "console.lost",
      port: 0,
      count: "77",
      guest: { name: "web" },
    });
  });

  it("come in order and without gaps to a reader that is slow, and those that are gone are counted", async () => {
    await client.call("run", { image: "sector", name: "web" });
    const stop = new AbortController();
    const seen: HvkitEvent[] = [];
    const reading = (async () => {
      for await (const event of events(client, { from: 0, signal: stop.signal })) {
        seen.push(event);
        // A while in which more events come than its queue takes, and then more than the daemon keeps.
        if (seen.length === 1) for (let count = 0; count < 1010; count++) harness.hypervisor.emit("consoleLost", 1, 0, count + 1);
        if (seen.length === 1) await client.call("ps", {});
        if (seen.length === 1100) for (let count = 0; count < 3000; count++) harness.hypervisor.emit("consoleLost", 1, 0, 1);
        if (seen.length === 1100) await client.call("ps", {});
        if (seen.length < 1100 && event.seq === 1011)
          for (let count = 0; count < 100; count++) harness.hypervisor.emit("consoleLost", 1, 0, 1);
      }
    })();
    const end = 2 + 1010 + 100 + 3000;
    await until(() => (seen.at(-1)?.seq ?? 0) + 1 === end);
    let next = 0;
    let lost = 0;
    for (const event of seen) {
      expect(event.seq).toBe(next);
      if (event.type === "events.lost") lost += event.count;
      next = event.type === "events.lost" ? event.seq + event.count : event.seq + 1;
    }
    expect(next).toBe(end);
    expect(lost).toBeGreaterThan(0);
    stop.abort(new Error("enough"));
    await expect(reading).rejects.toThrow("enough");
    await until(() => harness.daemon.server.connections().every(({ subscribed }) => !subscribed));
  });

  it("end with the daemon, and are of one subscription for several readers", async () => {
    const stop = new AbortController();
    const first = events(client, { signal: stop.signal });
    const second = events(client);
    const [one, two] = [first.next(), second.next()];
    await until(() => harness.daemon.server.connections().some(({ subscribed }) => subscribed));
    await client.call("run", { image: "sector", name: "web" });
    expect([await one, await two]).toMatchObject([{ value: { type: "guest.created" } }, { value: { type: "guest.created" } }]);
    await first.return();
    expect(await second.next()).toMatchObject({ value: { type: "guest.started" } });
    const rest = second.next();
    await client.call("down", {});
    await expect(rest).rejects.toMatchObject({ code: "E_DAEMON_LOST" });
  });
});
