import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Client } from "../../../control/src/client/client.js";
import { Client as RealClient } from "../../../control/src/client/client.js";
import { Console } from "../../../control/src/client/console.js";
import { outboxLimits } from "../../../control/src/daemon/outbox.js";
import { EndReason } from "../../../protocol/messages.js";
import { Harness, until } from "../daemon/harness.js";

let harness: Harness;
let client: Client;
beforeEach(async () => {
  harness = await Harness.start();
  client = await harness.client();
  await client.call("run", { image: "sector", name: "web" });
});
afterEach(() => harness.stop());

function collect() {
  const parts: string[] = [];
  return { onBytes: (bytes: Uint8Array) => void parts.push(Buffer.from(bytes).toString("latin1")), text: () => parts.join("") };
}

describe("a console", () => {
  it("gives what was written before, then what comes, then the end", async () => {
    harness.hypervisor.write(1, "before ");
    const { onBytes, text } = collect();
    const console = await Console.open(client, "web", { onBytes });
    harness.hypervisor.write(1, "after");
    harness.hypervisor.write(1, "other port", 1);
    harness.hypervisor.end(1, EndReason.PowerOff);
    expect(await console.ended).toMatchObject({ state: "exited", end: { code: "power-off" } });
    expect(text()).toBe("before after");
  });

  it("gives only the end of what was before when asked so", async () => {
    harness.hypervisor.write(1, "0123456789");
    const { onBytes, text } = collect();
    await Console.open(client, "web", { onBytes, tail: 3 });
    await until(() => text() === "789");
  });

  it("says how many bytes there was no room for, where they are missing", async () => {
    const seen: string[] = [];
    const console = await Console.open(client, "web", {
      onBytes: (bytes) => void seen.push(Buffer.from(bytes).toString("latin1")),
      onLost: (count, why) => void seen.push(`(${count}: ${why})`),
    });
    harness.hypervisor.write(1, "one ");
    harness.hypervisor.emit("consoleLost", 1, 1, 9);
    harness.hypervisor.emit("consoleLost", 1, 0, 17);
    harness.hypervisor.write(1, "two");
    harness.hypervisor.end(1, EndReason.PowerOff);
    await console.ended;
    expect(seen).toEqual(["one ", "(17: no room)", "two"]);
    expect(await client.call("logs", { guest: "web" })).toMatchObject({ lost: 17 });
  });

  it("says how many bytes are not kept any more", async () => {
    const MIB = 1 << 20;
    for (let part = 0; part < 20; part++) harness.hypervisor.write(1, "x".repeat(MIB));
    let bytes = 0;
    const lost: [number, string][] = [];
    const console = await Console.open(client, "web", {
      onBytes: (more) => {
        bytes += more.length;
      },
      onLost: (count, why) => void lost.push([count, why]),
    });
    harness.hypervisor.end(1, EndReason.PowerOff);
    await console.ended;
    expect(lost).toEqual([[20 * MIB - bytes, "not kept"]]);
    expect(bytes).toBeLessThanOrEqual(16 * MIB);
  });

  it("ends at once on a guest that has ended", async () => {
    harness.hypervisor.write(1, "all");
    harness.hypervisor.end(1, EndReason.TripleFault);
    const { onBytes, text } = collect();
    const console = await Console.open(client, "web", { onBytes });
    expect(await console.ended).toMatchObject({ end: { code: "triple-fault" } });
    expect(text()).toBe("all");
  });

  it("sees an end that comes with the reply to attach", async () => {
    // Both messages in one turn of the loop: nothing that waits for the reply has gone on when the end is there.
    const call = client.call.bind(client);
    client.call = ((method: "console.attach", params: never) => {
      const reply = call(method, params);
      if (method !== "console.attach") return reply;
      return reply.then((attached) => {
        client.emit("console", {
          id: attached.guest.id,
          port: 0,
          offset: attached.offset,
          data: Buffer.from("last words").toString("base64"),
        });
        client.emit("console.end", { id: attached.guest.id, port: 0, state: "exited", end: null });
        return attached;
      });
    }) as typeof client.call;
    const { onBytes, text } = collect();
    const console = await Console.open(client, "web", { onBytes });
    expect(await console.ended).toMatchObject({ state: "exited" });
    expect(text()).toBe("last words");
  });

  it("goes on over a reset", async () => {
    const { onBytes, text } = collect();
    const console = await Console.open(client, "web", { onBytes });
    harness.hypervisor.write(1, "one ");
    await client.call("reset", { guest: "web" });
    harness.hypervisor.write(2, "two");
    await until(() => text() === "one two");
    console.close();
    expect(await console.ended).toBeUndefined();
  });

  it("sends what is typed", async () => {
    const console = await Console.open(client, "web", { onBytes: () => {} });
    await console.write(Buffer.from("ls\n"));
    expect(Buffer.concat(harness.hypervisor.get(1).typed).toString()).toBe("ls\n");
  });

  it("loses nothing when it is slower than the guest", async () => {
    const before = outboxLimits.highWater;
    outboxLimits.highWater = 10_000;
    try {
      const { onBytes, text } = collect();
      const console = await Console.open(client, "web", { onBytes });
      let all = "";
      for (let line = 0; line < 3000; line++) {
        all += `line ${line} ${"-".repeat(500)}\n`;
        harness.hypervisor.write(1, `line ${line} ${"-".repeat(500)}\n`);
      }
      await until(() => text().length >= all.length); // though no more bytes come
      expect(text() === all).toBe(true);
      console.close();
    } finally {
      outboxLimits.highWater = before;
    }
  });

  it("ends when the guest is removed, and fails when the daemon goes", async () => {
    const first = await Console.open(client, "web", { onBytes: () => {} });
    await client.call("rm", { guest: "web", force: true });
    expect(await first.ended).toBeDefined();
    await client.call("run", { image: "sector", name: "next" });
    const second = await Console.open(client, "next", { onBytes: () => {} });
    await client.call("down", {});
    await expect(second.ended).rejects.toThrow("the daemon ends");
    await expect(client.call("ps", {})).rejects.toMatchObject({ code: "E_DAEMON_LOST" });
  });
});

describe("a client", () => {
  it("says that nothing is up", async () => {
    await expect(RealClient.connect(`${harness.folder}/nothing.sock`)).rejects.toMatchObject({
      code: "E_NOT_UP",
      hint: "Start it with `hvkit up`.",
    });
  });
});
