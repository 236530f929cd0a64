// One running hypervisor for the tests of a file: engine, link, and the guests that were made on it. Guests are made from images by
// the product's own catalog and boot plan; the daemon is not in the way (cli.test.ts is for that).
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { RunningEngine } from "../../../control/src/engines/engine.js";
import { createEngine } from "../../../control/src/engines/engines.js";
import { RemoteHypervisor } from "../../../control/src/hypervisor/client.js";
import type { ClonedGuest, GuestCreateOptions } from "../../../control/src/hypervisor/hypervisor.js";
import type { SavedState } from "../../../control/src/hypervisor/saved.js";
import { Catalog, type Image } from "../../../control/src/images/catalog.js";
import type { CpioFile } from "../../../control/src/images/cpio.js";
import { imageMemory, loadPlan } from "../../../control/src/images/loader.js";
import { type BootFiles, type BootPlan, planBoot } from "../../../control/src/images/plan.js";
import { GuestLimit, RunState } from "../../../protocol/messages.js";
import { Guest } from "./guest.js";
import type { Target } from "./targets.js";

export const root = resolve(import.meta.dirname, "../../..");

export interface MachineOptions {
  /** build variant: `hostile` has modules that do what they must not; `entry` and `broken` are explain.test.ts's */
  variant?: "hostile" | "entry" | "broken";
  memoryMiB?: number;
  cpus?: number;
  bootFrom?: "kernel" | "disk";
  /** QEMU: an ISO image; the machine boots from it as a CD */
  disc?: string;
  icount?: boolean;
  /** further arguments of the engine */
  extra?: string[];
}

export interface RunOptions {
  memory?: string;
  append?: string;
  /** CPUs, a bit each */
  affinity?: number;
  added?: readonly CpioFile[];
  /** TraceMode bits: what its exits are watched for, from the first one on */
  traceModes?: number;
  /** the rate of its TSC, kilohertz; by default the machine's */
  tscKhz?: number;
}

const buildOf = ({ variant }: MachineOptions): string => (variant ? join(root, "build", variant) : join(root, "build"));

/** The engine alone: whoever has it opens the link. */
export function startEngine(target: Target, runDir: string, options: MachineOptions = {}): Promise<RunningEngine> {
  const { memoryMiB = 512, cpus = target.cpus, bootFrom, disc, icount, extra = [] } = options;
  const build = buildOf(options);
  return createEngine(target.engine).start({
    memoryBytes: memoryMiB * 2 ** 20,
    cpus,
    accel: target.accel === "emulated" ? "auto" : target.accel,
    runDir,
    kernelPath: join(build, "hv.elf32"),
    // With a disc there is no disk with the hypervisor beside it that could be booted instead.
    imagePath: disc ?? join(build, "hv.img"),
    ...(disc ? { bootFrom: "disk" as const } : bootFrom ? { bootFrom } : {}),
    ...(icount ? { icount } : {}),
    extra: [...(disc ? ["-cdrom", disc, "-boot", "d"] : []), ...extra],
  });
}

/** A guest in the test's own memory. */
export interface SavedGuest {
  name: string;
  ram: Uint8Array;
  state: SavedState;
}

export interface Clone extends ClonedGuest {
  copy: Guest;
  entropy: Uint8Array;
}

export class Machine {
  readonly text: string[] = [];
  readonly panics: string[][] = [];
  #guests = new Map<number, Guest>();
  #stopping = false;
  #catalog = new Catalog(root);

