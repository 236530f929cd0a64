// The bridge itself: who gets in, one at a time, what holds what back, and how each side's end is told to the other.
import { get } from "node:http";
import { connect as connectTcp } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { Bridge, type BridgeEvent } from "../../../control/src/bridge/bridge.js";
import { MockTransport } from "../../../control/src/transport/mock.js";
import { makeToken, tokenHeaders } from "../../../control/src/transport/token.js";
import type { Line } from "../../../control/src/transport/transport.js";
import { openTty } from "../../../control/src/transport/tty.js";
import { connectWebSocket, type WebSocketTransport } from "../../../control/src/transport/websocket.js";
import { openPty } from "../../support/pty.js";

const token = makeToken();
let far: MockTransport;
let near: MockTransport;
let bridge: Bridge;
let events: BridgeEvent[];

beforeEach(async () => {
  [near, far] = MockTransport.pair();
  events = [];
  bridge = await Bridge.open({
    line: near,
    name: "/dev/ttyT",
    listen: { host: "127.0.0.1", port: 0 },
    token,
    origins: ["https://lab.example"],
    onEvent: (event) => events.push(event),
  });
});
afterEach(() => bridge.close());

const client = (): Promise<WebSocketTransport> => connectWebSocket(new URL(bridge.url), { token });
const closed = (line: Line): Promise<Error | undefined> => new Promise((resolve) => line.onClose(resolve));
const next = (line: Line): Promise<string> => new Promise((resolve) => line.onData((bytes) => resolve(Buffer.from(bytes).toString())));

/** The status of an upgrade that is asked for with these headers. */
const upgrade = (headers: Record<string, string>, path = "/serial"): Promise<number | undefined> =>
  new Promise((resolve, reject) => {
    const request = get({
      port: bridge.port,
      path,
      agent: false,
      headers: {
        connection: "Upgrade",
        upgrade: "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": Buffer.alloc(16).toString("base64"),
        ...headers,
      },
    });
    request.on("response", (response) => {
      resolve(response.statusCode);
      response.resume();
    });
    request.on("upgrade", (response, socket) => {
      socket.destroy();
      resolve(response.statusCode);
    });
    request.on("error", reject);
  });

describe("who gets in", () => {
  const right = tokenHeaders(token);

  it("has the token, the right Host, and no page's Origin but an allowed one", async () => {
    expect(await upgrade({})).toBe(401);
    expect(await upgrade(tokenHeaders(makeToken()))).toBe(401);
    expect(await upgrade({ ...right, host: `evil.example:${bridge.port}` })).toBe(421);
    expect(await upgrade({ ...right, host: "127.0.0.1" })).toBe(421);
    expect(await upgrade({ ...right, origin: "https://evil.example" })).toBe(403);
    expect(await upgrade({ ...right, origin: `http://127.0.0.1:${bridge.port}` })).toBe(403);
    expect(await upgrade(right, "/rpc")).toBe(404);
    expect(await upgrade({ ...right, origin: "https://lab.example" })).toBe(101);
    expect(events.filter(({ type }) => type === "refused")).toHaveLength(7);
  });

  it("is told what was wrong, by the client's error", async () => {
    const url = new URL(bridge.url);
    await expect(connectWebSocket(url)).rejects.toMatchObject({ code: "E_TOKEN", message: expect.stringContaining("a token is needed") });
    await expect(connectWebSocket(url, { token: makeToken() })).rejects.toMatchObject({ code: "E_TOKEN" });
    url.hostname = "127.0.0.2";
    await expect(connectWebSocket(url, { token })).rejects.toMatchObject({
      code: "E_CONNECT",
      message: expect.stringContaining("ECONNREFUSED"),
    });
    await expect(connectWebSocket(new URL(`ws://127.0.0.1:${bridge.port}/other`), { token })).rejects.toMatchObject({ code: "E_CONNECT" });
  });

  it("speaks WebSocket: other requests, and noise, are answered and harm nobody", async () => {
    const status = await new Promise((resolve) =>
      get({ port: bridge.port, agent: false }, (response) => resolve(response.resume().statusCode)),
    );
    expect(status).toBe(426);
    expect(await upgrade({ ...right, "sec-websocket-key": "short" })).toBe(400);
    const noise = connectTcp(bridge.port, "127.0.0.1").on("error", () => {});
    noise.end(Buffer.alloc(10_000, 0xa5));
    await new Promise((resolve) => noise.on("close", resolve).resume());
    const line = await client();
    line.write(Buffer.from("all is well"));
    expect(await next(far)).toBe("all is well");
  });
});

