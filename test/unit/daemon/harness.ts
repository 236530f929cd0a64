// A daemon with a fake hypervisor on a real Unix socket, images of its own, and clients.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type MethodName, methods, type Params, type Result } from "../../../control/src/api/methods.js";
import { type RuntimePaths, runtimePaths } from "../../../control/src/api/paths.js";
import { Client } from "../../../control/src/client/client.js";
import { Daemon, type DaemonOptions } from "../../../control/src/daemon/daemon.js";
import { takeLock } from "../../../control/src/daemon/lock.js";
import { silentLog } from "../../../control/src/daemon/log.js";
import { type FakeHypervisor, fakeBoot } from "./fake.js";

export class Harness {
  readonly paths: RuntimePaths;
  readonly root: string;
  /** the folder of its snapshots */
  readonly snapshots: string;
  readonly made: FakeHypervisor[];
  readonly engines: { stopped: () => number };
  readonly daemon: Daemon;
  down = false;
  readonly #clients: Client[] = [];

  private constructor(
    readonly folder: string,
    prepare: Parameters<typeof fakeBoot>[0],
    options: Partial<DaemonOptions>,
  ) {
    this.paths = runtimePaths({ XDG_RUNTIME_DIR: folder });
    this.root = join(folder, "project");
    const image = (name: string, manifest: object, files: Record<string, string>): void => {
      mkdirSync(join(this.root, "images", name), { recursive: true });
      mkdirSync(join(this.root, "build/images", name), { recursive: true });
      writeFileSync(join(this.root, "images", name, "image.json"), JSON.stringify({ name, description: `image ${name}`, ...manifest }));
      for (const [file, text] of Object.entries(files)) writeFileSync(join(this.root, "build/images", name, file), text);
    };
    image(
      "linux",
      { kind: "linux", memory: "32M", commandLine: "quiet", files: { kernel: "k", initrd: "i" } },
      { k: "kernel", i: "initrd" },
    );
    image("sector", { kind: "bootsector", memory: "2M", files: { kernel: "k" } }, { k: "sector" });
    const { boot, made, stopped } = fakeBoot(prepare);
    this.made = made;
    this.engines = { stopped };
    const onDown = (): void => {
      this.down = true;
    };
    const request = { engine: "auto", accel: "auto", memoryBytes: 2 ** 30 } as const;
    this.snapshots = join(folder, "snapshots");
    this.daemon = new Daemon({
      boot,
      request,
      paths: this.paths,
      root: this.root,
      log: silentLog(),
      snapshotFolder: this.snapshots,
      onDown,
      ...options,
    });
  }

  static async start(prepare?: Parameters<typeof fakeBoot>[0], options: Partial<DaemonOptions> = {}): Promise<Harness> {
    const harness = new Harness(mkdtempSync(join(tmpdir(), "hvkit-daemon-")), prepare, options);
    await takeLock(harness.paths);
    await harness.daemon.start().catch(async (error: unknown) => {
      await harness.stop();
      throw error;
    });
    return harness;
  }

  /** the hypervisor that runs now */
  get hypervisor(): FakeHypervisor {
    const last = this.made.at(-1);
    if (!last) throw new Error("no hypervisor was made");
    return last;
  }

  async client(): Promise<Client> {
    const client = await Client.connect(this.paths.socket);
    this.#clients.push(client);
    return client;
  }

  /** A call whose result is checked against the method's schema. */
  async call<M extends MethodName>(client: Client, method: M, params: Params<M>): Promise<Result<M>> {
    const result = await client.call(method, params);
    return methods[method].result.parse(result) as Result<M>;
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) await client.close();
    await this.daemon.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Waits until it holds; fails after 15 s, which is long for an idle machine and enough for a busy one. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 15_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`not within 15 s: ${holds.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
