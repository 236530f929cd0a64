// Clients that want too much of the daemon: it keeps its memory, and the others do not notice.
import { connect, type Socket } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { outboxLimits } from "../../../control/src/daemon/outbox.js";
import { scaled } from "../../support/scale.js";
import { Harness, until } from "./harness.js";

const MIB = 2 ** 20;

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

let harness: Harness;
beforeEach(async () => {
  harness = await Harness.start();
});
afterEach(() => harness.stop());

/** A client that has shaken hands, as bytes on a socket; nothing reads it. */
async function rawClient(): Promise<Socket> {
  const socket = connect(harness.paths.socket);
  socket.on("error", () => {}); // the daemon may let it go
  socket.write(
    "GET /rpc HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
  );
  await new Promise((resolve) => socket.once("data", resolve));
  socket.pause();
  return socket;
}

const FIN = 0x80;
const CONTINUATION = 0;
const TEXT = 1;

/** RFC 6455, 5.2, with a mask of zeros. */
function frame(first: number, payload: string | Buffer, length = Buffer.byteLength(payload)): Buffer {
  const head = Buffer.alloc(length < 126 ? 2 : length < 2 ** 16 ? 4 : 10);
  head[0] = first;
  if (head.length === 2) head[1] = 0x80 | length;
  else if (head.length === 4) {
    head[1] = 0x80 | 126;
    head.writeUInt16BE(length, 2);
  } else {
    head[1] = 0x80 | 127;
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  return Buffer.concat([head, Buffer.alloc(4), Buffer.from(payload)]);
}

const request = (method: string, params: object = {}): Buffer =>
  frame(FIN | TEXT, JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }));

/** The code of the close frame that the daemon answers with. */
async function closeCode(socket: Socket): Promise<number> {
  const parts: Buffer[] = [];
  socket.on("data", (bytes: Buffer) => parts.push(bytes)).resume();
  await new Promise((resolve) => socket.once("close", resolve));
  const bytes = Buffer.concat(parts);
  return bytes.readUInt16BE(bytes.lastIndexOf(0x88) + 2);
}

async function expectNormalSession(): Promise<void> {
  const client = await harness.client();
  const guest = await harness.call(client, "run", { image: "sector" });
  expect(await harness.call(client, "ps", {})).toMatchObject([{ name: guest.name, state: "running" }]);
  await harness.call(client, "rm", { guest: guest.id, force: true });
}

