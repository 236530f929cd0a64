// What a WebSocket does beyond the transports' contract: a peer that is silent, that sends text, or that is not one.
import { createServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { connectWebSocket, WebSocketTransport } from "../../../control/src/transport/websocket.js";

const cleanups: (() => unknown)[] = [];
afterEach(() => {
  for (const clean of cleanups.splice(0)) clean();
});

const ended = (line: WebSocketTransport): Promise<Error | undefined> => new Promise((resolve) => line.onClose(resolve));

/** A transport with quick pings, and the socket at its other end. */
async function pair(options: { autoPong?: boolean } = {}): Promise<{ line: WebSocketTransport; peer: WebSocket }> {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", ...options });
  cleanups.push(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  await new Promise((resolve) => server.once("listening", resolve));
  const arrived = new Promise<WebSocket>((resolve) => server.once("connection", resolve));
  const socket = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  await new Promise((resolve) => socket.once("open", resolve));
  const line = new WebSocketTransport(socket, 20);
  cleanups.push(() => line.close());
  return { line, peer: await arrived };
}

describe("the other side", () => {
  it("that gives no sign of life is given up", async () => {
    const { line } = await pair({ autoPong: false });
    expect((await ended(line))?.message).toBe("the other side does not answer any more");
  });

  it("that answers pings, or sends, is not", async () => {
    const { peer } = await pair({ autoPong: false });
    const quiet = await pair();
    let pings = 0;
    let open = true;
    peer.on("ping", () => {
      pings++;
      peer.send(Buffer.of(1));
    });
    peer.on("close", () => {
      open = false;
    });
    quiet.peer.on("close", () => {
      open = false;
    });
    await expect.poll(() => pings, { timeout: 20_000 }).toBeGreaterThan(10);
    expect(open).toBe(true);
  });

  it("is not blamed while this side is held back", async () => {
    const { line, peer } = await pair({ autoPong: false });
    line.pause();
    let open = true;
    peer.on("close", () => {
      open = false;
    });
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(open).toBe(true);
    line.resume();
    await ended(line);
  });

  it("that sends text is no serial line", async () => {
    const { line, peer } = await pair();
    const code = new Promise((resolve) => peer.once("close", resolve));
    peer.send("hello");
    expect((await ended(line))?.message).toContain("binary messages");
    expect(await code).toBe(1003);
  });

  it("says why it closes, and its control characters stay off the terminal", async () => {
    const { line, peer } = await pair();
    peer.close(4000, "\x1b[2Jgone");
    expect((await ended(line))?.message).toBe("?[2Jgone");
  });
});

describe("connecting", () => {
  const at = (server: { address: () => unknown }): URL => new URL(`ws://127.0.0.1:${(server.address() as AddressInfo).port}/serial`);

  it("to what is no WebSocket of ours is told", async () => {
    const http = createServer((_request, response) => response.end("hello"));
    const junk = createTcpServer((socket) => socket.on("error", () => {}).end("junk\r\n\r\n"));
    for (const server of [http, junk]) {
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      cleanups.push(() => server.close());
      await expect(connectWebSocket(at(server))).rejects.toMatchObject({ code: "E_CONNECT", hint: expect.any(String) });
    }
    await expect(connectWebSocket(new URL("ws://host.invalid/"))).rejects.toMatchObject({ code: "E_CONNECT" });
  });

  it("ends when it is told to", async () => {
    const silent = createTcpServer((socket) => socket.on("error", () => {}));
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    cleanups.push(() => silent.close());
    const leaving = new AbortController();
    const connected = connectWebSocket(at(silent), { signal: leaving.signal });
    setTimeout(() => leaving.abort(new Error("enough")), 20);
    await expect(connected).rejects.toThrow("enough");
    await expect(connectWebSocket(at(silent), { signal: leaving.signal })).rejects.toThrow("enough");
  });
});
