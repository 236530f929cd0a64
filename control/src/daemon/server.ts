// The daemon's doors: JSON-RPC over WebSocket on a Unix socket that only this user can open, and on a TCP port of loopback where that was
// asked for, behind a guard (transport/guard.ts).
import { chmodSync, rmSync } from "node:fs";
import { createServer, type Server as HttpServer, type IncomingMessage } from "node:http";
import type { AddressInfo, ListenOptions } from "node:net";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import type { Notification, NotificationName } from "../api/methods.js";
import { Guard, type Refusal, refuse } from "../transport/guard.js";
import { Connection, type Handlers, limits } from "./connection.js";
import type { Log } from "./log.js";
import { Outboxes } from "./outbox.js";

export const RPC_PATH = "/rpc";
const MAX_CLIENTS = 1024;
/** connections that have not become a WebSocket yet, beside them */
const MAX_ARRIVING = 64;
const PING_MS = 15_000;
/** for the request of an upgrade to be there */
const REQUEST_MS = 10_000;

export interface ServerOptions {
  /** between two pings; who has not answered one by the next is let go */
  pingMs?: number;
  maxClients?: number;
}

export interface TcpDoor {
  address: string;
  /** 0: a free one */
  port: number;
  token: string;
}

export class Server {
  readonly outboxes = new Outboxes();
  readonly #doors: HttpServer[] = [];
  readonly #sockets = new WebSocketServer({
    noServer: true,
    maxPayload: limits.message,
    perMessageDeflate: false,
    maxFragments: 64,
    maxBufferedChunks: 4096,
  });
  readonly #connections = new Map<WebSocket, Connection>();
  /** pinged, and not heard of since */
  readonly #silent = new Set<WebSocket>();
  readonly #pinger: NodeJS.Timeout;

  readonly #maxClients: number;

  constructor(
    private readonly handlers: Handlers,
    private readonly log: Log,
    { pingMs = PING_MS, maxClients = MAX_CLIENTS }: ServerOptions = {},
  ) {
    this.#maxClients = maxClients;
    this.#pinger = setInterval(() => this.#ping(), pingMs);
    this.#pinger.unref();
  }

  async listen(path: string): Promise<void> {
    rmSync(path, { force: true }); // the lock says that nobody listens on it
    await this.#open({ path }, () => undefined);
    chmodSync(path, 0o600);
  }

  /** The port that it is. */
  async listenTcp({ address, port, token }: TcpDoor): Promise<number> {
    let guard: Guard | undefined;
    const door = await this.#open({ host: address, port }, (request) => guard?.refusal(request) ?? (guard ? undefined : NOT_YET));
    const { port: bound } = door.address() as AddressInfo;
    guard = new Guard({ token, address, port: bound });
    return bound;
  }

  connections(): Connection[] {
    return [...this.#connections.values()];
  }

  broadcast<N extends NotificationName>(method: N, params: Notification<N>): void {
    for (const connection of this.#connections.values()) if (connection.subscribed) connection.notify(method, params);
  }

  /** Clients get what was already sent to them, and a close frame. */
  async close(): Promise<void> {
    clearInterval(this.#pinger);
    for (const socket of this.#connections.keys()) socket.close(1001, "the daemon ends");
    const closed = this.#doors.map((door) => new Promise<void>((resolve) => door.close(() => resolve())));
    const timer = setTimeout(() => {
      for (const socket of this.#connections.keys()) socket.terminate();
      for (const door of this.#doors) door.closeAllConnections();
    }, 500);
    await Promise.all(closed);
    clearTimeout(timer);
  }

  async #open(where: ListenOptions, check: (request: IncomingMessage) => Refusal | undefined): Promise<HttpServer> {
    const door = createServer(
      { headersTimeout: REQUEST_MS, requestTimeout: REQUEST_MS, connectionsCheckingInterval: REQUEST_MS / 4, maxHeaderSize: 8192 },
      (_request, response) => {
        response.writeHead(426, { "content-type": "text/plain", connection: "close" }).end(`WebSocket at ${RPC_PATH}\n`);
      },
    );
    door.maxConnections = this.#maxClients + MAX_ARRIVING;
    door.on("upgrade", (request, socket, head) => {
      socket.on("error", (error) => this.log.warn({ err: error }, "upgrade"));
      const refusal = check(request) ?? this.#refusal(request);
      if (refusal === undefined) this.#admit(request, socket, head);
      else refuse(socket, refusal);
    });
    await new Promise<void>((resolve, reject) => {
      door.once("error", reject);
      // All may come at once: a Unix socket's connections that find no room are refused, not kept waiting.
      door.listen({ ...where, backlog: this.#maxClients }, () => {
        door.off("error", reject);
        door.on("error", (error) => this.log.error({ err: error }, "door"));
        resolve();
      });
    });
    this.#doors.push(door);
    return door;
  }

  /** What holds at each door. */
  #refusal({ url, headers }: IncomingMessage): Refusal | undefined {
    if (url !== RPC_PATH) {
      return { status: 404, code: "E_CONNECT", message: "there is nothing at this path", hint: `The daemon is at ${RPC_PATH}.` };
    }
    if (headers.origin !== undefined) {
      return { status: 403, code: "E_ORIGIN", message: "web pages may not connect", hint: "Use a program that sends no Origin." };
    }
    if (this.#connections.size >= this.#maxClients) {
      return { status: 503, code: "E_CLIENTS", message: `it has ${this.#maxClients} clients already`, hint: "Close some of them." };
    }
    return undefined;
  }

  #admit(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#sockets.handleUpgrade(request, socket, head, (client) => {
      const outbox = this.outboxes.open(client, this.log);
      const heard = (): void => void this.#silent.delete(client);
      outbox.onProgress = heard;
      this.#connections.set(client, new Connection(client, outbox, this.handlers, this.log));
      client.on("pong", heard);
      client.on("close", () => {
        this.#connections.delete(client);
        heard();
      });
    });
  }

  #ping(): void {
    for (const client of this.#connections.keys()) {
      if (this.#silent.has(client)) {
        client.terminate();
      } else {
        this.#silent.add(client);
        client.ping();
      }
    }
  }
}

const NOT_YET: Refusal = { status: 503, code: "E_CONNECT", message: "it is being started", hint: "Try again." };