describe("one client at a time", () => {
  it("a second one is refused, and gets in when the first has left", async () => {
    const first = await client();
    await expect(client()).rejects.toMatchObject({ code: "E_BRIDGE_BUSY", message: expect.stringContaining("/dev/ttyT has a client") });
    const end = closed(first);
    first.close();
    await end;
    await expect.poll(() => events.at(-1)?.type).toBe("left");
    const second = await client();
    far.write(Buffer.from("for the second"));
    expect(await next(second)).toBe("for the second");
  });

  it("what came while nobody was there is dropped, and its count told", async () => {
    far.write(Buffer.alloc(123));
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    const line = await client();
    expect(events.at(-1)).toMatchObject({ type: "connected", dropped: 123 });
    far.write(Buffer.from("now"));
    expect(await next(line)).toBe("now");
  });

  it("one that sends text, or a message beyond the limit, loses its connection and nobody else's", async () => {
    for (const [data, code] of [
      ["text", 1003],
      [Buffer.alloc(2 ** 20 + 1), 1009],
    ] as const) {
      const socket = new WebSocket(bridge.url, { headers: tokenHeaders(token) });
      await new Promise((resolve) => socket.once("open", resolve));
      socket.on("error", () => {});
      const end = new Promise((resolve) => socket.once("close", resolve));
      socket.send(data);
      expect(await end).toBe(code);
      await expect.poll(() => events.at(-1)?.type).toBe("left");
    }
    const line = await client();
    line.write(Buffer.from("still"));
    expect(await next(far)).toBe("still");
  });

  it("one whose connection breaks off is let go", async () => {
    const socket = new WebSocket(bridge.url, { headers: tokenHeaders(token) });
    await new Promise((resolve) => socket.once("open", resolve));
    socket.terminate();
    await expect.poll(() => events.at(-1)?.type).toBe("left");
    await client();
  });
});

describe("the slower side", () => {
  it.each(["reads on", "goes"])("that does not read holds the line back, until it %s", async (then) => {
    const line = await client();
    line.pause();
    let sent = 0;
    // More than all buffers between: until the bridge does not take any more.
    for (let quiet = 0; quiet < 50; ) {
      if (near.held > 0) quiet++;
      else {
        far.write(Buffer.alloc(65_536));
        sent += 65_536;
      }
      await new Promise((resolve) => setImmediate(resolve));
      if (sent > 2 ** 28) throw new Error("nothing held it back");
    }
    if (then === "goes") {
      line.close();
      await expect.poll(() => near.held, { timeout: 20_000 }).toBe(0);
      return;
    }
    line.resume();
    let got = 0;
    line.onData((bytes) => {
      got += bytes.length;
    });
    await expect.poll(() => got, { timeout: 20_000 }).toBe(sent);
  });
});

describe("an end", () => {
  it("of the line is told to the client, with what it was, and ends the bridge", async () => {
    const line = await client();
    const end = closed(line);
    far.close();
    expect((await end)?.message).toBe("/dev/ttyT was closed: the other side closed it");
    await expect(bridge.ended).rejects.toMatchObject({ code: "E_SOCKET" });
    await expect(client()).rejects.toMatchObject({ code: "E_CONNECT" });
  });

  it.runIf(process.platform === "linux")("of a tty, too", async () => {
    const pty = openPty();
    const options = { name: pty.path, listen: { host: "127.0.0.1", port: 0 }, token };
    const other = await Bridge.open({ ...options, line: openTty({ path: pty.path }) });
    const end = closed(await connectWebSocket(new URL(other.url), { token }));
    pty.far().destroy();
    expect((await end)?.message).toContain(`${pty.path}: the tty has gone`);
    await expect(other.ended).rejects.toMatchObject({ code: "E_TTY_GONE", hint: expect.stringContaining("Plug it in") });
  });

  it("of the bridge is told to the client, and closes the line", async () => {
    const line = await client();
    const [end, lineEnd] = [closed(line), closed(far)];
    await bridge.close();
    expect((await end)?.message).toBe("the bridge ends");
    expect(await lineEnd).toBeInstanceOf(Error);
    await bridge.ended;
  });
});

describe("an address", () => {
  it("that is taken is told", async () => {
    const [line] = MockTransport.pair();
    const options = { line, name: "x", token };
    await expect(Bridge.open({ ...options, listen: { host: "127.0.0.1", port: bridge.port } })).rejects.toMatchObject({
      code: "E_LISTEN",
      message: expect.stringContaining("somebody listens there already"),
    });
    await expect(Bridge.open({ ...options, listen: { host: "203.0.113.1", port: 0 } })).rejects.toMatchObject({
      code: "E_LISTEN",
      message: expect.stringContaining("no such address"),
    });
  });
});