/** Bytes that the process holds. What was freed just now counts until the loop has turned. */
async function held(): Promise<number> {
  for (let turn = 0; turn < 3; turn++) {
    collectGarbage();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  // What a client leaves unread is in buffers; `external` has them, too, but tells of their end late.
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

describe("a client that reads nothing costs at most 16 MB", () => {
  /** The most that was held meanwhile beyond what was held before. */
  const costOf = async (attack: (socket: Socket, look: () => Promise<void>) => Promise<void>): Promise<number> => {
    const client = await harness.client();
    await client.call("run", { image: "sector", name: "web" });
    const socket = await rawClient();
    const before = await held();
    let most = 0;
    const look = async (): Promise<void> => {
      most = Math.max(most, (await held()) - before);
    };
    await attack(socket, look);
    await look();
    socket.destroy();
    await client.call("rm", { guest: "web", force: true });
    await client.close();
    process.stderr.write(`daemon: a client that reads nothing cost ${(most / 1e6).toFixed(1)} MB\n`);
    return most;
  };
  /** Until the socket takes no more, or is closed, or all was written. */
  const pour = async (socket: Socket, bytes: Buffer, times: number): Promise<void> => {
    for (let count = 0; count < times && !socket.destroyed; count++) {
      if (socket.write(bytes)) continue; // it takes more
      const stuck = await new Promise<boolean>((resolve) => {
        const timer = setTimeout(resolve, 500, true);
        for (const event of ["drain", "close"]) socket.once(event, () => resolve(clearTimeout(timer) ?? false));
      });
      if (stuck) return;
    }
  };

  it("of a guest's console", async () => {
    const text = "x".repeat(65536);
    const cost = await costOf(async (socket, look) => {
      socket.write(request("console.attach", { guest: "web" }));
      const web = harness.daemon.guests.find("web");
      await until(() => harness.daemon.server.connections().some((connection) => connection.isAttached(web, 0)));
      for (let count = 0; count < 1000; count++) {
        harness.hypervisor.write(1, text);
        if (count % 200 === 0) await look();
      }
    });
    expect(cost).toBeLessThan(16e6);
  });

  it("of events, which are not left out: it is let go", async () => {
    const cost = await costOf(async (socket, look) => {
      socket.write(request("events.subscribe"));
      await until(() => harness.daemon.server.connections().some(({ subscribed }) => subscribed));
      const event = { seq: 0, at: new Date().toISOString(), type: "link.lost", reason: "x".repeat(200), guests: "lost" } as const;
      const others = harness.daemon.server.connections().length - 1;
      for (let count = 0; count < 60_000 && harness.daemon.server.connections().length > others; count++) {
        harness.daemon.server.broadcast("event", event);
        if (count % 2000 === 0) await look();
      }
      expect(harness.daemon.server.outboxes.unsent).toBe(0);
      await until(() => harness.daemon.server.connections().length === others);
    });
    expect(cost).toBeLessThan(16e6);
  });

  it("of all clients together: the one that leaves most is let go", async () => {
    const before = outboxLimits.total;
    outboxLimits.total = MIB;
    try {
      const sockets = await Promise.all(Array.from({ length: 8 }, () => rawClient()));
      for (const socket of sockets) socket.write(request("events.subscribe"));
      await until(() => harness.daemon.server.connections().filter(({ subscribed }) => subscribed).length === 8);
      const event = { seq: 0, at: new Date().toISOString(), type: "link.lost", reason: "x".repeat(1000), guests: "lost" } as const;
      for (let count = 0; count < 4000; count++) {
        harness.daemon.server.broadcast("event", event);
        expect(harness.daemon.server.outboxes.unsent).toBeLessThan(MIB);
      }
      await until(() => harness.daemon.server.connections().length < 8);
      await expectNormalSession();
      for (const socket of sockets) socket.destroy();
    } finally {
      outboxLimits.total = before;
    }
  });

  it.each([
    ["small answers", () => request("ps"), 200_000],
    ["errors", () => frame(FIN | TEXT, "{"), 200_000],
    ["long answers", () => request("logs", { guest: "web" }), 200],
    [
      "batches",
      () =>
        frame(
          FIN | TEXT,
          JSON.stringify(Array.from({ length: 32 }, () => ({ jsonrpc: "2.0", id: 1, method: "logs", params: { guest: "web" } }))),
        ),
      100,
    ],
  ])("of %s: it is not asked for more while it has not read them", async (_what, message, times) => {
    const cost = await costOf(async (socket) => {
      harness.hypervisor.write(1, "x".repeat(2 ** 18));
      await pour(socket, message(), times);
      expect(harness.daemon.server.outboxes.unsent).toBeLessThan(8 * MIB);
    });
    expect(cost).toBeLessThan(16e6);
    await expectNormalSession();
  });
});

describe("a message", () => {
  it("that is said to have 1 GB is not waited for", async () => {
    const socket = await rawClient();
    socket.write(frame(FIN | TEXT, "x", 2 ** 30));
    expect(await closeCode(socket)).toBe(1009);
    await expectNormalSession();
  });

  it("in a thousand fragments is refused", async () => {
    const socket = await rawClient();
    socket.write(frame(TEXT, " "));
    for (let count = 0; count < 1000; count++) socket.write(frame(CONTINUATION, " "));
    expect(await closeCode(socket)).toBe(1008);
    await expectNormalSession();
  });

  it("in some fragments is read", async () => {
    const socket = await rawClient();
    const text = '{"jsonrpc":"2.0","id":1,"method":"ps"}';
    socket.write(frame(TEXT, text.slice(0, 10)));
    socket.write(frame(CONTINUATION, text.slice(10, 20)));
    socket.write(frame(FIN | CONTINUATION, text.slice(20)));
    const answer = new Promise<Buffer>((resolve) => socket.once("data", resolve));
    socket.resume();
    expect((await answer).subarray(2).toString()).toBe('{"jsonrpc":"2.0","id":1,"result":[]}');
    socket.destroy();
  });

  it("that is nested without end is answered", async () => {
    const socket = await rawClient();
    socket.write(frame(FIN | TEXT, `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`));
    const answer = new Promise<Buffer>((resolve) => socket.once("data", resolve));
    socket.resume();
    expect((await answer).toString()).toContain("E_RPC_");
    socket.destroy();
    await expectNormalSession();
  });
});

describe("connections", () => {
  const CLIENTS = scaled(50, 1000);

  it(`${CLIENTS} at once are served`, async () => {
    const clients = await Promise.all(Array.from({ length: CLIENTS }, () => harness.client()));
    const answers = await Promise.all(clients.map((client) => client.call("ps", {})));
    expect(answers).toHaveLength(CLIENTS);
    await Promise.all(clients.map((client) => client.close()));
    await until(() => harness.daemon.server.connections().length === 0);
  });

  it("that never ask for a WebSocket do not keep others out", async () => {
    const idle = Array.from({ length: 50 }, () => connect(harness.paths.socket).on("error", () => {}));
    for (const socket of idle) socket.write("GET /rpc HTTP/1.1\r\n");
    await expectNormalSession();
    for (const socket of idle) socket.destroy();
  });

  it("that answer no ping are closed", async () => {
    await harness.stop();
    harness = await Harness.start(undefined, { pingMs: 50 });
    const socket = await rawClient();
    const live = await harness.client();
    await new Promise((resolve) => socket.once("close", resolve).resume());
    expect(await harness.call(live, "ps", {})).toEqual([]);
  });

  it("beyond the limit are told so", async () => {
    await harness.stop();
    harness = await Harness.start(undefined, { maxClients: 2 });
    await harness.client();
    await harness.client();
    const socket = new WebSocket("ws://localhost/rpc", { createConnection: () => connect(harness.paths.socket) });
    const answer = await new Promise<string>((resolve) => {
      socket.on("error", () => {});
      socket.once("unexpected-response", (_request, response) => {
        response.setEncoding("utf8").once("data", (text: string) => resolve(`${response.statusCode} ${text}`));
      });
    });
    expect(answer).toMatch(/^503 .*E_CLIENTS.*it has 2 clients already/);
  });
});
