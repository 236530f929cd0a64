// What each method of the JSON-RPC surface does. Parameters are checked before they come here; names are the methods' own.
import { readFile, stat } from "node:fs/promises";
import { Feature, ResumeClock } from "../../../protocol/messages.js";
import type { Params, Result } from "../api/methods.js";
import { checkName } from "../api/name.js";
import type { RuntimePaths } from "../api/paths.js";
import { checkRange } from "../api/range.js";
import type { GuestDetail, Status } from "../api/schemas.js";
import { parseSize } from "../api/size.js";
import { HvkitError } from "../errors.js";
import { entryStateOf } from "../explain/document.js";
import { hex } from "../hex.js";
import { featureList, registerName, vendorName } from "../hypervisor/texts.js";
import { type Catalog, imageFiles } from "../images/catalog.js";
import type { CpioFile } from "../images/cpio.js";
import { imageMemory } from "../images/loader.js";
import { inspectSnapshot, listSnapshots } from "../snapshot/info.js";
import type { AutoRemove } from "./autoremove.js";
import type { Clones } from "./clones.js";
import type { Connection, Handlers } from "./connection.js";
import { allCounters, guestCounters, linkCounters } from "./counters.js";
import { cpuLoads } from "./cpuload.js";
import type { Debuggers } from "./debuggers.js";
import type { Events } from "./events.js";
import type { Guest } from "./guest.js";
import type { Guests } from "./guests.js";
import type { Host } from "./host.js";
import { makeLookHandlers } from "./look.js";
import type { Machine, Modules } from "./modules.js";
import type { Progress } from "./slots.js";
import type { Snapshots } from "./snapshots.js";
import type { Swaps } from "./swap.js";
import { setTrace, trace } from "./tracing.js";

export interface Services {
  host: Host;
  guests: Guests;
  events: Events;
  catalog: Catalog;
  clones: Clones;
  modules: Modules;
  swaps: Swaps;
  snapshots: Snapshots;
  debuggers: Debuggers;
  autoRemove: AutoRemove;
  paths: RuntimePaths;
  tcp: () => Status["tcp"];
  startedAt: Date;
  /** begins the daemon's end; the reply goes out before */
  down: () => void;
}

/** a Linux that panics, or is about to go on after an oops, resets itself at once (Documentation/admin-guide/kernel-parameters.txt) */
const PANIC_OPTIONS = "panic=-1 oops=panic";
/** of one --add; with the initrd it must fit into the guest */
const MAX_ADDED_BYTES = 512 * 2 ** 20;

