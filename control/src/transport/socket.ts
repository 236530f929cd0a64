// Transport over a stream socket: Unix or TCP, the connecting or the accepting side, or an inherited pair.
// Used by engines; the link frames on it.
import { connect, createServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { HvkitError } from "../errors.js";
import { quickAck } from "../native/libc.js";
import type { Line } from "./transport.js";

/** A Unix path, or a TCP port on a host (loopback when none is given). */
export type SocketAddress = { path: string } | { port: number; host?: string };

export interface SocketOptions {
  /** The peer sends byte by byte and leaves Nagle's algorithm on (Bochs does): without an acknowledgement at once, each message waits
   *  for the delayed one, 40 ms. Linux only; elsewhere the line is slower. */
  quickAck?: boolean;
}

/** Any two-way stream as a transport; it is the transport's from here on. */
export class SocketTransport implements Line {
  readonly #socket: Duplex;
  readonly #quickAckFd: number | undefined;
  readonly #listeners: ((bytes: Uint8Array) => void)[] = [];
  readonly #closeListeners: ((error?: Error) => void)[] = [];
  readonly #drainListeners: (() => void)[] = [];
  #paused = false;
  #closing = false;
  #closed: { error?: Error } | undefined;
  #failure: Error | undefined;

  constructor(socket: Duplex, { quickAck: quick = false }: SocketOptions = {}) {
    this.#socket = socket;
    this.#quickAckFd = quick && process.platform === "linux" ? descriptorOf(socket) : undefined;
    // Paused until someone listens: what comes in before that is not lost.
    socket.on("error", (error) => {
      this.#failure = error;
    });
    socket.on("end", () => socket.end());
    socket.on("close", () => this.#onClosed());
  }

  get pending(): number {
    return this.#socket.writableLength;
  }

  write(bytes: Uint8Array): void {
    if (this.#closing || this.#closed || !this.#socket.writable) return;
    this.#socket.write(bytes, (error) => {
      if (!error && this.#socket.writableLength === 0) for (const listener of this.#drainListeners) listener();
    });
  }

  onDrain(listener: () => void): void {
    this.#drainListeners.push(listener);
  }

  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#paused = false;
    // Before anyone listens it stands still anyway.
    if (this.#listeners.length > 0) this.#socket.resume();
  }

  onData(listener: (bytes: Uint8Array) => void): void {
    this.#listeners.push(listener);
    if (this.#listeners.length > 1) return;
    this.#socket.on("data", (bytes: Buffer) => {
      if (this.#quickAckFd !== undefined && !this.#socket.destroyed) quickAck(this.#quickAckFd);
      for (const each of this.#listeners) each(bytes);
    });
    // An accepted socket was paused by its server.
    if (this.#paused) this.#socket.pause();
    else this.#socket.resume();
  }

  onClose(listener: (error?: Error) => void): void {
    if (this.#closed) listener(this.#closed.error);
    else this.#closeListeners.push(listener);
  }

  close(): void {
    this.#closing = true;
    this.#socket.destroy();
  }

  #onClosed(): void {
    const error = this.#closing ? undefined : (this.#failure ?? new Error("the other side closed it"));
    this.#closed = error ? { error } : {};
    for (const listener of this.#closeListeners.splice(0)) listener(error);
  }
}

/** The connecting side. */
export function connectSocket(address: SocketAddress): Promise<SocketTransport> {
  return new Promise((resolve, reject) => {
    const socket = connect(withHost(address));
    const fail = (error: Error): void => reject(socketError(address, error));
    socket.once("error", fail);
    socket.once("connect", () => {
      socket.off("error", fail);
      resolve(new SocketTransport(undelayed(socket)));
    });
  });
}

export interface ListenOptions extends SocketOptions {
  /** whether this peer may be the one */
  admit?: (socket: Socket) => boolean;
}

/** The accepting side: takes one peer that `admit` lets in, then listens no more. */
export class SocketListener {
  readonly #server: Server;
  readonly address: SocketAddress;
  readonly #accepted: Promise<SocketTransport>;
  #reject: (error: Error) => void = () => undefined;

  private constructor(server: Server, address: SocketAddress, options: ListenOptions) {
    this.#server = server;
    this.address = address;
    this.#accepted = new Promise((resolve, reject) => {
      this.#reject = reject;
      server.on("connection", (socket) => {
        if (options.admit?.(socket) === false) {
          socket.destroy();
          return;
        }
        server.close();
        resolve(new SocketTransport(undelayed(socket), options));
      });
    });
    this.#accepted.catch(() => undefined);
  }

  /** Port 0 takes any free one; `address` tells which. */
  static listen(address: SocketAddress, options: ListenOptions = {}): Promise<SocketListener> {
    return new Promise((resolve, reject) => {
      const server = createServer({ pauseOnConnect: true });
      server.once("error", (error) => reject(socketError(address, error)));
      server.listen(withHost(address), () => {
        const bound = server.address();
        const actual = typeof bound === "object" && bound ? { host: bound.address, port: bound.port } : address;
        resolve(new SocketListener(server, actual, options));
      });
    });
  }

  accept(): Promise<SocketTransport> {
    return this.#accepted;
  }

  close(): void {
    this.#server.close();
    this.#reject(new HvkitError("E_SOCKET", "Nobody connected."));
  }
}

/** Node has no public way to a socket's descriptor. Undefined costs speed only. */
const descriptorOf = (socket: Duplex): number | undefined => (socket as { _handle?: { fd?: number } })._handle?.fd;

const withHost = (address: SocketAddress): SocketAddress => ("port" in address ? { host: "127.0.0.1", ...address } : address);

/** Frames are small, and each is waited for. */
function undelayed(socket: Socket): Socket {
  socket.setNoDelay(true);
  return socket;
}

function socketError(address: SocketAddress, error: Error): HvkitError {
  const where = "path" in address ? address.path : `${address.host ?? "127.0.0.1"}:${address.port}`;
  return new HvkitError("E_SOCKET", `The socket ${where} cannot be used: ${error.message}`, { cause: error });
}
