// The stub's door: a TCP port on loopback, or a Unix socket in the user's own folder; one gdb at a time. The guest is taken when gdb connects, and given
// back when it leaves, by whatever way.
import { createServer, type Server, type Socket } from "node:net";
import { HvkitError } from "../errors.js";
import { type Monitor, Stub } from "./stub.js";
import type { Target } from "./target.js";

export interface StubServerOptions {
  /** of loopback, 0: any that is free; or a Unix socket's path */
  at: number | string;
  /** takes the guest */
  attach: () => Promise<Target>;
  monitor: Monitor;
  kill: () => Promise<void>;
  /** for the person who started it */
  note: (line: string) => void;
}

const LOOPBACK = "127.0.0.1";

export class StubServer {
  readonly #server: Server;
  #connected: Socket | undefined;

  private constructor(private readonly options: StubServerOptions) {
    this.#server = createServer({ noDelay: true }, (socket) => void this.#serve(socket));
  }

  /** Errors: E_DEBUG_PORT. */
  static async listen(options: StubServerOptions): Promise<StubServer> {
    const server = new StubServer(options);
    await new Promise<void>((resolve, reject) => {
      server.#server.once("error", (error: NodeJS.ErrnoException) => reject(noPort(options.at, error)));
      const { at } = options;
      server.#server.listen(typeof at === "string" ? { path: at } : { port: at, host: LOOPBACK, exclusive: true }, resolve);
    });
    return server;
  }

  get port(): number {
    const address = this.#server.address();
    return address !== null && typeof address === "object" ? address.port : 0;
  }

  /** @param graceMs for gdb to be told of the guest's end, which comes on a connection of its own */
  async close(graceMs = 0): Promise<void> {
    const socket = this.#connected;
    if (socket && graceMs > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, graceMs);
        socket.once("close", () => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
    this.#connected?.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #serve(socket: Socket): Promise<void> {
    socket.on("error", () => {}); // 'close' follows
    if (this.#connected) {
      this.options.note("a second gdb was sent away: one is connected");
      socket.destroy();
      return;
    }
    this.#connected = socket;
    let target: Target | undefined;
    let gone = false;
    const leave = (): void => {
      if (!gone) return;
      target?.detach().catch((error: unknown) => {
        // It ended meanwhile, or was given back already.
        if (!(error instanceof HvkitError)) this.options.note(String(error));
      });
      this.#connected = undefined;
    };
    socket.once("close", () => {
      gone = true;
      leave();
    });
    try {
      // gdb may speak at once: its first packets wait in the socket.
      socket.pause();
      target = await this.options.attach();
      if (gone) return leave();
      const taken = target;
      const stub = new Stub(taken, {
        send: (bytes) => void (socket.destroyed || socket.write(bytes)),
        monitor: this.options.monitor,
        kill: this.options.kill,
        done: () => socket.end(),
      });
      socket.on("data", (bytes: Buffer) => stub.receive(bytes));
      socket.resume();
      this.options.note(`gdb is connected; ${taken.name} stands`);
    } catch (error) {
      this.options.note(error instanceof HvkitError ? `${error.code}: ${error.message}. ${error.hint ?? ""}` : String(error));
      socket.destroy();
    }
  }
}

function noPort(port: number | string, error: NodeJS.ErrnoException): HvkitError {
  return new HvkitError(
    "E_DEBUG_PORT",
    `nothing can listen on ${typeof port === "string" ? port : `port ${port} of ${LOOPBACK}`}: ${error.message}`,
    {
      hint: "Choose another one with --port, or leave it out: then a free one is taken.",
      cause: error,
      data: { port },
    },
  );
}
