// Snapshots in the daemon: a guest's state and RAM to a file, and a file's to a guest. The file's form is snapshot/'s; guests.ts moves
// the guests from state to state.
import { checkDescription, checkName } from "../api/name.js";
import type { SnapshotCheck, SnapshotDetail } from "../api/schemas.js";
import { HvkitError } from "../errors.js";
import type { CpuidRow, SavedState } from "../hypervisor/saved.js";
import { featureList, vendorName } from "../hypervisor/texts.js";
import type { Catalog } from "../images/catalog.js";
import { captureRam } from "../snapshot/capture.js";
import { requireCpu, type Target } from "../snapshot/check.js";
import { ofFile } from "../snapshot/errors.js";
import { BLOCK_BYTES, headerSchema, type Layout, limits, type SnapshotHeader } from "../snapshot/format.js";
import { checkSnapshot, detailOf } from "../snapshot/info.js";
import { migrate } from "../snapshot/migrate.js";
import { readRam, readSnapshot, type Snapshot } from "../snapshot/reader.js";
import { recordedTarget } from "../snapshot/recorded.js";
import { defaultName, type OpenSnapshot, type SnapshotStore } from "../snapshot/store.js";
import { SnapshotWriter } from "../snapshot/writer.js";
import type { Clones, CloneWish } from "./clones.js";
import type { Guest, GuestImage, GuestOptions } from "./guest.js";
import type { Guests, Origin } from "./guests.js";
import type { Host } from "./host.js";
import type { Modules } from "./modules.js";
import type { Progress } from "./slots.js";

/** RAM of the guest that only shows what CPUID answers */
const PROBE_BYTES = 2 * 2 ** 20;

export interface CreateOptions {
  name?: string | undefined;
  description?: string | undefined;
  replace: boolean;
}

interface Placement {
  affinity?: readonly number[] | undefined;
  noReboot?: boolean | undefined;
}

export interface RestoreOptions extends Placement {
  name?: string | undefined;
  paused: boolean;
}

export class Snapshots {
  /** what guests of a model find on the hypervisor that is up */
  #cpuid: CpuidRow[] | null = null;

  constructor(
    private readonly host: Host,
    private readonly guests: Guests,
    private readonly clones: Clones,
    private readonly modules: Modules,
    private readonly catalog: Catalog,
    readonly store: SnapshotStore,
  ) {
    host.on("up", () => {
      this.#cpuid = null;
    });
  }

  /** The guest stands still until state and RAM are copied; it goes on while the last of it is compressed and written. */
  async create(
    guest: Guest,
    { name = defaultName(guest.name), description = "", replace }: CreateOptions,
    progress: Progress,
  ): Promise<SnapshotDetail> {
    checkDescription(description);
    const { hypervisor } = this.host;
    let header: SnapshotHeader | undefined;
    let bytes = 0;
    const path = await this.store.write(name, replace, async (sink) => {
      const writer = await this.guests.standing(guest, async (slot, stood) => {
        const [layout, state] = await this.modules.steady(async () => [
          await this.modules.layoutOf(slot),
          await hypervisor.guestStateSave(slot),
        ]);
        header = this.#header(guest, name, description, state, layout, stood);
        const begun = await SnapshotWriter.begin(sink, header);
        await begun.state(state, layout);
        await captureRam(hypervisor, slot, guest.options.memoryBytes, begun, (done, total) => progress("save", done, total));
        return begun;
      });
      bytes = await writer.end();
    });
    if (!header) throw new Error("a snapshot was written without a header");
    return detailOf(header, path, bytes);
  }

