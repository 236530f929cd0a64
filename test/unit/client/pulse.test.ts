// A client whose daemon hangs: its socket takes connections, or has taken this one, and nothing is answered.
import { mkdtempSync, rmSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { Client } from "../../../control/src/client/client.js";

let folder: string;
let path: string;
let server: Server | undefined;
const peers = new Set<Socket>();

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "hvkit-pulse-"));
  path = join(folder, "socket");
});

afterEach(() => {
  for (const peer of peers) peer.destroy();
  peers.clear();
  server?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function listen(made: Server): Promise<void> {
  server = made;
  made.on("connection", (peer: Socket) => peers.add(peer));
  await new Promise<void>((resolve) => made.listen(path, resolve));
}

/** A daemon of which nothing answers by itself. */
async function listenAsDaemon(onClient: (client: WebSocket) => void): Promise<void> {
  const sockets = new WebSocketServer({ noServer: true, autoPong: false });
  const http = createHttpServer();
  http.on("upgrade", (request, socket, head) => sockets.handleUpgrade(request, socket, head, onClient));
  await listen(http);
}

it("does not wait for ever for a daemon that takes the connection and says nothing", async () => {
  await listen(createServer());
  const error: unknown = await Client.connect(path, { handshakeMs: 200 }).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: "E_CONNECT", hint: expect.stringContaining("hvkit down") as string });
  expect(String(error)).toContain("does not answer: nothing came within 0.2 s");
});

it("gives up a call to a daemon that hangs from then on", async () => {
  let asked = 0;
  await listenAsDaemon((client) => client.on("message", () => asked++));
  const client = await Client.connect(path, { turnMs: 20, turns: 3 });
  const closed = new Promise((resolve) => client.once("close", resolve));
  await expect(client.call("ps", {})).rejects.toMatchObject({
    code: "E_DAEMON_LOST",
    hint: expect.stringContaining("hvkit down") as string,
  });
  expect(asked).toBe(1);
  expect(await closed).toContain("has not answered");
  await expect(client.call("ps", {})).rejects.toMatchObject({ code: "E_DAEMON_LOST" });
});

it("tells those who only listen, too", async () => {
  await listenAsDaemon(() => {});
  const client = await Client.connect(path, { turnMs: 20, turns: 3 });
  expect(await new Promise((resolve) => client.once("close", resolve))).toContain("has not answered");
});

it("does not give up a daemon that is busy: it answers a ping now and then, and the call late", async () => {
  let pings = 0;
  await listenAsDaemon((client) => {
    client.on("ping", () => {
      if (++pings % 4 === 0) client.pong();
    });
    client.on("message", (data: Buffer) => {
      const { id } = JSON.parse(data.toString()) as { id: number };
      client.on("ping", () => {
        if (pings === 40) client.send(JSON.stringify({ jsonrpc: "2.0", id, result: [] }));
      });
    });
  });
  const client = await Client.connect(path, { turnMs: 10, turns: 12 });
  expect(await client.call("ps", {})).toEqual([]);
  expect(pings).toBeGreaterThan(3 * 12);
  await client.close();
});

it("hears a long answer while it comes, though no pong can come before its end", async () => {
  let pings = 0;
  await listenAsDaemon((client) => {
    client.on("message", (data: Buffer) => {
      const { id } = JSON.parse(data.toString()) as { id: number };
      client.on("ping", () => {
        pings++;
        if (pings % 4 === 0 && pings <= 40) client.send(" ", { fin: false });
        if (pings === 44) client.send(JSON.stringify({ jsonrpc: "2.0", id, result: [] }), { fin: true });
      });
    });
  });
  const client = await Client.connect(path, { turnMs: 10, turns: 12 });
  expect(await client.call("ps", {})).toEqual([]);
  await client.close();
});