export function makeHandlers(services: Services): Handlers {
  const { host, guests, events, catalog, clones, modules, swaps, snapshots, debuggers, autoRemove } = services;
  const tell =
    (connection: Connection): Progress =>
    (stage, done, total, unit) =>
      connection.notify("progress", { stage, done, total, ...(unit === undefined ? {} : { unit }) });
  /** Who asked for it may go: then it is broken off, and what was begun is taken back. */
  const tellOrStop =
    (connection: Connection): Progress =>
    (...progress) => {
      if (connection.leaving) throw askerGone();
      tell(connection)(...progress);
    };
  /** Guests that were made while their maker left are nobody's: they go, too. */
  const handOverAll = async (made: readonly Guest[], connection: Connection) => {
    if (!connection.leaving) return made.map((guest) => guest.detail(undefined));
    for (const guest of made) await guests.takeBack(guest).catch(() => {}); // somebody removed it before
    throw askerGone();
  };
  const handOver = async (guest: Guest, connection: Connection) => {
    await handOverAll([guest], connection);
    return guest.detail(undefined);
  };
  const slotOf = (guest: Guest): number => {
    if (guest.slot !== undefined) return guest.slot;
    throw new HvkitError("E_GUEST_STATE", `guest '${guest.name}' is ${guest.state}: the hypervisor has it no more`, {
      hint: `Start it again with: hvkit reset ${guest.name}`,
      data: { state: guest.state },
    });
  };
  /** The form that most of the guest's methods have. */
  const act = (action: (guest: Guest) => Promise<void>) => async (params: { guest: string }) => {
    const guest = guests.find(params.guest);
    await action(guest);
    return guest.summary();
  };

  return {
    status: () => status(services),
    images: () => listImages(catalog),
    down: async () => {
      services.down();
      return {};
    },
    cancel: async (_params, connection) => {
      connection.cancel();
      return {};
    },
    ping: async ({ data }) => ({
      data: toBase64(await host.hypervisor.ping(data === undefined ? undefined : Buffer.from(data, "base64"))),
    }),

    run: async ({ name, paused, autoRemove: remove, ...launch }, connection) => {
      const { image: reference, memory, cpu = "portable", append, add, affinity, trace: traced = false, noReboot = false } = launch;
      if (name !== undefined) checkName(name, "guest");
      const found = await catalog.find(reference);
      const panics = noReboot && found.manifest.kind === "linux" ? PANIC_OPTIONS : "";
      const image = { reference, name: found.manifest.name, kind: found.manifest.kind, open: async () => found };
      const options = {
        memoryBytes: imageMemory(found, memory),
        cpuModel: cpu,
        append: [append ?? "", panics].filter((text) => text !== "").join(" "),
        added: await readAdded(add ?? []),
        traced,
        noReboot,
        launch,
        ...(affinity === undefined ? {} : { affinity }),
      };
      const guest = await guests.run(image, name, options, tellOrStop(connection), paused);
      if (remove) autoRemove.follow(guest, connection);
      return handOver(guest, connection);
    },
    clone: async ({ guest, ...wish }, connection) =>
      handOverAll(await clones.clone(guests.find(guest), wish, tellOrStop(connection)), connection),
    "run.from": async ({ snapshot, autoRemove: remove, ...options }, connection) => {
      const made = await snapshots.copies(snapshot, options, tellOrStop(connection));
      if (remove) for (const guest of made) autoRemove.follow(guest, connection);
      return handOverAll(made, connection);
    },
    ps: async () => {
      const running = host.linkLost ? [] : guests.all().filter(({ state }) => state === "running");
      // One that ends meanwhile shows what it was.
      await Promise.all(running.map((guest) => guests.refresh(guest).catch(() => undefined)));
      return guests.all().map((guest) => guest.summary());
    },
    inspect: async (params) => {
      const guest = guests.find(params.guest);
      const rip = await guests.refresh(guest);
      const machine = guest.slot === undefined ? undefined : modules.of(guest.slot);
      return { ...guest.detail(rip), module: machine ? moduleOf(machine) : null };
    },
    pause: act((guest) => (guest.debuggee ? debuggers.pause(guest) : guests.pause(guest))),
    unpause: async ({ guest, clock }) =>
      act((found) => guests.unpause(found, clock === "frozen" ? ResumeClock.Frozen : ResumeClock.CatchUp))({ guest }),
    reset: act((guest) => guests.reset(guest)),
    stop: async ({ guest, time }) => act((found) => guests.stop(found, time))({ guest }),
    kill: act((guest) => guests.kill(guest)),
    rm: async ({ guest, force }) => act((found) => guests.remove(found, force))({ guest }),

    regs: async (params) => {
      const guest = guests.find(params.guest);
      const values = await host.hypervisor.guestRegisters(slotOf(guest));
      await guests.refresh(guest);
      const { id, name, state, idle } = guest.summary();
      return { id, name, state, idle, registers: Object.fromEntries(values.map((value, index) => [registerName(index), hex(value)])) };
    },
    mem: async ({ guest: reference, address, length }) => {
      const guest = guests.find(reference);
      checkRange({ name: guest.name, memoryBytes: guest.options.memoryBytes }, address, length);
      return { id: guest.id, name: guest.name, data: toBase64(await host.hypervisor.guestGet(slotOf(guest), address, length)) };
    },
    digest: async ({ guest: reference, address, length }) => {
      const guest = guests.find(reference);
      checkRange({ name: guest.name, memoryBytes: guest.options.memoryBytes }, address, length);
      return { digest: hex(await host.hypervisor.guestDigest(slotOf(guest), address, length)) };
    },
    explain: async (params) => {
      const guest = guests.find(params.guest);
      const { hello } = host.hypervisor;
      const values = await host.hypervisor.guestExplain(slotOf(guest));
      return entryStateOf(guest.summary(), hello, values);
    },
    stats: async (params) => {
      const guest = guests.find(params.guest);
      await guests.refresh(guest);
      return guestCounters(host.hypervisor, guest, slotOf(guest));
    },
    top: () => allCounters(host, guests),
    trace: async ({ guest: reference, ...part }) => {
      const guest = guests.find(reference);
      return trace(host.hypervisor, guest, slotOf(guest), part);
    },
    "trace.set": async ({ guest: reference, ...modes }) => setTrace(host.hypervisor, slotOf(guests.find(reference)), modes),

    ...makeLookHandlers(host, guests, modules, slotOf),

    "swap.place": ({ identity }) => swaps.place(identity),
    swap: ({ module, layout }) => swaps.swap(Buffer.from(module, "base64"), layout),

    "snapshot.create": ({ guest, ...options }, connection) => snapshots.create(guests.find(guest), options, tellOrStop(connection)),
    "snapshot.ls": () => listSnapshots(snapshots.store),
    "snapshot.inspect": ({ snapshot }) => inspectSnapshot(snapshots.store, snapshot),
    "snapshot.rm": async ({ name }) => {
      snapshots.store.remove(name);
      return {};
    },
    "snapshot.check": ({ snapshot, engine }) => snapshots.check(snapshot, engine),
    restore: async ({ snapshot, ...options }, connection) =>
      handOver(await snapshots.restore(snapshot, options, tellOrStop(connection)), connection),
    revert: async ({ guest: reference, snapshot, paused }, connection) => {
      const guest = guests.find(reference);
      await snapshots.revert(guest, snapshot, paused, tell(connection));
      return guest.detail(undefined);
    },

    "debug.attach": async ({ guest: reference }, connection) => {
      const guest = guests.find(reference);
      await debuggers.attach(guest, connection);
      const { features } = host.hypervisor.hello;
      return { guest: guest.summary(), xsave: (features & Feature.Xsave) !== 0, avx: (features & Feature.Avx) !== 0 };
    },
    "debug.detach": async ({ guest }, connection) => {
      await debuggers.detach(guests.find(guest), connection);
      return {};
    },
    "debug.read": ({ guest }, connection) => debuggers.read(guests.find(guest), connection),
    "debug.write": async (params, connection) => {
      await debuggers.write(guests.find(params.guest), connection, params);
      return {};
    },
    "debug.fpu": async ({ guest }, connection) => ({ data: toBase64(await debuggers.readFpu(guests.find(guest), connection)) }),
    "debug.fpu.write": async ({ guest, data }, connection) => {
      await debuggers.writeFpu(guests.find(guest), connection, Buffer.from(data, "base64"));
      return {};
    },
    "debug.store": async ({ guest: reference, address, data }, connection) => {
      const guest = guests.find(reference);
      const bytes = Buffer.from(data, "base64");
      checkRange({ name: guest.name, memoryBytes: guest.options.memoryBytes }, address, bytes.length);
      await debuggers.store(guest, connection, address, bytes);
      return {};
    },
    "debug.resume": async (params, connection) => {
      await debuggers.resume(guests.find(params.guest), connection, params);
      return {};
    },
    "debug.pause": async ({ guest }) => {
      await debuggers.pause(guests.find(guest));
      return {};
    },

    logs: async ({ guest: reference, port, offset, length }) => {
      const log = consoleLog(guests.find(reference), port);
      const part = log.read(offset, length);
      return { data: toBase64(part.data), offset: part.offset, start: log.start, end: log.end, lost: log.lost };
    },
    "console.attach": async ({ guest: reference, port }, connection) => {
      const guest = guests.find(reference);
      const { start, end } = consoleLog(guest, port);
      connection.attach(guest, port);
      return { guest: guest.summary(), offset: end, start };
    },
    "console.write": async ({ guest: reference, port, data }) => {
      const guest = guests.find(reference);
      await host.hypervisor.consoleWrite(slotOf(guest), port, Buffer.from(data, "base64"));
      return {};
    },
    "console.detach": async ({ guest: reference, port }, connection) => {
      connection.detach(guests.find(reference), port);
      return {};
    },
    events: async ({ from }) => events.since(from),
    "events.subscribe": async (_params, connection) => {
      connection.subscribed = true;
      return { next: events.end };
    },
    "events.unsubscribe": async (_params, connection) => {
      connection.subscribed = false;
      return {};
    },
  };
}