  /** A new guest; by default of the name that the saved one had, while no other has it. */
  restore(reference: string, { name, paused, ...placement }: RestoreOptions, progress: Progress): Promise<Guest> {
    if (name !== undefined) checkName(name, "guest");
    return this.#with(reference, progress, async ({ header }, origin) => {
      const { image, options } = this.#saved(header, placement);
      return this.guests.restore(image, name ?? this.#freeName(header.guest.name), options, origin, paused);
    });
  }

  /** New guests that are copies of it. */
  copies(reference: string, { name, count, paused, ...placement }: CloneWish & Placement, progress: Progress): Promise<Guest[]> {
    if (name !== undefined) checkName(name, "guest");
    return this.#with(reference, progress, async ({ header }, origin) => {
      const { image, options } = this.#saved(header, placement);
      return this.clones.fromSnapshot(image, header.guest.name, options, origin, { name, count, paused }, progress);
    });
  }

  async revert(guest: Guest, reference: string, paused: boolean, progress: Progress): Promise<void> {
    await this.#with(reference, progress, async ({ header }, origin) => {
      if (header.guest.lineage !== guest.lineage || header.memoryBytes !== guest.options.memoryBytes) {
        throw new HvkitError(
          "E_SNAPSHOT_GUEST",
          `the snapshot is of guest '${header.guest.name}' (${header.guest.id}), not of '${guest.name}'`,
          {
            hint: `Make a new guest of it: hvkit restore ${reference}`,
            data: { guest: guest.name, found: header.guest },
          },
        );
      }
      await this.guests.revert(guest, origin, paused);
    });
  }

  async check(reference: string, engine: "qemu" | "bochs" | undefined): Promise<SnapshotCheck> {
    const { layout } = await this.modules.current();
    return checkSnapshot(this.store, reference, () =>
      engine === undefined ? this.#target() : Promise.resolve(recordedTarget(engine, layout)),
    );
  }

  /** The whole file is read, and all that is asked of this host is checked, before anything is made or ended. */
  async #with<T>(reference: string, progress: Progress, use: (snapshot: Snapshot, origin: Origin) => Promise<T>): Promise<T> {
    const opened = await this.store.open(reference);
    try {
      const reading = readSnapshot(opened.source, (done, total) => progress("check", done, total));
      const snapshot = await ofFile(opened.path, reading);
      stateFor(snapshot, (await this.modules.current()).layout); // refused before anything is made or ended
      requireCpu(snapshot, await this.#target());
      return await use(snapshot, this.#origin(opened, snapshot, progress));
    } finally {
      await opened.close();
    }
  }

  /** From what a guest is made that goes on from it. */
  #saved(header: SnapshotHeader, { affinity, noReboot = false }: Placement): { image: GuestImage; options: GuestOptions } {
    const { reference, name, kind, append, added } = header.image;
    return {
      image: { reference, name, kind, open: () => this.catalog.find(reference) },
      options: {
        memoryBytes: header.memoryBytes,
        cpuModel: header.cpu.model,
        append,
        added: [],
        noReboot,
        ...this.#placement(affinity ?? header.affinity, affinity !== undefined),
        ...(added.length === 0 ? {} : { missing: added }),
      },
    };
  }

  #origin({ source }: OpenSnapshot, snapshot: Snapshot, progress: Progress): Origin {
    const { header } = snapshot;
    return {
      snapshot: { name: header.name, createdAt: header.createdAt },
      clone: null,
      lineage: header.guest.lineage,
      clockAt: new Date(header.clockAt ?? header.createdAt),
      load: (options) =>
        this.guests.slots.load(
          options,
          (layout) => stateFor(snapshot, layout),
          (put) => readRam(source, snapshot, put, (done, total) => progress("restore", done * BLOCK_BYTES, total * BLOCK_BYTES)),
        ),
    };
  }

  /** The CPUs that may run a guest which is restored: those that were asked for, or those that it had, as far as they are here. */
  #placement(cpus: readonly number[] | undefined, asked: boolean): Pick<GuestOptions, "affinity"> {
    const { hypervisor } = this.#booted();
    const affinity = asked ? cpus : cpus?.filter((cpu) => cpu < hypervisor.hello.cpus);
    return affinity === undefined || affinity.length === 0 ? {} : { affinity };
  }

  #header(guest: Guest, name: string, description: string, state: SavedState, layout: Layout, stood: boolean): SnapshotHeader {
    const { engine, choice, hypervisor } = this.#booted();
    const clockAt = stood ? (guest.savedAt ?? guest.pausedAt) : undefined;
    return headerSchema.parse({
      name,
      description,
      createdAt: new Date().toISOString(),
      ...(clockAt === undefined ? {} : { clockAt: clockAt.toISOString() }),
      guest: { id: guest.id, name: guest.name, lineage: guest.lineage },
      image: {
        reference: guest.image.reference,
        name: guest.image.name,
        kind: guest.image.kind,
        append: guest.options.append,
        added: guest.addedFiles().slice(0, limits.added),
      },
      engine: { name: engine.name, accel: engine.accel, vendor: choice.vendor, build: hypervisor.hello.identity },
      memoryBytes: guest.options.memoryBytes,
      layout: layout.identity,
      cpu: {
        model: state.cpuModel,
        tscKhz: state.tscKhz,
        cpuid: state.cpuid.map(({ leaf, subleaf, eax, ebx, ecx, edx }) => [leaf, subleaf, eax, ebx, ecx, edx]),
      },
      ...(guest.options.affinity === undefined ? {} : { affinity: guest.options.affinity }),
    });
  }

  /** The hypervisor that is up. */
  async #target(): Promise<Target> {
    const { engine, hypervisor } = this.#booted();
    const { layout } = await this.modules.current();
    const { hello } = hypervisor;
    const { freeBytes, dirtyBytes } = await hypervisor.hostStat();
    return {
      title: `${engine.name} (${engine.accel}), ${vendorName(hello.vendor)}`,
      layout,
      cpuid: await this.#hostCpuid(),
      tscKhz: hello.tscKhz,
      tscScaling: featureList(hello.features).includes("tsc-scaling"),
      freeBytes: freeBytes + dirtyBytes,
    };
  }

  /** A guest is made that shows it, once; null where there is no room even for that. */
  async #hostCpuid(): Promise<CpuidRow[] | null> {
    if (this.#cpuid) return this.#cpuid;
    const { hypervisor } = this.host;
    let probe: number;
    try {
      probe = (await hypervisor.guestCreate({ memoryBytes: PROBE_BYTES, wallSeconds: 0, cpuModel: "host" })).guest;
    } catch (error) {
      if (error instanceof HvkitError && (error.code === "E_HV_NO_MEMORY" || error.code === "E_HV_NO_SLOT")) return null;
      throw error;
    }
    try {
      this.#cpuid = await hypervisor.guestCpuid(probe);
      return this.#cpuid;
    } finally {
      await hypervisor.guestDestroy(probe);
    }
  }

  #booted() {
    this.host.require();
    const { booted } = this.host;
    if (!booted) throw new Error("a hypervisor runs that was not booted");
    return booted;
  }

  #freeName(name: string): string {
    const taken = new Set(this.guests.all().map((guest) => guest.name));
    let free = name;
    for (let number = 2; taken.has(free); number++) free = `${name.slice(0, 60)}-${number}`;
    return free;
  }
}

function stateFor(snapshot: Snapshot, layout: Layout): SavedState {
  const { region, registers } = migrate(snapshot, layout);
  const { header, entry, fpu, consoleInput } = snapshot;
  return {
    registers,
    ...entry,
    tscKhz: header.cpu.tscKhz,
    cpuModel: header.cpu.model,
    cpuid: header.cpu.cpuid.map(([leaf, subleaf, eax, ebx, ecx, edx]) => ({ leaf, subleaf, eax, ebx, ecx, edx })),
    fpu,
    region,
    consoleInput,
  };
}
