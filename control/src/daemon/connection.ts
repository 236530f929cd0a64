// One client of the daemon: its requests in, replies and notifications out. A client is not trusted: what it sends is checked
// against the method's schema, and one that does not read is first told less, then let go.
import type { WebSocket } from "ws";
import { isRequest, MAX_REQUESTS, type RequestId, type RpcRequest, type RpcResponse, toRpcError } from "../api/jsonrpc.js";
import { type CheckedParams, type MethodName, methods, type Notification, type NotificationName, type Result } from "../api/methods.js";
import { HvkitError } from "../errors.js";
import { shorten } from "../shorten.js";
import type { Guest } from "./guest.js";
import type { Log } from "./log.js";
import type { Outbox } from "./outbox.js";

export const limits = {
  /** bytes of one message of a client's */
  message: 2 ** 20,
  /** bytes of one answer: what ten thousand guests take in `ps` */
  answer: 4 * 2 ** 20,
  /** requests under way at once */
  requests: MAX_REQUESTS,
  /** requests in one batch */
  batch: 32,
};

/** What a client can ask for: handlers.ts makes them. */
export type Handlers = { [M in MethodName]: (params: CheckedParams<M>, connection: Connection) => Promise<Result<M>> };

/** How much of what a client wrote stands in an error for it. */
const MAX_SHOWN = 200;
const MAX_PROBLEMS = 10;
/** bytes of the error in place of an answer for which there is no room */
const MAX_ERROR = 1024;
/** What is left out for a client that is behind: it sees the gap, and takes the rest from the log. */
const DROPPABLE: readonly NotificationName[] = ["console", "progress"];

export class Connection {
  /** wants `event` notifications */
  subscribed = false;
  /** called once, when the client is gone */
  readonly onClose = new Set<() => void>();
  closed = false;
  readonly #attached = new Map<string, { guest: Guest; port: number }>();
  #cancelled = false;
  #gap = false;
  #running = 0;

  constructor(
    private readonly socket: WebSocket,
    private readonly outbox: Outbox,
    private readonly handlers: Handlers,
    private readonly log: Log,
  ) {
    outbox.onDrain = () => this.#tellGaps();
    socket.on("message", (data: Buffer, isBinary) => {
      this.#receive(isBinary ? undefined : data.toString()).catch((error: unknown) => log.error({ err: error }, "an answer"));
    });
    socket.on("error", (error) => log.warn({ err: error }, "client"));
    socket.on("close", () => {
      this.closed = true;
      for (const listener of this.onClose) listener();
    });
  }

  /** Nobody wants what was asked for: the client has said so, has begun to go, or is gone. */
  get leaving(): boolean {
    return this.#cancelled || this.socket.readyState !== this.socket.OPEN;
  }

  cancel(): void {
    this.#cancelled = true;
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
    if (DROPPABLE.includes(method) && this.outbox.isBehind) {
      if (method === "console") this.#gap = true;
      return;
    }
    this.outbox.send(JSON.stringify({ jsonrpc: "2.0", method, params }));
  }

  /** Once the reader has caught up: where each console is, so that it sees a gap even when no more bytes come. */
  #tellGaps(): void {
    if (!this.#gap) return;
    this.#gap = false;
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
      this.outbox.send(errorText(null, new HvkitError("E_RPC_PARSE", `not JSON: ${shown((error as Error).message)}`)));
      return;
    }
    if (!Array.isArray(message)) {
      const response = await this.#answer(message);
      if (response !== undefined) this.outbox.send(response);
    } else if (message.length === 0 || message.length > limits.batch) {
      this.outbox.send(errorText(null, new HvkitError("E_RPC_REQUEST", `a batch has 1 to ${limits.batch} requests`)));
    } else {
      const texts = await this.#answerAll(message);
      if (texts.length > 0) this.outbox.send(`[${texts.join(",")}]`);
    }
  }

  /** What does not fit into one message any more is not kept. */
  async #answerAll(requests: readonly unknown[]): Promise<string[]> {
    const texts: (string | undefined)[] = [];
    let room = limits.answer - limits.batch * MAX_ERROR;
    const take = async (request: unknown, index: number): Promise<void> => {
      const text = await this.#answer(request);
      if (text === undefined) return;
      const kept = Buffer.byteLength(text) + 1 <= room ? text : errorText(isRequest(request) ? (request.id ?? null) : null, tooLong());
      room -= kept.length + 1;
      texts[index] = kept;
    };
    await Promise.all(requests.map(take));
    return texts.filter((text) => text !== undefined);
  }

  /** Undefined for a notification: it has no answer. */
  async #answer(request: unknown): Promise<string | undefined> {
    if (!isRequest(request)) return errorText(null, new HvkitError("E_RPC_REQUEST", "not a JSON-RPC 2.0 request", { hint: REQUEST }));
    const { id } = request;
    let text: string;
    try {
      const response: RpcResponse = { jsonrpc: "2.0", id: id ?? null, result: await this.#call(request) };
      text = JSON.stringify(response);
      if (text.length > limits.answer / 3 && Buffer.byteLength(text) > limits.answer) throw tooLong();
    } catch (error) {
      if (!(error instanceof HvkitError)) this.log.error({ err: error, method: request.method }, "request failed");
      text = errorText(id ?? null, error);
    }
    return id === undefined ? undefined : text;
  }

  async #call({ method, params }: RpcRequest): Promise<unknown> {
    if (!Object.hasOwn(methods, method)) throw noMethod(method);
    const name = method as MethodName;
    const schema = methods[name].params;
    const checked = schema.safeParse(params ?? {});
    if (!checked.success) throw wrongParams(name, checked.error.issues);
    if (this.#running >= limits.requests) throw new HvkitError("E_RPC_BUSY", `more than ${limits.requests} requests at once`);
    this.#running++;
    try {
      const handler = this.handlers[name] as (params: unknown, connection: Connection) => Promise<unknown>;
      return await handler(checked.data, this);
    } finally {
      this.#running--;
    }
  }
}

const REQUEST = 'Send {"jsonrpc": "2.0", "id": 1, "method": "ps", "params": {}}.';

function noMethod(method: string): HvkitError {
  const known = Object.keys(methods).sort();
  return new HvkitError("E_RPC_METHOD", `there is no method '${shown(method)}'`, {
    hint: `There are ${known.join(", ")}.`,
    data: { methods: known },
  });
}

function wrongParams(method: MethodName, issues: readonly { path: PropertyKey[]; message: string }[]): HvkitError {
  const problems = issues
    .slice(0, MAX_PROBLEMS)
    .map(({ path, message }) => `${shown(path.join(".")) || "params"}: ${shown(message.replace(/^Invalid input: /, ""))}`);
  if (issues.length > MAX_PROBLEMS) problems.push(`and ${issues.length - MAX_PROBLEMS} more`);
  const params = Object.keys(methods[method].params.shape);
  return new HvkitError("E_RPC_PARAMS", `${method}: ${problems.join("; ")}`, {
    hint: params.length === 0 ? "It takes no parameters." : `It takes ${params.join(", ")}.`,
    data: { problems, params },
  });
}

function tooLong(): HvkitError {
  return new HvkitError("E_RPC_REPLY", `the answer is longer than the ${limits.answer} bytes that one may have`, {
    hint: "Ask for less at once.",
  });
}

function errorText(id: RequestId, error: unknown): string {
  return JSON.stringify({ jsonrpc: "2.0", id, error: toRpcError(error) } satisfies RpcResponse);
}

/** A client's own words go back to it cut. */
const shown = (text: string): string => shorten(text, MAX_SHOWN);