async function status({ host, guests, modules, paths, tcp, startedAt }: Services): Promise<Status> {
  const { booted } = host;
  return {
    state: host.state,
    pid: process.pid,
    startedAt: startedAt.toISOString(),
    instance: paths.instance ?? null,
    folder: paths.folder,
    log: paths.log,
    tcp: tcp(),
    engine: booted
      ? {
          name: booted.engine.name,
          accel: booted.engine.accel,
          pid: booted.engine.pid ?? null,
          why: booted.choice.why,
          command: booted.engine.command,
          memoryBytes: host.memoryBytes,
          gdb: booted.engine.gdb ?? null,
        }
      : null,
    hypervisor: host.state === "running" && !host.linkLost ? await hypervisorStatus(host, guests, modules) : null,
    linkLost: host.linkLost,
    guests: { total: guests.all().length, running: guests.all().filter(({ state }) => state === "running").length },
    restarts: host.restarts,
    lastFailure: host.lastFailure ?? null,
  };
}

async function hypervisorStatus(host: Host, guests: Guests, modules: Modules): Promise<Status["hypervisor"]> {
  const { hypervisor } = host;
  const { hello } = hypervisor;
  const loads = await cpuLoads(hypervisor);
  const stat = await hypervisor.hostStat();
  const nameOf = (slot: number | undefined): string | null => guests.all().find((guest) => guest.slot === slot)?.name ?? null;
  return {
    version: hello.version,
    identity: hello.identity,
    module: moduleOf(await modules.current()),
    vendor: vendorName(hello.vendor),
    cpus: hello.cpus,
    perCpu: loads.map(({ index, loadPercent, idleNs, busyNs, guest }) => ({
      index,
      loadPercent,
      idleNs: String(idleNs),
      busyNs: String(busyNs),
      guest: guest === undefined ? null : nameOf(guest),
    })),
    tscKhz: hello.tscKhz,
    features: featureList(hello.features),
    totalBytes: stat.totalBytes,
    freeBytes: stat.freeBytes,
    dirtyBytes: stat.dirtyBytes,
    uptimeNs: String(stat.uptimeNs),
    idleNs: String(stat.idleNs),
    tsc: String(stat.tsc),
    readyTsc: String(hello.readyTsc),
    link: linkCounters(hypervisor, stat),
  };
}

