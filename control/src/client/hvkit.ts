// hvkit for programs: a connection to the daemon, with what the command line can do, by the same names. docs/library.md shows it.
//
//   const hvkit = await connect();
//   const guest = await hvkit.run("linux");
//   const { code, stdout } = await guest.exec(["uname", "-r"]);
import { resolve } from "node:path";
import type { HvkitEvent } from "../api/events.js";
import type { MethodName, Params, Result } from "../api/methods.js";
import { runtimePaths } from "../api/paths.js";
import type { GuestSummary, ImageInfo, SnapshotCheck, SnapshotDetail, SnapshotEntry, Status } from "../api/schemas.js";
import { parseSize } from "../api/size.js";
import type { BootRequest } from "../daemon/boot.js";
import { HvkitError } from "../errors.js";
import { type Abortable, orAbort } from "./abort.js";
import { Client } from "./client.js";
import { type EventOptions, events as eventsOf } from "./events.js";
import { Guest } from "./guest.js";
import { launchDaemon } from "./launch.js";
import { takeDown } from "./takedown.js";

export interface Where {
  /** instead of XDG_RUNTIME_DIR: a folder of this user's alone (0700), for a hypervisor beside others; its path must be short */
  runtimeFolder?: string;
}

export interface ConnectOptions extends Where, Abortable {
  /** the daemon's socket */
  path?: string;
}

export interface UpOptions extends Where, Abortable {
  /** by default the best one of this machine, as `hvkit doctor` says */
  engine?: BootRequest["engine"];
  accel?: BootRequest["accel"];
  /** RAM of the hypervisor's machine; by default 1G */
  memory?: string;
  cpus?: number;
  /** how far it is, line by line */
  onLine?: (line: string) => void;
}

export interface RunOptions extends Abortable, Omit<Params<"run">, "image" | "add"> {
  /** files of this machine, and where they go in the guest: by default to /add, under their own names */
  add?: readonly (string | { file: string; path: string })[];
}

/** To the hypervisor that is up. Throws E_NOT_UP. */
export async function connect({ path, runtimeFolder, signal }: ConnectOptions = {}): Promise<Hvkit> {
  const socket = path ?? (runtimeFolder === undefined ? undefined : runtimePaths({ XDG_RUNTIME_DIR: runtimeFolder }).socket);
  signal?.throwIfAborted();
  const connecting = Client.connect(socket);
  // One that comes after the abort is nobody's.
  if (signal) connecting.then((client) => (signal.aborted ? client.close() : undefined)).catch(() => {});
  return new Hvkit(await orAbort(connecting, signal));
}

/** Boots the hypervisor, unless it is up, in a daemon that stays when this program ends; then connects. */
export async function up(options: UpOptions = {}): Promise<Hvkit> {
  const { engine = "auto", accel = "auto", memory = "1G", cpus, onLine = () => {}, runtimeFolder, signal } = options;
  const where = { ...(runtimeFolder === undefined ? {} : { runtimeFolder }), signal };
  try {
    return await connect(where);
  } catch (error) {
    if (!(error instanceof HvkitError) || error.code !== "E_NOT_UP") throw error;
  }
  const request = { engine, accel, memoryBytes: parseSize(memory, "memory"), ...(cpus === undefined ? {} : { cpus }) };
  await launchDaemon(request, onLine, { env: environment(runtimeFolder), signal });
  return connect(where);
}

/** Ends the hypervisor and all that belongs to it, and what a daemon left that was killed. */
export function down({ runtimeFolder }: Where = {}): Promise<"up" | "leftovers" | "down"> {
  return takeDown({ paths: runtimePaths(environment(runtimeFolder)) });
}

function environment(runtimeFolder: string | undefined): NodeJS.ProcessEnv {
  return runtimeFolder === undefined ? process.env : { ...process.env, XDG_RUNTIME_DIR: runtimeFolder };
}

export class Hvkit implements AsyncDisposable {
  constructor(readonly client: Client) {}

  /** Any method of the JSON-RPC surface. */
  call<M extends MethodName>(method: M, params: Params<M>, options?: Abortable): Promise<Result<M>> {
    return this.client.call(method, params, options);
  }

  status(options?: Abortable): Promise<Status> {
    return this.call("status", {}, options);
  }
  images(options?: Abortable): Promise<ImageInfo[]> {
    return this.call("images", {}, options);
  }
  ps(options?: Abortable): Promise<GuestSummary[]> {
    return this.call("ps", {}, options);
  }
  top(options?: Abortable): Promise<Result<"top">> {
    return this.call("top", {}, options);
  }

  /** An image, by its name or its folder's path, as a new guest. A run that is aborted leaves none behind. */
  run(image: string, { signal, add = [], ...options }: RunOptions = {}): Promise<Guest> {
    const files = add.map((each) => {
      const { file, path } = typeof each === "string" ? { file: each, path: `/add/${each.slice(each.lastIndexOf("/") + 1)}` } : each;
      return { file: resolve(file), path };
    });
    return this.#make("run", { ...options, image: pathOrName(image), ...(files.length > 0 ? { add: files } : {}) }, signal);
  }

  /** A new guest that goes on from a snapshot: its name, or a file's path. */
  restore(snapshot: string, { signal, ...options }: Abortable & Omit<Params<"restore">, "snapshot"> = {}): Promise<Guest> {
    return this.#make("restore", { ...options, snapshot: pathOrName(snapshot) }, signal);
  }

  /** One that is there, by name or id. */
  async guest(reference: string, options?: Abortable): Promise<Guest> {
    return new Guest(this.client, await this.call("inspect", { guest: reference }, options));
  }

  /** All that are there. */
  async guests(options?: Abortable): Promise<Guest[]> {
    return (await this.ps(options)).map((summary) => new Guest(this.client, summary));
  }

  readonly snapshots = {
    ls: (options?: Abortable): Promise<SnapshotEntry[]> => this.call("snapshot.ls", {}, options),
    inspect: (snapshot: string, options?: Abortable): Promise<SnapshotDetail> =>
      this.call("snapshot.inspect", { snapshot: pathOrName(snapshot) }, options),
    check: (snapshot: string, { signal, ...target }: Abortable & Pick<Params<"snapshot.check">, "engine"> = {}): Promise<SnapshotCheck> =>
      this.call("snapshot.check", { snapshot: pathOrName(snapshot), ...target }, { signal }),
    rm: async (name: string, options?: Abortable): Promise<void> => void (await this.call("snapshot.rm", { name }, options)),
  };

  /** What happens from now on: guests that change, are removed, lose console bytes; the hypervisor that is lost, and back. */
  events(options: EventOptions = {}): AsyncGenerator<HvkitEvent, void, void> {
    return eventsOf(this.client, options);
  }

  /** Ends the hypervisor with all its guests. */
  async down(): Promise<void> {
    await this.call("down", {});
  }

  /** Of this connection alone: hypervisor and guests go on. */
  close(): Promise<void> {
    return this.client.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #make<M extends "run" | "restore">(method: M, params: Params<M>, signal: AbortSignal | undefined): Promise<Guest> {
    signal?.throwIfAborted();
    const making: Promise<{ id: string; name: string }> = this.call(method, params);
    try {
      return new Guest(this.client, await orAbort(making, signal));
    } catch (error) {
      if (signal?.aborted) making.then(({ id }) => this.call("rm", { guest: id, force: true })).catch(() => {}); // it may not have come so far
      throw error;
    }
  }
}

/** As on the command line: what has a slash is a path. */
function pathOrName(text: string): string {
  return text.includes("/") ? resolve(text) : text;
}
