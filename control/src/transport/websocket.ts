// Transport over a WebSocket: binary messages carry the bytes as they come, one message or another says nothing. The connecting side
// (attach) and the accepting one (bridge).
import type { IncomingMessage } from "node:http";
import { WebSocket } from "ws";
import { HvkitError } from "../errors.js";
import { refusedBy } from "./guard.js";
import { tokenHeaders } from "./token.js";
import type { Line } from "./transport.js";

export const MAX_MESSAGE_BYTES = 2 ** 20;
/** for each side's answer to the other's opening */
const HANDSHAKE_MS = 10_000;
/** between two pings; of so many without a sign of life the connection ends */
const PING_MS = 15_000;
const SILENT_PINGS = 3;
/** RFC 6455, 7.4.1 */
const UNSUPPORTED_DATA = 1003;
const NORMAL = 1000;

export class WebSocketTransport implements Line {
  readonly #socket: WebSocket;
  readonly #listeners: ((bytes: Uint8Array) => void)[] = [];
  readonly #closeListeners: ((error?: Error) => void)[] = [];
  readonly #drainListeners: (() => void)[] = [];
  readonly #pinger: NodeJS.Timeout;
  #early: Uint8Array[] = [];
  #silentPings = 0;
  #closing = false;
  #failure: Error | undefined;
  #closed: { error: Error | undefined } | undefined;

  /** @param socket open; the transport's from here on */
  constructor(socket: WebSocket, pingMs = PING_MS) {
    this.#socket = socket;
    socket.on("message", (data: Buffer, isBinary: boolean) => this.#receive(data, isBinary));
    socket.on("pong", () => {
      this.#silentPings = 0;
    });
    socket.on("error", (error) => {
      this.#failure = error;
    });
    socket.on("close", (code, reason) => this.#onClosed(code, reason.toString()));
    this.#pinger = setInterval(() => this.#ping(), pingMs).unref();
  }

  get pending(): number {
    return this.#socket.bufferedAmount;
  }

  write(bytes: Uint8Array): void {
    if (this.#closing || this.#socket.readyState !== WebSocket.OPEN) return;
    this.#socket.send(bytes, (error) => {
      if (!error && this.#socket.bufferedAmount === 0) for (const listener of this.#drainListeners) listener();
    });
  }

  onData(listener: (bytes: Uint8Array) => void): void {
    this.#listeners.push(listener);
    for (const bytes of this.#early.splice(0)) listener(bytes);
  }

  onClose(listener: (error?: Error) => void): void {
    if (this.#closed) listener(this.#closed.error);
    else this.#closeListeners.push(listener);
  }

  onDrain(listener: () => void): void {
    this.#drainListeners.push(listener);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#silentPings = 0;
    this.#socket.resume();
  }

  /** @param reason for the other side: at most 123 bytes (RFC 6455, 5.5) */
  close(code = NORMAL, reason = ""): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#socket.resume(); // the other side's answer to it must be read
    this.#socket.close(code, Buffer.from(reason).subarray(0, 123));
  }

  #receive(data: Buffer, isBinary: boolean): void {
    if (this.#closing) return;
    if (!isBinary) {
      this.#failure = new Error("the other side sent text; a serial line's bytes are binary messages");
      this.#socket.close(UNSUPPORTED_DATA, "binary messages only");
      return;
    }
    this.#silentPings = 0;
    if (this.#listeners.length === 0) this.#early.push(data);
    for (const listener of this.#listeners) listener(data);
  }

  /** A side that is held back does not see the other's pongs. */
  #ping(): void {
    if (this.#socket.isPaused || this.#socket.readyState !== WebSocket.OPEN) return;
    if (++this.#silentPings <= SILENT_PINGS) {
      this.#socket.ping();
      return;
    }
    this.#failure = new Error("the other side does not answer any more");
    this.#socket.terminate();
  }

  #onClosed(code: number, reason: string): void {
    clearInterval(this.#pinger);
    const words = reason.replace(/[^\x20-\x7e]/g, "?") || `the other side closed it (${code})`;
    const error = this.#closing ? undefined : (this.#failure ?? new Error(words));
    this.#closed = { error };
    for (const listener of this.#closeListeners.splice(0)) listener(error);
  }
}

export interface WebSocketOptions {
  token?: string | undefined;
  signal?: AbortSignal | undefined;
}

/** The connecting side. Throws E_CONNECT, or what the other side refuses with. */
export async function connectWebSocket(url: URL, { token, signal }: WebSocketOptions = {}): Promise<WebSocketTransport> {
  signal?.throwIfAborted();
  const where = url.href;
  const socket = new WebSocket(url, {
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
    handshakeTimeout: HANDSHAKE_MS,
    headers: token === undefined ? {} : tokenHeaders(token),
  });
  const abort = (): void => socket.terminate();
  signal?.addEventListener("abort", abort, { once: true });
  try {
    return await new Promise((resolve, reject) => {
      socket.once("open", () => resolve(new WebSocketTransport(socket)));
      socket.once("unexpected-response", (_request, response: IncomingMessage) => {
        refusedBy(where, response).then(reject, reject);
      });
      socket.on("error", (error) => reject(signal?.aborted ? signal.reason : unreachable(where, error)));
    });
  } catch (error) {
    socket.terminate();
    throw error;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

function unreachable(where: string, error: NodeJS.ErrnoException): HvkitError {
  const refused = error.code === "ECONNREFUSED";
  return new HvkitError("E_CONNECT", `${where} cannot be reached: ${error.message || error.code}`, {
    hint: refused ? "Nothing listens there: is `hvkit bridge` started, with this port?" : "Check host and port.",
    cause: error,
  });
}