const moduleOf = ({ slot, identity }: Machine): NonNullable<GuestDetail["module"]> => ({ slot, identity });

async function listImages(catalog: Catalog): Promise<Result<"images">> {
  const entries = await catalog.list();
  return Promise.all(
    entries.map(async ({ name, image, problem }) => {
      const sizes = image ? (await imageFiles(image)).map(({ bytes }) => bytes) : [];
      const complete = image !== undefined && sizes.every((bytes) => bytes !== undefined);
      return {
        name,
        description: image?.manifest.description ?? null,
        kind: image?.manifest.kind ?? null,
        memoryBytes: image ? parseSize(image.manifest.memory) : null,
        bytes: complete ? sizes.reduce<number>((sum, bytes) => sum + (bytes ?? 0), 0) : null,
        problem: problem ? { code: problem.code, message: problem.message } : null,
      };
    }),
  );
}

async function readAdded(add: NonNullable<Params<"run">["add"]>): Promise<CpioFile[]> {
  return Promise.all(
    add.map(async ({ file, path }) => {
      try {
        const info = await stat(file);
        if (!info.isFile()) throw new Error("it is no regular file");
        if (info.size > MAX_ADDED_BYTES) throw new Error(`it has ${info.size} bytes, at most ${MAX_ADDED_BYTES} can be added`);
        return { path, data: await readFile(file), mode: info.mode & 0o777 };
      } catch (error) {
        throw new HvkitError("E_ADD_FILE", `${file} cannot be added: ${(error as Error).message}`, { cause: error, data: { file } });
      }
    }),
  );
}

function askerGone(): HvkitError {
  return new HvkitError("E_INTERRUPTED", "who asked for it is gone");
}

function consoleLog(guest: Guest, port: number) {
  const log = guest.logs[port];
  if (!log) throw new HvkitError("E_PORT", `guest '${guest.name}' has no serial port ${port}`);
  return log;
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}