  private constructor(
    readonly target: Target,
    readonly engine: RunningEngine,
    readonly hypervisor: RemoteHypervisor,
    readonly runDir: string,
  ) {
    // Else a test that fails for want of a hypervisor does not say why.
    engine.onExit((code, signal) => {
      if (!this.#stopping) process.stderr.write(`contract: ${target.title} ended: ${signal ?? `code ${code}`}: ${engine.lastWords()}\n`);
    });
    hypervisor.on("text", (line) => this.text.push(line));
    hypervisor.on("panic", (lines) => this.panics.push(lines));
    hypervisor.on("console", (guest, port, bytes) => this.#guests.get(guest)?.take(port, bytes));
    hypervisor.on("consoleLost", (guest, _port, count) => this.#guests.get(guest)?.lose(count));
    hypervisor.on("guestEnded", (guest, reason, value, rip) => this.#guests.get(guest)?.finish({ reason, value, rip }));
  }

  static async start(target: Target, options: MachineOptions = {}): Promise<Machine> {
    const runDir = mkdtempSync(join(tmpdir(), "hvkit-contract-"));
    const build = buildOf(options);
    const lines: string[] = [];
    const engine = await startEngine(target, runDir, options);
    try {
      const onText = (line: string): void => void lines.push(line);
      const hypervisor = await RemoteHypervisor.connect(engine, { symbolsPath: join(build, "hv.elf"), onText });
      const machine = new Machine(target, engine, hypervisor, runDir);
      machine.text.unshift(...lines);
      return machine;
    } catch (error) {
      await engine.stop();
      rmSync(runDir, { recursive: true, force: true });
      throw new Error(`${target.title} did not come up: ${(error as Error).message}\n${lines.join("\n")}\n${engine.lastWords()}`, {
        cause: error,
      });
    }
  }

  /** A guest of ours by its folder's name: images/ first, then test/guests/. */
  image(name: string): Promise<Image> {
    return this.#catalog.find(name).catch(() => this.#catalog.find(join(root, "build/test/guests", name)));
  }

  async run(name: string, { memory, append = "", affinity = 0, added = [], tscKhz, traceModes }: RunOptions = {}): Promise<Guest> {
    const image = await this.image(name);
    const memoryBytes = imageMemory(image, memory);
    const plan = await loadPlan(image, { memoryBytes, append, added, tscKhz: tscKhz ?? this.hypervisor.hello.tscKhz });
    return this.runPlan(name, plan, { memoryBytes, affinity, ...(tscKhz === undefined ? {} : { tscKhz }) }, traceModes);
  }

  /** A guest of files that the test made. */
  async runFiles(name: string, files: BootFiles, memoryMiB: number): Promise<Guest> {
    return this.runPlan(name, planBoot(files, memoryMiB * 2 ** 20), { memoryBytes: memoryMiB * 2 ** 20 });
  }

  /** All of a guest, which is paused afterwards. */
  async save(guest: Guest): Promise<SavedGuest> {
    const { hypervisor } = this;
    const { memoryBytes, state: before } = await hypervisor.guestState(guest.slot);
    if (before !== RunState.Paused) await hypervisor.guestPause(guest.slot);
    const ram = await hypervisor.guestGet(guest.slot, 0, memoryBytes);
    return { name: guest.name, ram, state: await hypervisor.guestStateSave(guest.slot) };
  }

  /** A new guest that is what another one was, and paused. */
  async restore({ name, ram, state }: SavedGuest): Promise<Guest> {
    const { hypervisor } = this;
    const options = { memoryBytes: ram.length, wallSeconds: 0, cpuModel: state.cpuModel, tscKhz: state.tscKhz };
    const { guest: slot, requestTsc } = await hypervisor.guestCreate(options);
    const guest = new Guest(this, name, slot, requestTsc);
    this.#guests.set(slot, guest);
    try {
      await hypervisor.guestPut(slot, 0, ram);
      await hypervisor.guestStateLoad(slot, state);
    } catch (error) {
      await guest.remove();
      throw error;
    }
    return guest;
  }

  /** A copy of a guest, that goes on unless it shall be paused; its console is empty. */
  async clone(guest: Guest, { paused = false, affinity = 0 }: { paused?: boolean; affinity?: number } = {}): Promise<Clone> {
    const entropy = randomBytes(GuestLimit.EntropyBytes);
    // Paused first, so that nothing of its console comes before it is known here.
    const made = await this.hypervisor.guestClone({ guest: guest.slot, entropy, affinity, paused: true });
    const copy = new Guest(this, `${guest.name}, copy ${made.generation}`, made.guest, made.requestTsc);
    this.#guests.set(made.guest, copy);
    if (!paused) await this.hypervisor.guestResume(made.guest);
    return { ...made, copy, entropy };
  }

  async runPlan(name: string, plan: BootPlan, options: Omit<GuestCreateOptions, "wallSeconds">, traceModes = 0): Promise<Guest> {
    const wallSeconds = Math.floor(Date.now() / 1000);
    const { guest: slot, requestTsc } = await this.hypervisor.guestCreate({ ...options, wallSeconds });
    const guest = new Guest(this, name, slot, requestTsc);
    this.#guests.set(slot, guest);
    try {
      for (const { address, bytes } of plan.placements) await this.hypervisor.guestPut(slot, address, bytes);
      if (traceModes !== 0) await this.hypervisor.guestTrace(slot, traceModes);
      await this.hypervisor.guestStart({ guest: slot, kind: plan.kind, block: plan.block, blockBytes: plan.blockBytes });
    } catch (error) {
      await guest.remove();
      throw error;
    }
    return guest;
  }

  forget(guest: Guest): void {
    this.#guests.delete(guest.slot);
  }

  /** Between tests: every guest goes. */
  async clear(): Promise<void> {
    for (const guest of [...this.#guests.values()]) await guest.remove();
  }

  /** Waits until every freed frame is scrubbed. */
  async scrubbed(): Promise<void> {
    const patience = Date.now() + 30_000 * this.target.patience;
    while ((await this.hypervisor.hostStat()).dirtyBytes > 0) {
      if (Date.now() > patience) throw new Error("freed frames are not scrubbed");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Whatever the hypervisor has in a slot, for tests that look for leftovers. */
  async slots(): Promise<number[]> {
    const found: number[] = [];
    for (let slot = 0; slot < Math.min(16, GuestLimit.Slots); slot++) {
      const state = await this.hypervisor.guestState(slot).catch(() => undefined);
      if (state && state.state !== RunState.Empty) found.push(slot);
    }
    return found;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.hypervisor.close().catch(() => {});
    await this.engine.stop();
    rmSync(this.runDir, { recursive: true, force: true });
  }
}
