// Bochs: emulates Intel VMX on any host. A configuration file is written for each run; the serial line is a TCP connection that Bochs
// makes to us (it knows no Unix sockets); files reach the hypervisor by the store disk.
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { copyFile, truncate, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HvkitError } from "../errors.js";
import { SocketListener, type SocketTransport } from "../transport/socket.js";
import { bochsConfiguration, geometryFor } from "./bochsrc.js";
import type { Engine, EngineOptions, RunningEngine, Store } from "./engine.js";
import { samePeer } from "./peer.js";
import { folderWithRoom, requireProgram } from "./probe.js";
import { EngineProcess } from "./process.js";
import { FileStore, SECTOR_BYTES } from "./store.js";

export const PACKAGES = "Debian and Ubuntu: bochs bochs-term bochsbios vgabios; Fedora: bochs; Homebrew: bochs";
/** Bochs starts its devices within a second; a busy machine may take its time. */
const CONNECT_MS = 30_000;
const TAIL_BYTES = 4096;

export class BochsEngine implements Engine {
  readonly name = "bochs";
  readonly #storeBytes: number;

  constructor({ storeBytes = 512 * 2 ** 20 }: { storeBytes?: number } = {}) {
    this.#storeBytes = storeBytes;
  }

  async start(options: EngineOptions): Promise<RunningEngine> {
    const program = requireProgram("Bochs", "bochs", PACKAGES);
    if (options.accel === "kvm") {
      throw new HvkitError("E_NO_KVM", "Bochs emulates everything: it does not use KVM.", {
        hint: "Leave --accel out, or use --engine qemu.",
      });
    }
    const files = await prepare(options, this.#storeBytes);
    let process: EngineProcess | undefined;
    try {
      const listener = await SocketListener.listen({ port: 0 }, { admit: samePeer, quickAck: true });
      const rc = join(options.runDir, "bochsrc");
      await writeFile(
        rc,
        bochsConfiguration({
          ...files,
          memoryBytes: options.memoryBytes,
          cpus: options.cpus ?? 1,
          address: listener.address,
          extra: options.extra ?? [],
        }),
        { mode: 0o600 },
      );
      // Bochs was built with its debugger, which waits for a command: "c" lets the machine run.
      const commands = join(options.runDir, "bochs.commands");
      await writeFile(commands, "c\n", { mode: 0o600 });
      const command = [program, "-q", "-f", rc, "-rc", commands];
      // The display is curses without a terminal: it needs a terminal's name only. SIGTERM would be caught, and ignored.
      const env = { ...globalThis.process.env, TERM: "vt100", LINES: "25", COLUMNS: "80" };
      process = await EngineProcess.start({ command, cwd: options.runDir, env, endSignal: "SIGKILL" });
      const transport = await connected(listener, process, files.log);
      return new RunningBochs(process, command, transport, files.store, files);
    } catch (error) {
      await process?.stop();
      await files.store.close();
      await remove(files);
      throw error;
    }
  }
}

interface Files {
  disk: string;
  diskSectors: number;
  storePath: string;
  store: FileStore;
  log: string;
}

/** The boot disk is a copy: Bochs wants whole cylinders, and must not write to the build. */
async function prepare(options: EngineOptions, storeBytes: number): Promise<Files> {
  const disk = join(options.runDir, "hv.img");
  await copyFile(options.imagePath, disk);
  const diskSectors = geometryFor(Math.ceil(sizeOf(disk) / SECTOR_BYTES)).sectors;
  await truncate(disk, diskSectors * SECTOR_BYTES);
  const folder = folderWithRoom([options.runDir, tmpdir()], storeBytes, "the store disk");
  const storePath = join(folder, folder === options.runDir ? "store.img" : `hvkit-store-${process.pid}-${Date.now().toString(36)}.img`);
  const store = await FileStore.create(storePath, geometryFor(Math.floor(storeBytes / SECTOR_BYTES)).sectors);
  return { disk, diskSectors, storePath, store, log: join(options.runDir, "bochs.log") };
}

async function remove(files: Files): Promise<void> {
  for (const path of [files.storePath, files.disk]) await unlink(path).catch(() => undefined);
}

/** Bochs connects while it makes its devices, before its first instruction: nothing that the hypervisor says is lost. */
async function connected(listener: SocketListener, process: EngineProcess, log: string): Promise<SocketTransport> {
  let timer: NodeJS.Timeout | undefined;
  const failed = new Promise<never>((_, reject) => {
    const fail = (what: string): void => {
      reject(new HvkitError("E_ENGINE_START", `Bochs ${what}. Its last words:\n${lastWordsOf(process, log)}`));
      listener.close();
    };
    timer = setTimeout(() => fail(`did not connect its serial line within ${CONNECT_MS / 1000} s`), CONNECT_MS);
    process.onExit((code, signal) => fail(`ended at its start (${signal ?? `exit code ${code}`})`));
  });
  failed.catch(() => undefined);
  try {
    return await Promise.race([listener.accept(), failed]);
  } finally {
    clearTimeout(timer);
  }
}

class RunningBochs implements RunningEngine {
  readonly name = "bochs";
  readonly accel = "emulated";
  readonly command: string[];
  readonly transport: SocketTransport;
  readonly store: Store;
  readonly #process: EngineProcess;
  readonly #files: Files;

  constructor(process: EngineProcess, command: string[], transport: SocketTransport, store: Store, files: Files) {
    this.#process = process;
    this.command = command;
    this.transport = transport;
    this.store = store;
    this.#files = files;
  }

  get pid(): number {
    return this.#process.pid;
  }

  lastWords(): string {
    return lastWordsOf(this.#process, this.#files.log);
  }

  onExit(listener: (code: number | null, signal: string | null) => void): void {
    this.#process.onExit(listener);
  }

  async stop(): Promise<void> {
    await this.#process.stop();
    this.transport.close();
    await this.#files.store.close();
    await remove(this.#files);
  }
}

/** bochs.log says which check of a VM entry failed, and why Bochs ended. The machine's screen on stdout says nothing of use. */
function lastWordsOf(process: EngineProcess, log: string): string {
  const lines = tail(log)
    .split("\n")
    .filter((line) => line.trim() !== "");
  return lines.length > 0 ? lines.slice(-12).join("\n") : process.lastWords();
}

function tail(path: string): string {
  try {
    const fd = openSync(path, "r");
    try {
      const size = fstatSync(fd).size;
      const bytes = Buffer.alloc(Math.min(size, TAIL_BYTES));
      readSync(fd, bytes, 0, bytes.length, size - bytes.length);
      return bytes.toString("latin1").replace(/[^\x20-\x7e\n]/g, "?");
    } finally {
      closeSync(fd);
    }
  } catch {
    return "";
  }
}

function sizeOf(path: string): number {
  const fd = openSync(path, "r");
  try {
    return fstatSync(fd).size;
  } finally {
    closeSync(fd);
  }
}
