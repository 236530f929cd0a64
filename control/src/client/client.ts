// The daemon's client: typed JSON-RPC calls and notifications. The command line is made of it, and so can other programs be.
//
//   const client = await Client.connect();
//   const guest = await client.call("run", { image: "linux" });
import { EventEmitter } from "node:events";
import type { WebSocket } from "ws";
import { fromRpcError, MAX_REQUESTS, type RpcError } from "../api/jsonrpc.js";
import type { MethodName, Notification, NotificationName, Params, Result } from "../api/methods.js";
import { HvkitError } from "../errors.js";
import { type Abortable, orAbort, reasonOf } from "./abort.js";
import { type DaemonAddress, endIt, type Opened, openSocket } from "./opening.js";
import { type PulseOptions, watchPulse } from "./pulse.js";

type ClientEvents = { [N in NotificationName]: [params: Notification<N>] } & { close: [reason: string] };

interface Pending {
  resolve: (result: never) => void;
  reject: (error: Error) => void;
}

/** How long a silent daemon is waited for. */
export interface Patience extends Pick<PulseOptions, "turnMs" | "turns"> {
  handshakeMs?: number;
}

export class Client extends EventEmitter<ClientEvents> {
  readonly #pending = new Map<number, Pending>();
  /** requests that wait until fewer are under way, in their order */
  readonly #held: string[] = [];
  #lastId = 0;
  #ended = false;
  private readonly socket: WebSocket;

  private constructor({ socket, received }: Opened, patience: Patience) {
    super();
    this.socket = socket;
    this.setMaxListeners(0);
    socket.on("message", (data: Buffer) => this.#receive(data.toString()));
    socket.on("close", (_code, reason) => this.#end(reason.toString() || "the daemon closed the connection"));
    socket.on("error", () => {}); // 'close' follows
    watchPulse(socket, { ...patience, received, onSilent: (seconds) => this.#silent(seconds) });
  }

  /** By default to the daemon of this user and instance, or the one that HVKIT_URL names. */
  static async connect(address?: DaemonAddress, patience: Patience = {}): Promise<Client> {
    return new Client(await openSocket(address, patience.handshakeMs), patience);
  }

  /** `signal`: who aborts waits no more; the daemon does what was asked for all the same. */
  call<M extends MethodName>(method: M, params: Params<M>, { signal }: Abortable = {}): Promise<Result<M>> {
    if (signal?.aborted) return Promise.reject(reasonOf(signal));
    return orAbort(this.#call(method, params), signal);
  }

  #call<M extends MethodName>(method: M, params: Params<M>): Promise<Result<M>> {
    if (this.#ended || this.socket.readyState !== this.socket.OPEN) return Promise.reject(lost("the connection is closed"));
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      const text = JSON.stringify({ jsonrpc: "2.0", id, method, params });
      if (this.#pending.size > MAX_REQUESTS) this.#held.push(text);
      else this.socket.send(text);
    });
  }

  async close(): Promise<void> {
    if (this.socket.readyState === this.socket.CLOSED) return;
    const closed = new Promise((resolve) => this.socket.once("close", resolve));
    this.socket.close(1000);
    const timer = setTimeout(() => this.socket.terminate(), 500);
    await closed;
    clearTimeout(timer);
  }

  #receive(text: string): void {
    const message = JSON.parse(text) as { id?: number; method?: NotificationName; params?: never; result?: never; error?: RpcError };
    if (message.method !== undefined) {
      (this as EventEmitter).emit(message.method, message.params);
      return;
    }
    const pending = this.#pending.get(message.id ?? -1);
    if (!pending) return;
    this.#pending.delete(message.id ?? -1);
    const next = this.#held.shift();
    if (next !== undefined && this.socket.readyState === this.socket.OPEN) this.socket.send(next);
    if (message.error) pending.reject(fromRpcError(message.error));
    else pending.resolve(message.result as never);
  }

  #silent(seconds: number): void {
    this.#end(`it has not answered for ${seconds} s`, endIt());
    this.socket.terminate();
  }

  #end(reason: string, hint?: string): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const { reject } of this.#pending.values()) reject(lost(reason, hint));
    this.#pending.clear();
    this.#held.length = 0;
    this.emit("close", reason);
  }
}

function lost(reason: string, hint = "`hvkit status` says whether it runs."): HvkitError {
  return new HvkitError("E_DAEMON_LOST", `the daemon went away: ${reason}`, { hint });
}
