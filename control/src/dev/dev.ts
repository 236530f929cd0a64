// `hvkit dev`: save, and see it run. Watches the sources; on a save it builds what changed, boots the new hypervisor and runs the guests
// again; with --live it gives the guests that run the new machine (live.ts). What fails is told, and leaves what runs alone.

import type { DevEvent } from "../api/dev.js";
import { projectRoot } from "../api/root.js";
import { Client } from "../client/client.js";
import type { Console } from "../client/console.js";
import { launchDaemon } from "../client/launch.js";
import { takeDown } from "../client/takedown.js";
import type { BootRequest } from "../daemon/boot.js";
import { HvkitError } from "../errors.js";
import { type Remembered, remember, watchConsole } from "./guests.js";
import { swapLive } from "./live.js";
import { Sources } from "./sources.js";
import { Toolchain } from "./toolchain.js";

export const WATCHED = ["hv", "protocol", "images", "control/src"] as const;

export interface DevOptions {
  /** how to boot; of a hypervisor that is up already, what it was booted with */
  request: BootRequest;
  /** images to run, unless there is a guest of that name */
  images: readonly string[];
  /** guests that run go over to the new machine module; nothing is booted anew */
  live?: boolean;
  signal: AbortSignal;
  tell: (event: DevEvent) => void;
}

export async function dev(options: DevOptions): Promise<void> {
  const toolchain = await Toolchain.load(projectRoot());
  const session = new DevSession(options, toolchain);
  try {
    await session.run();
  } finally {
    await session.close();
    await toolchain.close();
  }
}

class DevSession {
  #client: Client | undefined;
  #consoles: Console[] = [];
  /** of a start that failed: what the next one shall run */
  #remembered: Remembered[] | undefined;
  /** the hypervisor is ours to end */
  #ours = false;
  #request: BootRequest;
  readonly #sources = new Sources(projectRoot(), WATCHED);

  constructor(
    private readonly options: DevOptions,
    private readonly toolchain: Toolchain,
  ) {
    this.#request = options.request;
  }

  async run(): Promise<void> {
    const { images, signal, tell } = this.options;
    const wanted = images.map((image): Remembered => ({ name: nameOf(image), launch: { image } }));
    if ((await this.#build(true)) !== undefined) {
      if (await this.#adopt()) await this.#start(wanted);
      else await this.#boot(wanted, undefined);
    } else this.#remembered = wanted;
    void this.toolchain.warmUp(); // meanwhile: a save waits for it
    tell({ event: "watching", folders: [...WATCHED] });
    for (let change = await this.#sources.next(signal); change; change = await this.#sources.next(signal)) {
      tell({ event: "changed", files: change.files });
      const steps = await this.#build(change.files.some((file) => file.startsWith("images/")));
      // A build that failed before may have left a start to be made up for.
      if (steps === undefined || (steps === 0 && !this.#remembered) || signal.aborted) continue;
      if (this.options.live && this.#client && !this.#remembered) {
        await swapLive(this.#client, this.toolchain, change, tell).catch((error: unknown) => this.#failed("swap", error));
        continue;
      }
      const guests = this.#remembered ?? (this.#client ? await remember(this.#client).catch(() => []) : []);
      await this.#end();
      await this.#boot(guests, change.savedAt);
    }
  }

  async close(): Promise<void> {
    this.#sources.close();
    await this.#disconnect();
    if (this.#ours) await takeDown();
  }

  async #build(images: boolean): Promise<number | undefined> {
    const begun = performance.now();
    const steps = await this.toolchain.build(images);
    if (typeof steps === "number") {
      this.options.tell({ event: "built", steps, ms: since(begun) });
      return steps;
    }
    this.options.tell({ event: "failed", what: "build", text: steps.failed });
    return undefined;
  }

  /** A hypervisor that is up already stays, and its guests with it. */
  async #adopt(): Promise<boolean> {
    const client = await Client.connect().catch((error: unknown) => {
      if (error instanceof HvkitError && error.code === "E_NOT_UP") return undefined;
      throw error;
    });
    if (!client) return false;
    this.#client = client;
    const { engine, hypervisor } = await client.call("status", {});
    if (engine?.pid === null) {
      throw new HvkitError("E_DEV_ATTACHED", "the hypervisor that is up runs on a machine elsewhere: `hvkit dev` cannot boot it again", {
        hint: "`hvkit down` first.",
      });
    }
    if (engine && hypervisor) {
      this.#request = { engine: engine.name, accel: engine.accel, memoryBytes: engine.memoryBytes, cpus: hypervisor.cpus } as BootRequest;
    }
    for (const { id, name } of await client.call("ps", {})) await this.#watch(client, id, name, undefined);
    return true;
  }

  async #boot(guests: readonly Remembered[], savedAt: number | undefined): Promise<void> {
    const begun = performance.now();
    try {
      await launchDaemon(this.#request, () => {});
      this.#ours = true;
      this.#client = await Client.connect();
      const { engine, hypervisor } = await this.#client.call("status", {});
      const [vendor, identity] = [hypervisor?.vendor ?? "", hypervisor?.identity ?? ""];
      this.options.tell({ event: "up", vendor, identity, engine: engine?.name ?? "", accel: engine?.accel ?? "", ms: since(begun) });
    } catch (error) {
      this.#remembered = [...guests];
      this.#failed("up", error);
      return;
    }
    this.#remembered = undefined;
    await this.#start(guests, savedAt);
  }

  async #start(guests: readonly Remembered[], savedAt?: number): Promise<void> {
    const client = this.#client;
    if (!client) return;
    const there = new Set((await client.call("ps", {})).map(({ name }) => name));
    for (const { name, launch } of guests) {
      if (there.has(name)) continue;
      if (!launch) {
        this.#failed("guest", new Error(`${name} came from a snapshot: it is not started again`));
        continue;
      }
      const begun = performance.now();
      try {
        const { id, image } = await client.call("run", { ...launch, name });
        this.options.tell({ event: "started", guest: name, image, ms: since(begun) });
        await this.#watch(client, id, name, savedAt);
      } catch (error) {
        this.#failed("guest", error);
      }
    }
  }

  /** `savedAt`: all of its output, and how long after the save the first of it came. */
  async #watch(client: Client, id: string, guest: string, savedAt: number | undefined): Promise<void> {
    const { tell } = this.options;
    let first = savedAt;
    const all = savedAt !== undefined || this.#ours;
    const console = await watchConsole(client, id, all, (text) => {
      if (first !== undefined) tell({ event: "first-output", guest, msAfterSave: Date.now() - first });
      first = undefined;
      tell({ event: "output", guest, text });
    });
    this.#consoles.push(console);
  }

  async #end(): Promise<void> {
    await this.#disconnect();
    await takeDown();
  }

  async #disconnect(): Promise<void> {
    for (const console of this.#consoles) console.close();
    this.#consoles = [];
    await this.#client?.close();
    this.#client = undefined;
  }

  #failed(what: "up" | "guest" | "swap", error: unknown): void {
    const hint = error instanceof HvkitError && error.hint ? ` ${error.hint}` : "";
    this.options.tell({ event: "failed", what, text: `${error instanceof Error ? error.message : String(error)}${hint}` });
  }
}

const since = (begun: number): number => Math.round(performance.now() - begun);

/** An image's name, or its folder's. */
function nameOf(image: string): string {
  return image.split("/").filter(Boolean).at(-1) ?? image;
}
