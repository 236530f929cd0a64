// The daemon put together: host (engine and hypervisor), guests, and the server that clients talk to.
import type { RuntimePaths } from "../api/paths.js";
import type { Status } from "../api/schemas.js";
import { HvkitError } from "../errors.js";
import { Catalog } from "../images/catalog.js";
import { SnapshotStore } from "../snapshot/store.js";
import type { ListenAddress } from "../transport/address.js";
import { bracketed } from "../transport/guard.js";
import { writeToken } from "../transport/token.js";
import { AutoRemove } from "./autoremove.js";
import type { Boot, BootRequest } from "./boot.js";
import { Clones } from "./clones.js";
import { Debuggers } from "./debuggers.js";
import { Events } from "./events.js";
import type { Guest } from "./guest.js";
import { type ConsoleLimits, Guests } from "./guests.js";
import { makeHandlers } from "./handlers.js";
import { Host } from "./host.js";
import { writeMark } from "./lock.js";
import type { Log } from "./log.js";
import { Modules } from "./modules.js";
import { Server, type ServerOptions } from "./server.js";
import { Snapshots } from "./snapshots.js";
import { Swaps } from "./swap.js";

export interface DaemonOptions extends ServerOptions {
  boot: Boot;
  request: BootRequest;
  paths: RuntimePaths;
  /** the project's folder, with images/ below */
  root: string;
  log: Log;
  /** a TCP port of loopback besides the socket */
  listen?: ListenAddress;
  /** of this user's snapshots; by default snapshotFolder() */
  snapshotFolder?: string;
  /** how much the guests' consoles may keep on the disk */
  limits?: ConsoleLimits;
  onLine?: (line: string) => void;
  /** after `down`, when all is ended */
  onDown?: () => void;
}

export class Daemon {
  readonly host: Host;
  readonly modules: Modules;
  readonly guests: Guests;
  readonly events: Events;
  readonly server: Server;
  readonly #paths: RuntimePaths;
  readonly #log: Log;
  readonly #listen: ListenAddress | undefined;
  #tcp: Status["tcp"] | undefined;
  #stopping: Promise<void> | undefined;

  constructor({ boot, request, paths, root, log, onLine, onDown, limits, snapshotFolder, listen, ...serverOptions }: DaemonOptions) {
    this.#paths = paths;
    this.#log = log;
    this.#listen = listen;
    this.host = new Host({
      boot,
      request,
      folder: paths.folder,
      log,
      onLine: onLine ?? (() => {}),
      onEngine: (pid) => writeMark(paths.engine, pid),
    });
    this.modules = new Modules(this.host);
    const { modules } = this;
    this.guests = new Guests(this.host, modules, paths.guests, log, limits);
    const swaps = new Swaps(this.host, this.guests, modules, log);
    this.events = new Events(this.guests, this.host, swaps);
    const down = (): void => {
      // After the reply is on its way.
      setImmediate(() => {
        void this.stop().finally(onDown);
      });
    };
    const catalog = new Catalog(root);
    const store = new SnapshotStore(snapshotFolder);
    try {
      store.clean();
    } catch (error) {
      log.warn({ err: error, folder: store.folder }, "drafts of snapshots");
    }
    const clones = new Clones(this.host, this.guests, log);
    const handlers = makeHandlers({
      autoRemove: new AutoRemove(this.guests, log),
      host: this.host,
      guests: this.guests,
      events: this.events,
      catalog,
      clones,
      modules,
      swaps,
      snapshots: new Snapshots(this.host, this.guests, clones, modules, catalog, store),
      debuggers: new Debuggers(this.host, this.guests, log),
      paths,
      tcp: () => this.tcp,
      startedAt: new Date(),
      down,
    });
    this.server = new Server(handlers, log, serverOptions);
    this.#forward();
  }

  /** Resolves when the hypervisor answers and clients can connect. */
  async start(): Promise<void> {
    // First: a port that is taken shall not cost a boot.
    if (this.#listen) await this.#openPort(this.#listen);
    await this.host.start();
    await this.server.listen(this.#paths.socket);
    this.#log.info({ socket: this.#paths.socket, tcp: this.#tcp }, "ready");
  }

  /** Where it listens besides its socket. */
  get tcp(): Status["tcp"] {
    return this.#tcp ?? null;
  }

  async #openPort({ host, port }: ListenAddress): Promise<void> {
    try {
      const bound = await this.server.listenTcp({ address: host, port, token: writeToken(this.#paths.token) });
      this.#tcp = { url: `ws://${bracketed(host)}:${bound}`, tokenFile: this.#paths.token };
    } catch (error) {
      throw new HvkitError("E_LISTEN", `${bracketed(host)}:${port} cannot be listened on: ${(error as Error).message}`, {
        hint: "Give another port to --listen; port 0 takes any free one.",
        cause: error,
      });
    }
  }

  /** Ends all: guests, hypervisor, engine, clients. Once, however often it is asked for. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#log.info("ending");
    this.guests.close();
    await this.host.stop();
    await this.server.close();
  }

  /** What happens goes to the clients that asked for it. */
  #forward(): void {
    const { guests } = this;
    const attached = (guest: Guest, port: number) => this.server.connections().filter((connection) => connection.isAttached(guest, port));
    guests.slots.on("console", (guest, port, offset, bytes) => {
      const readers = attached(guest, port);
      if (readers.length === 0) return;
      const data = Buffer.from(bytes).toString("base64");
      for (const reader of readers) reader.notify("console", { id: guest.id, port, offset, data });
    });
    guests.on("ended", (guest) => this.#sayEnd(guest, attached));
    guests.on("removed", (guest) => {
      this.#sayEnd(guest, attached);
    });
    this.events.on("event", (event) => this.server.broadcast("event", event));
  }

  #sayEnd(guest: Guest, attached: (guest: Guest, port: number) => ReturnType<Server["connections"]>): void {
    guest.logs.forEach((_log, port) => {
      for (const reader of attached(guest, port))
        reader.notify("console.end", { id: guest.id, port, state: guest.state, end: guest.end ?? null });
    });
  }
}
