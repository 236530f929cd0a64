// The bridge: one serial line on a WebSocket, for one client at a time. It knows nothing of frames: bytes go through as they are, and the
// slower side holds the other one back.
//
//   line <--> WebSocketTransport <--> attach of a control plane elsewhere
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { HvkitError } from "../errors.js";
import type { ListenAddress } from "../transport/address.js";
import { bracketed, Guard, type Refusal, refuse } from "../transport/guard.js";
import { BRIDGE_PATH } from "../transport/target.js";
import type { Line } from "../transport/transport.js";
import { MAX_MESSAGE_BYTES, WebSocketTransport } from "../transport/websocket.js";

/** What may wait for the slower side: a line of 9600 baud has it away in a quarter of the time that a peer may be silent. */
const HIGH_WATER_BYTES = 8192;
const MAX_CONNECTIONS = 32;
const HEADERS_MS = 10_000;
const CLOSE_MS = 500;
/** RFC 6455, 7.4.1 */
const GOING_AWAY = 1001;
const INTERNAL_ERROR = 1011;

export type BridgeEvent =
  /** `dropped`: bytes that came from the line while nobody was there */
  { type: "connected"; peer: string; dropped: number } | { type: "left"; peer: string } | { type: "refused"; peer: string; why: string };

export interface BridgeOptions {
  line: Line;
  /** what the line is, for messages */
  name: string;
  listen: ListenAddress;
  token: string;
  hosts?: readonly string[];
  origins?: readonly string[];
  onEvent?: (event: BridgeEvent) => void;
}

export class Bridge {
  readonly port: number;
  readonly url: string;
  /** rejected when the line goes; resolved by close() */
  readonly ended: Promise<void>;
  readonly #server: Server;
  readonly #sockets = new WebSocketServer({ noServer: true, maxPayload: MAX_MESSAGE_BYTES, perMessageDeflate: false });
  readonly #options: BridgeOptions;
  readonly #guard: Guard;
  #client: WebSocketTransport | undefined;
  #dropped = 0;
  #end: { resolve: () => void; reject: (error: Error) => void } = { resolve: () => {}, reject: () => {} };
  #closing: Promise<void> | undefined;

  /** Resolves when clients can connect. Throws E_LISTEN; the line stays the caller's then. */
  static async open(options: BridgeOptions): Promise<Bridge> {
    const server = createServer((_request, response) => {
      response.writeHead(426, { "content-type": "text/plain", connection: "close" }).end(`WebSocket at ${BRIDGE_PATH}\n`);
    });
    server.maxConnections = MAX_CONNECTIONS;
    server.headersTimeout = HEADERS_MS;
    const { host, port } = options.listen;
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error) => reject(cannotListen(options.listen, error)));
      server.listen(port, host, resolve);
    });
    return new Bridge(server, options);
  }

  private constructor(server: Server, options: BridgeOptions) {
    this.#server = server;
    this.#options = options;
    const { host } = options.listen;
    this.port = (server.address() as AddressInfo).port;
    this.url = `ws://${bracketed(host)}:${this.port}${BRIDGE_PATH}`;
    this.#guard = new Guard({ ...options, address: host, port: this.port, options: { host: "--allow-host", origin: "--allow-origin" } });
    this.ended = new Promise((resolve, reject) => {
      this.#end = { resolve, reject };
    });
    this.ended.catch(() => undefined);
    server.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head));
    const { line } = options;
    line.onData((bytes) => this.#fromLine(bytes));
    line.onDrain(() => this.#client?.resume());
    line.onClose((error) => this.#lineClosed(error));
  }

  /** Ends the line, the client and the port. */
  close(): Promise<void> {
    this.#closing ??= this.#close(GOING_AWAY, "the bridge ends").then(() => this.#end.resolve());
    return this.#closing;
  }

  #fromLine(bytes: Uint8Array): void {
    const client = this.#client;
    if (!client) {
      this.#dropped += bytes.length;
      return;
    }
    client.write(bytes);
    if (client.pending > HIGH_WATER_BYTES) this.#options.line.pause();
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const peer = `${request.socket.remoteAddress}:${request.socket.remotePort}`;
    const refusal = this.#guard.refusal(request) ?? this.#notNow(request);
    if (refusal) {
      refuse(socket, refusal);
      this.#options.onEvent?.({ type: "refused", peer, why: refusal.message });
      return;
    }
    socket.on("error", () => {}); // of the handshake; later ones are the transport's
    this.#sockets.handleUpgrade(request, socket, head, (client) => this.#connected(new WebSocketTransport(client), peer));
  }

  #notNow({ url }: IncomingMessage): Refusal | undefined {
    if (url !== BRIDGE_PATH) {
      return { status: 404, code: "E_CONNECT", message: "the path is another one", hint: `The line is at ${BRIDGE_PATH}.` };
    }
    if (!this.#client) return undefined;
    const message = `${this.#options.name} has a client already`;
    return { status: 503, code: "E_BRIDGE_BUSY", message, hint: "A serial line has one user at a time: `hvkit down` there." };
  }

  #connected(client: WebSocketTransport, peer: string): void {
    const { line, onEvent } = this.#options;
    this.#client = client;
    client.onData((bytes) => {
      line.write(bytes);
      if (line.pending > HIGH_WATER_BYTES) client.pause();
    });
    client.onDrain(() => line.resume());
    client.onClose(() => {
      this.#client = undefined;
      line.resume();
      onEvent?.({ type: "left", peer });
    });
    onEvent?.({ type: "connected", peer, dropped: this.#dropped });
    this.#dropped = 0;
  }

  #lineClosed(error: Error | undefined): void {
    if (this.#closing !== undefined) return;
    const { name } = this.#options;
    const reason =
      error instanceof HvkitError
        ? new HvkitError(error.code, `${name}: ${error.message}`, { ...(error.hint ? { hint: error.hint } : {}), cause: error })
        : new HvkitError("E_SOCKET", `${name} was closed: ${error?.message ?? "by this side"}`, { cause: error });
    this.#closing = this.#close(INTERNAL_ERROR, reason.message).then(() => this.#end.reject(reason));
  }

  async #close(code: number, reason: string): Promise<void> {
    this.#client?.close(code, reason);
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    this.#options.line.close();
    const timer = setTimeout(() => {
      for (const client of this.#sockets.clients) client.terminate();
      this.#server.closeAllConnections();
    }, CLOSE_MS);
    await closed;
    clearTimeout(timer);
  }
}

function cannotListen({ host, port }: ListenAddress, error: NodeJS.ErrnoException): HvkitError {
  const reasons: Record<string, [what: string, hint: string]> = {
    EADDRINUSE: ["somebody listens there already", "Take another port with --listen; port 0 takes any free one."],
    EADDRNOTAVAIL: ["this machine has no such address", "Take one of its own; 127.0.0.1 always is."],
    EACCES: ["a port below 1024 is the system's", "Take a port above 1023."],
  };
  const [what, hint] = reasons[error.code ?? ""] ?? [error.message, "Take another address with --listen."];
  return new HvkitError("E_LISTEN", `nothing can listen on ${bracketed(host)}:${port}: ${what}`, { hint, cause: error });
}
