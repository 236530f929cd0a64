// One guest as the daemon knows it: its name, its options, its state, its console's log. guests.ts moves it from state to state.

import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { GuestDetail, GuestEnd, GuestState, GuestSummary, Launch } from "../api/schemas.js";
import { HvkitError } from "../errors.js";
import { fileError } from "../files.js";
import { hex } from "../hex.js";
import type { CpuModel } from "../hypervisor/saved.js";
import type { Image } from "../images/catalog.js";
import type { CpioFile } from "../images/cpio.js";
import type { ImageKind } from "../images/manifest.js";
import type { BootPlan } from "../images/plan.js";
import { ConsoleLog, type ConsoleLogOptions } from "./consolelog.js";
import type { Debuggee } from "./debuggee.js";

/** What a guest is started from: an image that was found, or one that a snapshot names, which may be gone. */
export interface GuestImage {
  /** for Catalog.find */
  reference: string;
  name: string;
  kind: ImageKind;
  open(): Promise<Image>;
}

export interface GuestOptions {
  memoryBytes: number;
  cpuModel: CpuModel;
  append: string;
  /** CPUs that may run it; left out: all */
  affinity?: readonly number[];
  added: readonly CpioFile[];
  /** what it was run with */
  launch?: Launch;
  /** its exits are recorded from its start on */
  traced?: boolean;
  /** a reset by itself ends it */
  noReboot?: boolean;
  /** files that it was started with before it was saved: a snapshot does not keep them */
  missing?: readonly { path: string; bytes: number }[];
}

export const CONSOLE_PORTS = 2;
/** It has a place in the hypervisor, and may change there by itself. */
export const LIVE: readonly GuestState[] = ["running", "paused", "restarting"];

export class Guest {
  readonly id = randomBytes(6).toString("hex");
  readonly createdAt = new Date();
  readonly logs: ConsoleLog[];
  state: GuestState = "created";
  /** halted until an interrupt, as the hypervisor said last */
  idle = false;
  /** where it ran last */
  cpu: number | undefined;
  /** the hypervisor's number, from create to destroy */
  slot: number | undefined;
  end: GuestEnd | undefined;
  restarts = 0;
  startedAt: Date | undefined;
  endedAt: Date | undefined;
  timings: GuestDetail["timings"] = null;
  placements: GuestDetail["placements"] = [];
  /** which it was restored from since its last start */
  snapshot: GuestDetail["snapshot"] = null;
  /** of what it is a copy, since its last start */
  clone: GuestDetail["clone"] = null;
  /** when it was saved, while it is restored and has not gone on yet */
  savedAt: Date | undefined;
  /** since when it stands still, while it is paused */
  pausedAt: Date | undefined;
  /** since when the line to its hypervisor is away, while it is */
  staleSince: string | undefined;
  /** while a debugger has it */
  debuggee: Debuggee | undefined;
  /** id of the guest that was run, from which this one comes by restores and clones */
  lineage = this.id;
  readonly #folder: string;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(
    readonly name: string,
    readonly image: GuestImage,
    readonly options: GuestOptions,
    guestsFolder: string,
    logOptions: ConsoleLogOptions = {},
  ) {
    this.#folder = join(guestsFolder, this.id);
    try {
      mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    } catch (error) {
      throw fileError(error, this.#folder);
    }
    this.logs = Array.from({ length: CONSOLE_PORTS }, (_, port) => new ConsoleLog(this.#folder, `console${port}`, logOptions));
  }

  /** Operations on a guest come one after another, whoever asks for them. */
  exclusive<T>(operation: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(operation);
    this.#queue = result.catch(() => {});
    return result;
  }

  /** What a reset starts it from. */
  async openImage(): Promise<Image> {
    const [file] = this.options.missing ?? [];
    if (file === undefined) return this.image.open();
    throw new HvkitError(
      "E_RESET_FILES",
      `guest '${this.name}' was started with files that its snapshot does not keep (${JSON.stringify(file.path)})`,
      {
        hint: "Run the image again with `hvkit run --add`, or go back with `hvkit revert`.",
        data: { files: this.options.missing },
      },
    );
  }

  setPlan(plan: BootPlan): void {
    this.placements = plan.placements.map(({ what, address, bytes }) => ({ what, address: hex(address), bytes: bytes.length }));
  }

  summary(): GuestSummary {
    return {
      id: this.id,
      name: this.name,
      image: this.image.name,
      kind: this.image.kind,
      state: this.state,
      idle: this.idle && this.state === "running",
      memoryBytes: this.options.memoryBytes,
      restarts: this.restarts,
      createdAt: this.createdAt.toISOString(),
      startedAt: this.startedAt?.toISOString() ?? null,
      endedAt: this.endedAt?.toISOString() ?? null,
      end: this.end ?? null,
      consoleLost: this.logs.reduce((sum, { lost }) => sum + lost, 0),
      staleSince: LIVE.includes(this.state) ? (this.staleSince ?? null) : null,
    };
  }

  detail(rip: bigint | undefined): GuestDetail {
    return {
      ...this.summary(),
      launch: this.options.launch ?? null,
      snapshot: this.snapshot,
      clone: this.clone,
      slot: this.slot ?? null,
      module: null,
      debugged: this.debuggee !== undefined,
      cpuModel: this.options.cpuModel,
      append: this.options.append,
      added: this.addedFiles(),
      rip: rip === undefined ? null : hex(rip),
      affinity: this.options.affinity ? [...this.options.affinity] : null,
      cpu: this.cpu ?? null,
      console: this.logs.map((log, port) => ({ port, start: log.start, end: log.end, lost: log.lost })),
      placements: this.placements,
      timings: this.timings,
    };
  }

  addedFiles(): { path: string; bytes: number }[] {
    return [...this.options.added.map(({ path, data }) => ({ path, bytes: data.length })), ...(this.options.missing ?? [])];
  }

  /** The last step of `rm`: its files go. */
  dispose(): void {
    for (const log of this.logs) log.remove();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
