// One client of the daemon: its requests in, replies and notifications out. A client is not trusted: what it sends is checked
// against the method's schema, and one that does not read is first told less, then let go.
import type { WebSocket } from "ws";
import { isRequest, type RequestId, type RpcRequest, type RpcResponse, toRpcError } from "../api/jsonrpc.js";
import { type CheckedParams, type MethodName, methods, type Notification, type NotificationName, type Result } from "../api/methods.js";
import { HvkitError } from "../errors.js";
import type { Guest } from "./guest.js";
import type { Log } from "./log.js";

export const limits = {
  /** unsent bytes above which console bytes and progress are left out; the reader sees the gap and takes the rest from the log */
  highWater: 2 * 2 ** 20,
  /** unsent bytes at which the client is let go */
  overflow: 16 * 2 ** 20,
  /** requests under way at once */
  requests: 64,
  /** requests in one batch */
  batch: 32,
};

/** What a client can ask for: handlers.ts makes them. */
export type Handlers = { [M in MethodName]: (params: CheckedParams<M>, connection: Connection) => Promise<Result<M>> };

const GAP_MS = 50;
const DROPPABLE: readonly NotificationName[] = ["console", "progress"];

export class Connection {
  /** wants `event` notifications */
  subscribed = false;
  /** called once, when the client is gone */
  readonly onClose = new Set<() => void>();
  closed = false;
  readonly #attached = new Map<string, { guest: Guest; port: number }>();
  #gapTimer: NodeJS.Timeout | undefined;
  #running = 0;

  constructor(
    private readonly socket: WebSocket,
    private readonly handlers: Handlers,
    private readonly log: Log,
  ) {
    socket.on("message", (data: Buffer, isBinary) => {
      void this.#receive(isBinary ? undefined : data.toString());
    });
    socket.on("error", (error) => log.warn({ err: error }, "client"));
    socket.on("close", () => {
      clearInterval(this.#gapTimer);
      this.closed = true;
      for (const listener of this.onClose) listener();
    });
  }

  attach(guest: Guest, port: number): void {
    this.#attached.set(`${guest.id}:${port}`, { guest, port });
  }

  detach(guest: Guest, port: number): void {
    this.#attached.delete(`${guest.id}:${port}`);
  }

  isAttached(guest: Guest, port: number): boolean {
    return this.#attached.has(`${guest.id}:${port}`);
  }

  notify<N extends NotificationName>(method: N, params: Notification<N>): void {
    if (DROPPABLE.includes(method) && this.socket.bufferedAmount > limits.highWater) {
      if (method === "console") this.#gapTimer ??= setInterval(() => this.#tellGaps(), GAP_MS);
      return;
    }
    this.#send({ jsonrpc: "2.0", method, params });
  }

  /** Once the reader has caught up: where each console is, so that it sees a gap even when no more bytes come. */
  #tellGaps(): void {
    if (this.socket.bufferedAmount > limits.highWater / 2) return;
    clearInterval(this.#gapTimer);
    this.#gapTimer = undefined;
    for (const { guest, port } of this.#attached.values()) {
      this.notify("console", { id: guest.id, port, offset: guest.logs[port]?.end ?? 0, data: "" });
    }
  }

  async #receive(text: string | undefined): Promise<void> {
    let message: unknown;
    try {
      if (text === undefined) throw new Error("a binary message");
      message = JSON.parse(text);
    } catch (error) {
      this.#send(failed(null, new HvkitError("E_RPC_PARSE", `not JSON: ${(error as Error).message}`)));
      return;
    }
    if (!Array.isArray(message)) {
      const response = await this.#answer(message);
      if (response) this.#send(response);
    } else if (message.length === 0 || message.length > limits.batch) {
      this.#send(failed(null, new HvkitError("E_RPC_REQUEST", `a batch has 1 to ${limits.batch} requests`)));
    } else {
      const responses = (await Promise.all(message.map((request) => this.#answer(request)))).filter((response) => response !== undefined);
      if (responses.length > 0) this.#send(responses);
    }
  }

  /** Undefined for a notification: it has no answer. */
  async #answer(request: unknown): Promise<RpcResponse | undefined> {
    if (!isRequest(request)) return failed(null, new HvkitError("E_RPC_REQUEST", "not a JSON-RPC 2.0 request"));
    const { id } = request;
    let response: RpcResponse;
    try {
      response = { jsonrpc: "2.0", id: id ?? null, result: await this.#call(request) };
    } catch (error) {
      if (!(error instanceof HvkitError)) this.log.error({ err: error, method: request.method }, "request failed");
      response = failed(id ?? null, error);
    }
    return id === undefined ? undefined : response;
  }

  async #call({ method, params }: RpcRequest): Promise<unknown> {
    if (!Object.hasOwn(methods, method)) throw new HvkitError("E_RPC_METHOD", `there is no method '${method}'`);
    const name = method as MethodName;
    const checked = methods[name].params.safeParse(params ?? {});
    if (!checked.success) {
      const problems = checked.error.issues.map(
        ({ path, message }) => `${path.join(".") || "params"}: ${message.replace(/^Invalid input: /, "")}`,
      );
      throw new HvkitError("E_RPC_PARAMS", `${method}: ${problems.join("; ")}`, { data: { problems } });
    }
    if (this.#running >= limits.requests) throw new HvkitError("E_RPC_BUSY", `more than ${limits.requests} requests at once`);
    this.#running++;
    try {
      const handler = this.handlers[name] as (params: unknown, connection: Connection) => Promise<unknown>;
      return await handler(checked.data, this);
    } finally {
      this.#running--;
    }
  }

  #send(message: unknown): void {
    if (this.socket.readyState !== this.socket.OPEN) return;
    if (this.socket.bufferedAmount > limits.overflow) {
      this.log.warn("a client does not read: let go");
      this.socket.terminate();
      return;
    }
    this.socket.send(JSON.stringify(message));
  }
}

function failed(id: RequestId, error: unknown): RpcResponse {
  return { jsonrpc: "2.0", id, error: toRpcError(error) };
}
