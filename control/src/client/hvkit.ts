// hvkit for programs: a connection to the daemon, with what the command line can do, by the same names. docs/library.md shows it.
//
//   const hvkit = await connect();
//   const guest = await hvkit.run("linux");
//   const { code, stdout } = await guest.exec(["uname", "-r"]);
import { resolve } from "node:path";
import type { HvkitEvent } from "../api/events.js";
import type { MethodName, Params, Result } from "../api/methods.js";
import { checkName } from "../api/name.js";
import { runtimePaths } from "../api/paths.js";
import type { GuestSummary, ImageInfo, SnapshotCheck, SnapshotDetail, SnapshotEntry, Status } from "../api/schemas.js";
import type { BootRequest } from "../daemon/boot.js";
import { type Abortable, orAbort } from "./abort.js";
import { bootWish } from "./bootwish.js";
import { bringUp } from "./bringup.js";
import { Client } from "./client.js";
import { type EventOptions, events as eventsOf } from "./events.js";
import { Guest, makeGuests } from "./guest.js";
import { checkObject, checkOptions } from "./options.js";
import { takeDown } from "./takedown.js";

export interface Where {
  /** `--instance`: a hypervisor beside others, by its name */
  instance?: string;
  /** instead of XDG_RUNTIME_DIR: a folder of this user's alone (0700); its path must be short */
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
  /** It ends with this program, however that ends; by default it stays. */
  bound?: boolean;
  /** how far it is, line by line */
  onLine?: (line: string) => void;
}

export interface RunOptions extends Abortable, Omit<Params<"run">, "image" | "add"> {
  /** files of this machine, and where they go in the guest: by default to /add, under their own names */
  add?: readonly (string | { file: string; path: string })[];
}

/** To the hypervisor that is up. Throws E_NOT_UP, and E_OPTION of an option that there is not, as all of these do. */
export async function connect(options: ConnectOptions = {}): Promise<Hvkit> {
  checkOptions(options, [...WHERE, "path", "signal"]);
  const { path, signal } = options;
  const address = path ?? (isElsewhere(options) ? runtimePaths(environment(options)).socket : undefined);
  signal?.throwIfAborted();
  const connecting = Client.connect(address);
  // One that comes after the abort is nobody's.
  if (signal) connecting.then((client) => (signal.aborted ? client.close() : undefined)).catch(() => {});
  return new Hvkit(await orAbort(connecting, signal));
}

/**
 * Boots the hypervisor, in a daemon that stays when this program ends, and connects. One that is up, and has what the options say, serves.
 * Throws E_ALREADY_UP when it has not, and what the boot fails with.
 */
export async function up(options: UpOptions = {}): Promise<Hvkit> {
  checkOptions(options, [...WHERE, "engine", "accel", "memory", "cpus", "bound", "onLine", "signal"]);
  const { engine, accel, memory, cpus, bound = false, onLine, signal } = options;
  const env = environment(options);
  await bringUp(bootWish({ engine, accel, memory, cpus }), { env, bound, signal, ...(onLine ? { onLine } : {}) });
  return connect({ path: runtimePaths(env).socket, ...(signal ? { signal } : {}) });
}

/** Ends the hypervisor and all that belongs to it, and what a daemon left that was killed. */
export async function down(where: Where = {}): Promise<"up" | "leftovers" | "down"> {
  checkOptions(where, WHERE);
  return takeDown({ paths: runtimePaths(environment(where)) });
}

const WHERE: readonly string[] = ["instance", "runtimeFolder"];

const isElsewhere = ({ instance, runtimeFolder }: Where): boolean => instance !== undefined || runtimeFolder !== undefined;

/** In a folder of its own no instance is meant, unless it is named. */
function environment({ instance, runtimeFolder }: Where): NodeJS.ProcessEnv {
  if (instance !== undefined) checkName(instance, "instance");
  const { HVKIT_INSTANCE: inherited, ...env } = process.env;
  const name = instance ?? (runtimeFolder === undefined ? inherited : undefined);
  return {
    ...env,
    ...(name === undefined ? {} : { HVKIT_INSTANCE: name }),
    ...(runtimeFolder === undefined ? {} : { XDG_RUNTIME_DIR: runtimeFolder }),
  };
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
  async run(image: string, given: RunOptions = {}): Promise<Guest> {
    checkObject(given, '{ name: "web" }');
    const { signal, add = [], ...options } = given;
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

  /** New guests that are copies of a snapshot, which is read once: all of them, or none. */
  runFrom(snapshot: string, { signal, ...options }: Abortable & Omit<Params<"run.from">, "snapshot"> = {}): Promise<Guest[]> {
    return makeGuests(this.client, "run.from", { ...options, snapshot: pathOrName(snapshot) }, signal);
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
