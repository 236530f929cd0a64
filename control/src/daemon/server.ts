// The daemon's door: JSON-RPC over WebSocket on a Unix socket that only this user can open.
import { chmodSync, rmSync } from "node:fs";
import { createServer, type Server as HttpServer, type IncomingMessage, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import type { Notification, NotificationName } from "../api/methods.js";
import { Connection, type Handlers } from "./connection.js";
import type { Log } from "./log.js";

export const RPC_PATH = "/rpc";
export const MAX_MESSAGE_BYTES = 2 ** 20;
const MAX_CLIENTS = 64;
const PING_MS = 15_000;

export class Server {
  readonly #http: HttpServer;
  readonly #sockets = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_MESSAGE_BYTES,
    perMessageDeflate: false,
    maxFragments: 64,
    maxBufferedChunks: 4096,
  });
  readonly #connections = new Map<WebSocket, Connection>();
  readonly #silent = new Set<WebSocket>();
  readonly #pinger: NodeJS.Timeout;

  constructor(
    private readonly handlers: Handlers,
    private readonly log: Log,
    private readonly pingMs = PING_MS,
  ) {
    this.#http = createServer((_request, response) => {
      response.writeHead(426, { "content-type": "text/plain", connection: "close" }).end(`WebSocket at ${RPC_PATH}\n`);
    });
    this.#http.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head));
    this.#pinger = setInterval(() => this.#ping(), this.pingMs);
    this.#pinger.unref();
  }

  async listen(path: string): Promise<void> {
    rmSync(path, { force: true }); // the lock says that nobody listens on it
    await new Promise<void>((resolve, reject) => {
      this.#http.once("error", reject);
      this.#http.listen(path, () => {
        this.#http.off("error", reject);
        resolve();
      });
    });
    chmodSync(path, 0o600);
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
    const closed = new Promise<void>((resolve) => {
      this.#http.close(() => resolve());
    });
    const timer = setTimeout(() => {
      for (const socket of this.#connections.keys()) socket.terminate();
      this.#http.closeAllConnections();
    }, 500);
    await closed;
    clearTimeout(timer);
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", (error) => this.log.warn({ err: error }, "upgrade"));
    const refusal =
      request.url !== RPC_PATH ? 404 : request.headers.origin !== undefined ? 403 : this.#connections.size >= MAX_CLIENTS ? 503 : undefined;
    if (refusal !== undefined) {
      socket.end(`HTTP/1.1 ${refusal} ${STATUS_CODES[refusal]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (client) => {
      this.#connections.set(client, new Connection(client, this.handlers, this.log));
      client.on("pong", () => this.#silent.delete(client));
      client.on("close", () => {
        this.#connections.delete(client);
        this.#silent.delete(client);
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
