import { request } from "node:http";
import { connect } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { outboxLimits } from "../../../control/src/daemon/outbox.js";
import { Harness } from "./harness.js";

let harness: Harness;
beforeEach(async () => {
  harness = await Harness.start();
});
afterEach(() => harness.stop());

function open(options: { headers?: Record<string, string>; path?: string } = {}): WebSocket {
  return new WebSocket(`ws://localhost${options.path ?? "/rpc"}`, {
    createConnection: () => connect(harness.paths.socket),
    headers: options.headers ?? {},
  });
}

/** Sends one text, gives the parsed answer. */
async function ask(text: string): Promise<unknown> {
  const socket = open();
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  const answer = new Promise<string>((resolve) => socket.once("message", (data: Buffer) => resolve(data.toString())));
  socket.send(text);
  const result: unknown = JSON.parse(await answer);
  socket.close();
  return result;
}

const failure = (code: number, id: unknown, own: string) => ({
  jsonrpc: "2.0",
  id,
  error: { code, message: expect.any(String) as string, data: expect.objectContaining({ code: own }) as object },
});

describe("JSON-RPC 2.0", () => {
  it.each([
    ["no JSON", "{", failure(-32700, null, "E_RPC_PARSE")],
    ["no request", '{"id":1}', failure(-32600, null, "E_RPC_REQUEST")],
    ["another version", '{"jsonrpc":"1.0","id":1,"method":"ps"}', failure(-32600, null, "E_RPC_REQUEST")],
    ["an unknown method", '{"jsonrpc":"2.0","id":1,"method":"fly"}', failure(-32601, 1, "E_RPC_METHOD")],
    ["a method of Object", '{"jsonrpc":"2.0","id":1,"method":"toString"}', failure(-32601, 1, "E_RPC_METHOD")],
    [
      "wrong parameters",
      '{"jsonrpc":"2.0","id":"a","method":"mem","params":{"guest":"x","address":-1,"length":1}}',
      failure(-32602, "a", "E_RPC_PARAMS"),
    ],
    ["an unknown parameter", '{"jsonrpc":"2.0","id":2,"method":"ps","params":{"all":true}}', failure(-32602, 2, "E_RPC_PARAMS")],
    ["an error of ours", '{"jsonrpc":"2.0","id":3,"method":"regs","params":{"guest":"x"}}', failure(-32000, 3, "E_NO_GUEST")],
    ["a call", '{"jsonrpc":"2.0","id":4,"method":"ps"}', { jsonrpc: "2.0", id: 4, result: [] }],
    ["an empty batch", "[]", failure(-32600, null, "E_RPC_REQUEST")],
    [
      "a batch, with a notification that has no answer",
      '[{"jsonrpc":"2.0","id":5,"method":"ps"},{"jsonrpc":"2.0","method":"ps"},7]',
      [{ jsonrpc: "2.0", id: 5, result: [] }, failure(-32600, null, "E_RPC_REQUEST")],
    ],
  ])("answers %s", async (_what, text, answer) => {
    expect(await ask(text)).toEqual(answer);
  });
});

it("an error lists the methods, or the parameters, that there are", async () => {
  const wrong = async (method: string, params: object) =>
    ((await ask(JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }))) as { error: { message: string; data: { hint: string } } })
      .error;
  const method = await wrong("fly".repeat(100_000), {});
  expect(method.message.length).toBeLessThan(300);
  expect(method.data.hint).toMatch(/^There are .*, ping, ps, .*\.$/);
  const params = await wrong("mem", { guest: "x", address: 0, size: 4 });
  expect(params.message).toMatch(/length: .*size/);
  expect(params.data).toMatchObject({ hint: "It takes guest, address, length.", values: { params: ["guest", "address", "length"] } });
  const many = await wrong("ps", Object.fromEntries(Array.from({ length: 50_000 }, (_, index) => [`key ${index}`, index])));
  expect(many.message.length).toBeLessThan(1000);
  expect(many.data.hint).toBe("It takes no parameters.");
});

it("answers that are longer than a message become an error", async () => {
  const client = await harness.client();
  const { id } = await client.call("run", { image: "sector", name: "web" });
  harness.hypervisor.write(1, "x".repeat(2 ** 18));
  const logs = (number: number) => ({ jsonrpc: "2.0", id: number, method: "logs", params: { guest: id } });
  const answers = (await ask(JSON.stringify(Array.from({ length: 16 }, (_, number) => logs(number))))) as {
    result?: { data: string };
    error?: { data: { code: string } };
  }[];
  expect(answers).toHaveLength(16);
  expect(answers.filter(({ result }) => result?.data.length === 349528)).toHaveLength(11);
  expect(answers.filter(({ error }) => error?.data.code === "E_RPC_REPLY")).toHaveLength(5);
});

describe("the door", () => {
  const refused = (socket: WebSocket) =>
    new Promise<number | undefined>((resolve) =>
      socket.once("unexpected-response", (_request, response) => resolve(response.statusCode)).once("error", () => {}),
    );

  it("is closed to browsers", async () => {
    expect(await refused(open({ headers: { origin: "http://localhost" } }))).toBe(403);
  });

  it("is at one path", async () => {
    expect(await refused(open({ path: "/" }))).toBe(404);
  });

  it("answers plain HTTP with what it wants", async () => {
    const status = await new Promise((resolve, reject) => {
      request({ socketPath: harness.paths.socket, path: "/rpc" }, (response) => resolve(response.resume().statusCode))
        .on("error", reject)
        .end();
    });
    expect(status).toBe(426);
  });

  it("lets go who sends more than a message may have", async () => {
    const socket = open();
    await new Promise((resolve) => socket.once("open", resolve));
    socket.on("error", () => {});
    const closed = new Promise((resolve) => socket.once("close", (code) => resolve(code)));
    socket.send("x".repeat(2 ** 20 + 1));
    expect(await closed).toBe(1009);
  });

  it("leaves console bytes out for who does not read, and keeps the others' order", async () => {
    const fast = await harness.client();
    await fast.call("run", { image: "sector", name: "web" });
    const slow = open();
    await new Promise((resolve) => slow.once("open", resolve));
    slow.send('{"jsonrpc":"2.0","id":1,"method":"console.attach","params":{"guest":"web"}}');
    await new Promise((resolve) => slow.once("message", resolve));
    slow.pause();
    const before = outboxLimits.highWater;
    outboxLimits.highWater = 64 * 1024;
    try {
      const line = `${"x".repeat(16383)}\n`;
      for (let count = 0; count < 600; count++) harness.hypervisor.write(1, line);
      let bytes = 0;
      slow.on("message", (data: Buffer) => {
        bytes += (JSON.parse(data.toString()) as { params: { data: string } }).params.data.length;
      });
      slow.resume();
      expect((await fast.call("logs", { guest: "web", length: 1 })).end).toBe(600 * 16384);
      await new Promise((resolve) => setTimeout(resolve, 200));
      expect(bytes).toBeLessThan(600 * 16384);
    } finally {
      outboxLimits.highWater = before;
      slow.terminate();
    }
  });
});
