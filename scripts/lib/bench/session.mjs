// One hypervisor for a measurement: the engine, the link, guests from images, and their consoles. Made of the built control plane.
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createEngine } from "../../../build/js/control/src/engines/engines.js";
import { RemoteHypervisor } from "../../../build/js/control/src/hypervisor/client.js";
import { Catalog } from "../../../build/js/control/src/images/catalog.js";
import { imageMemory, loadPlan } from "../../../build/js/control/src/images/loader.js";
import { GuestLimit } from "../../../build/js/protocol/messages.js";
import { root } from "../run.mjs";

const CONSOLE_SECONDS = 240;

export class Bench {
  #consoles = new Map();
  #ended = new Map();
  #wake = new Set();

  constructor(engine, hypervisor, runDir) {
    this.engine = engine;
    this.hypervisor = hypervisor;
    this.runDir = runDir;
    hypervisor.on("console", (guest, port, bytes) => {
      if (port === 0) this.#consoles.set(guest, (this.#consoles.get(guest) ?? "") + Buffer.from(bytes).toString("latin1"));
      for (const wake of this.#wake) wake();
    });
    hypervisor.on("guestEnded", (guest, reason) => {
      this.#ended.set(guest, reason);
      for (const wake of this.#wake) wake();
    });
  }

  /** icount: the engine's TSC counts instructions (Bochs' always does). */
  static async start({ engine, accel }, { memoryMiB = 640, cpus = 1, icount = false } = {}) {
    const runDir = mkdtempSync(join(tmpdir(), "hvkit-bench-"));
    const path = (name) => join(root, "build", name);
    const running = await createEngine(engine).start({
      memoryBytes: memoryMiB * 2 ** 20,
      cpus,
      accel: accel === "emulated" ? "auto" : accel,
      runDir,
      kernelPath: path("hv.elf32"),
      imagePath: path("hv.img"),
      icount,
    });
    try {
      return new Bench(running, await RemoteHypervisor.connect(running, { symbolsPath: path("hv.elf") }), runDir);
    } catch (error) {
      await running.stop();
      rmSync(runDir, { recursive: true, force: true });
      throw error;
    }
  }

  /** An image of images/, bench/ or test/guests/: its guest, started. */
  async run(name, { append = "", memoryMiB, traceModes = 0 } = {}) {
    const catalog = new Catalog(root);
    const built = (folder) => catalog.find(join(root, "build", folder, name));
    const image = await catalog
      .find(name)
      .catch(() => built("bench"))
      .catch(() => built("test/guests"));
    const memoryBytes = imageMemory(image, memoryMiB === undefined ? undefined : `${memoryMiB}M`);
    const { tscKhz } = this.hypervisor.hello;
    const plan = await loadPlan(image, { memoryBytes, append, added: [], tscKhz });
    // What it is held against runs on the engine's own CPU: the host's model, so that like is compared with like.
    const { guest } = await this.create({ memoryBytes, wallSeconds: 0, cpuModel: "host" });
    for (const { address, bytes } of plan.placements) await this.hypervisor.guestPut(guest, address, bytes);
    if (traceModes) await this.hypervisor.guestTrace(guest, traceModes);
    await this.hypervisor.guestStart({ guest, kind: plan.kind, block: plan.block, blockBytes: plan.blockBytes });
    return guest;
  }

  /** A guest that was not started; nothing is known any more of the one that had its number before. */
  async create(options) {
    const created = await this.hypervisor.guestCreate(options);
    this.#forget(created.guest);
    return created;
  }

  /** A copy of one; what it says before the answer is here is not kept. */
  async clone(source, { paused = false } = {}) {
    const made = await this.hypervisor.guestClone({ guest: source, entropy: randomBytes(GuestLimit.EntropyBytes), paused });
    this.#forget(made.guest);
    return made;
  }

  #forget(guest) {
    this.#consoles.delete(guest);
    this.#ended.delete(guest);
  }

  /** All that the guest wrote until it ended. */
  async output(guest) {
    await this.#until(() => this.#ended.has(guest), `guest ${guest} to end`);
    await new Promise((resolve) => setTimeout(resolve, 300)); // the last bytes may come after the news
    return this.#consoles.get(guest) ?? "";
  }

  /** The console shows it. */
  shows(guest, text) {
    return this.#until(() => this.#consoles.get(guest)?.includes(text), `guest ${guest} to show ${text}`);
  }

  /** The console's first match, when it has come. */
  async matches(guest, pattern) {
    await this.#until(() => pattern.test(this.#consoles.get(guest) ?? ""), `guest ${guest} to show ${pattern}`);
    return pattern.exec(this.#consoles.get(guest));
  }

  async remove(guest) {
    if (!this.#ended.has(guest)) await this.hypervisor.guestKill(guest);
    await this.hypervisor.guestDestroy(guest);
  }

  /** Until every freed frame is scrubbed. */
  async scrubbed() {
    while ((await this.hypervisor.hostStat()).dirtyBytes > 0) await new Promise((resolve) => setTimeout(resolve, 100));
  }

  async stop() {
    await this.hypervisor.close().catch(() => {});
    await this.engine.stop();
    rmSync(this.runDir, { recursive: true, force: true });
  }

  #until(condition, what) {
    return new Promise((resolve, reject) => {
      const wake = () => {
        if (!condition()) return;
        clearTimeout(timer);
        this.#wake.delete(wake);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#wake.delete(wake);
        reject(new Error(`waited ${CONSOLE_SECONDS} s for ${what}: ${[...this.#consoles.values()].join("").slice(-500)}`));
      }, CONSOLE_SECONDS * 1000);
      this.#wake.add(wake);
      wake();
    });
  }
}
