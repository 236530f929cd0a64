// Messages of anybody's making, from many clients at once: each request gets an answer, no answer is a defect of ours, and a normal session
// works meanwhile and afterwards. HVKIT_SEED repeats a run.
import { connect } from "node:net";
import { pino } from "pino";
import { expect, it } from "vitest";
import { WebSocket } from "ws";
import { methods } from "../../../control/src/api/methods.js";
import { randomFrom, scaled, seedOf } from "../../support/scale.js";
import { Harness, until } from "./harness.js";

/** The daemon and they are one process: more of them would wait for each other longer than the daemon waits for anybody (limits.test.ts has 1,000). */
const CLIENTS = 50;
const MESSAGES = scaled(20_000, 10_000_000);
/** that a client has under way */
const WINDOW = 32;

type Random = (below: number) => number;

/** `down` is what it says, and is tried elsewhere. */
const names = Object.keys(methods).filter((name) => name !== "down");
const words = ["guest", "id", "name", "web", "image", "address", "length", "offset", "data", "port", "__proto__", "constructor", "jsonrpc"];

function text(random: Random): string {
  switch (random(4)) {
    case 0:
      return words[random(words.length)] ?? "";
    case 1:
      return String.fromCharCode(...Array.from({ length: random(12) }, () => random(0x10000)));
    case 2:
      return "x".repeat(random(3000));
    default:
      return Buffer.from(Array.from({ length: random(24) }, () => random(256))).toString("base64");
  }
}

function value(random: Random, depth = 0): unknown {
  switch (random(depth > 4 ? 6 : 8)) {
    case 0:
      return null;
    case 1:
      return random(2) === 0;
    case 2:
      return random(2 ** 31) - 2 ** 30;
    case 3:
      return [0, -0, 1e308, 0.5, Number.MAX_SAFE_INTEGER + 1, -1][random(6)];
    case 4:
    case 5:
      return text(random);
    case 6:
      return Array.from({ length: random(5) }, () => value(random, depth + 1));
    default:
      return Object.fromEntries(Array.from({ length: random(5) }, () => [text(random), value(random, depth + 1)]));
  }
}

/** Right in its form; its parameters are near those of its method. */
function request(random: Random, id: unknown): object {
  const method = random(20) === 0 ? text(random) : (names[random(names.length)] ?? "");
  const shape = Object.hasOwn(methods, method) ? Object.keys(methods[method as keyof typeof methods].params.shape) : words;
  const params = Object.fromEntries(shape.filter(() => random(4) > 0).map((name) => [name, random(3) === 0 ? "web" : value(random)]));
  return { jsonrpc: "2.0", id, method, params: random(10) === 0 ? value(random) : params };
}

function damaged(random: Random, message: string): string {
  const at = random(message.length);
  return random(2) === 0 ? message.slice(0, at) : message.slice(0, at) + String.fromCharCode(random(128)) + message.slice(at + random(3));
}

/** A message, and whether it is sent as binary. */
function message(random: Random, id: unknown): string | Buffer {
  switch (random(8)) {
    case 0:
      return Buffer.from(Array.from({ length: random(200) }, () => random(256)));
    case 1:
      return JSON.stringify(value(random)) ?? "";
    case 2:
      return text(random);
    case 3:
      return damaged(random, JSON.stringify(request(random, id)));
    case 4:
      return JSON.stringify(Array.from({ length: random(40) }, (_, index) => (random(3) === 0 ? value(random) : request(random, index))));
    default:
      return JSON.stringify(request(random, id));
  }
}

/** Frames that are none. The daemon closes such a connection. */
async function breakFraming(path: string, random: Random): Promise<void> {
  const socket = new WebSocket("ws://localhost/rpc", { createConnection: () => connect(path) });
  socket.on("error", () => {});
  await new Promise((resolve) => socket.once("open", resolve).once("close", resolve));
  const raw = (socket as unknown as { _socket?: { write(bytes: Buffer): void; end(): void } })._socket;
  raw?.write(Buffer.from(Array.from({ length: 1 + random(300) }, () => random(256))));
  raw?.end();
  await new Promise((resolve) => (socket.readyState === WebSocket.CLOSED ? resolve(undefined) : socket.once("close", resolve)));
}

async function client(path: string, count: number, random: Random, answered: (text: string) => void): Promise<void> {
  const socket = new WebSocket("ws://localhost/rpc", { createConnection: () => connect(path), maxPayload: 2 ** 20 });
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  let marks = 0;
  const waiting: (() => void)[] = [];
  socket.on("message", (data: Buffer) => {
    const answer = data.toString();
    if (answer.startsWith('{"jsonrpc":"2.0","id":"mark"')) waiting.splice(0).forEach((go) => void go());
    else answered(answer);
  });
  const closed = new Promise<never>((_, reject) => socket.once("close", (code) => reject(new Error(`closed with ${code}`))));
  closed.catch(() => {});
  for (let sent = 0; sent < count; sent++) {
    socket.send(message(random, sent));
    if (++marks % WINDOW !== 0 && sent + 1 < count) continue;
    // An answer to this one says that the daemon has read the others.
    const mark = new Promise<void>((resolve) => waiting.push(resolve));
    socket.send('{"jsonrpc":"2.0","id":"mark","method":"ps"}');
    await Promise.race([mark, closed]);
  }
  closed.catch(() => {});
  socket.close();
  await closed.catch(() => {});
}

it(
  `${MESSAGES} messages of ${CLIENTS} clients`,
  async () => {
    const seed = seedOf(20_511);
    const failures: string[] = [];
    const log = pino({ level: "error" }, { write: (line: string) => void (failures.length < 20 && failures.push(line)) });
    const harness = await Harness.start(undefined, { log });
    try {
      const normal = await harness.client();
      await harness.call(normal, "run", { image: "sector", name: "normal" });
      let answers = 0;
      const answered = (answer: string): void => {
        answers++;
        if (answer.includes('"E_INTERNAL"') && failures.length < 20) failures.push(answer);
      };
      const each = Math.ceil(MESSAGES / CLIENTS);
      const clients = Array.from({ length: CLIENTS }, (_, index) =>
        client(harness.paths.socket, each, randomFrom(seed + index * 7919), answered),
      );
      const random = randomFrom(seed ^ 0x5555);
      for (let count = 0; count < CLIENTS; count++) await breakFraming(harness.paths.socket, random);
      expect(await harness.call(normal, "inspect", { guest: "normal" })).toMatchObject({ name: "normal" });
      await Promise.all(clients);
      expect(failures, `HVKIT_SEED=${seed}`).toEqual([]);
      expect(answers).toBeGreaterThan(MESSAGES / 2);
      await until(() => harness.daemon.server.connections().length === 1);
      expect(harness.daemon.server.outboxes.unsent).toBe(0);
      expect(await harness.call(normal, "ps", {})).toEqual(expect.arrayContaining([expect.objectContaining({ name: "normal" })]));
    } finally {
      await harness.stop();
    }
  },
  scaled(120_000, 8 * 3600_000),
);
