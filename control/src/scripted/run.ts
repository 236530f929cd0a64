// A scripted run: guests that lie in the boot image, one CPU, a line that is output only. What comes out depends on the files alone: two runs
// are alike to the byte. Needs no daemon: the machine lives as long as its guests.
import { readFileSync } from "node:fs";
import { copyFile, mkdtemp, open, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { PACKAGES as BOCHS_PACKAGES } from "../engines/bochs.js";
import { bochsConfiguration, geometryFor } from "../engines/bochsrc.js";
import type { EngineName } from "../engines/engine.js";
import { requireProgram } from "../engines/probe.js";
import { EngineProcess } from "../engines/process.js";
import { PROGRAM, PACKAGES as QEMU_PACKAGES, qemuArguments, thisHost } from "../engines/qemu.js";
import { SECTOR_BYTES } from "../engines/store.js";
import { HvkitError } from "../errors.js";
import { Catalog } from "../images/catalog.js";
import { imageMemory, loadPlan } from "../images/loader.js";
import { type ScriptedEnd, ScriptedOutput } from "./output.js";
import { type ScriptedGuest, scriptedStore } from "./script.js";

const MIB = 2 ** 20;
/** for the hypervisor itself, and the store in its memory */
const HOST_MIB = 64;
/** 2026-01-01, as the machine's own clock has it */
const WALL_SECONDS = Date.UTC(2026, 0, 1) / 1000;
const POLL_MS = 20;
/** what a guest's TSC counts: QEMU's instructions at one a nanosecond, Bochs' at 50 millions a second */
const TSC_KHZ: Record<EngineName, number> = { qemu: 1_000_000, bochs: 50_000 };

export interface ScriptedImage {
  /** a name, or the absolute path of a folder */
  image: string;
  memory?: string | undefined;
  append?: string | undefined;
}

export interface ScriptedRun {
  engine: EngineName;
  /** all that the line carried, up to the last guest's end */
  line: Buffer;
  guests: { image: string; end: ScriptedEnd; console: Buffer }[];
}

export interface ScriptedRunOptions {
  engine: EngineName;
  images: readonly ScriptedImage[];
  /** the project's folder */
  root: string;
  onConsole?: (guest: number, bytes: Uint8Array) => void;
  signal?: AbortSignal;
}

export async function runScripted({ engine, images, root, onConsole, signal }: ScriptedRunOptions): Promise<ScriptedRun> {
  const catalog = new Catalog(root);
  const guests: ScriptedGuest[] = [];
  for (const { image: reference, memory, append = "" } of images) {
    const image = await catalog.find(reference);
    const memoryBytes = imageMemory(image, memory);
    guests.push({ memoryBytes, plan: await loadPlan(image, { memoryBytes, append, added: [], tscKhz: TSC_KHZ[engine] }) });
  }
  const consoles: Buffer[][] = guests.map(() => []);
  const lines: string[] = [];
  const output = new ScriptedOutput({
    guests: guests.length,
    onConsole: (guest, bytes) => {
      consoles[guest]?.push(Buffer.from(bytes));
      onConsole?.(guest, bytes);
    },
    onText: (text) => lines.push(text),
  });
  const runDir = await mkdtemp(join(tmpdir(), "hvkit-scripted-"));
  try {
    const process = await startMachine(engine, guests, root, runDir);
    try {
      await follow(join(runDir, "line"), output, process, lines, signal);
    } finally {
      await process.stop();
    }
    const line = readFileSync(join(runDir, "line")).subarray(0, output.bytes);
    const ended = output.ends.map((end, index) => ({
      image: images[index]?.image ?? "",
      end: end as ScriptedEnd,
      console: Buffer.concat(consoles[index] ?? []),
    }));
    return { engine, line, guests: ended };
  } finally {
    await rm(runDir, { recursive: true, force: true });
  }
}

async function startMachine(engine: EngineName, guests: readonly ScriptedGuest[], root: string, runDir: string): Promise<EngineProcess> {
  const files = { store: join(runDir, "store.img"), output: join(runDir, "line") };
  const sectors = engine === "bochs" ? (least: number): number => geometryFor(least).sectors : (least: number): number => least;
  const store = scriptedStore(guests, { wallSeconds: WALL_SECONDS, sectors });
  await writeFile(files.store, store, { mode: 0o600 });
  await writeFile(files.output, "", { mode: 0o600 });
  const needed = guests.reduce((sum, { memoryBytes }) => sum + memoryBytes, store.length);
  const memoryBytes = (HOST_MIB + Math.ceil(needed / MIB)) * MIB;
  if (engine === "qemu") {
    const program = requireProgram("QEMU", PROGRAM, QEMU_PACKAGES);
    const [kernelPath, imagePath] = [join(root, "build/hv.elf32"), join(root, "build/hv.img")];
    const options = { memoryBytes, accel: "tcg", runDir, kernelPath, imagePath, scripted: files } as const;
    return EngineProcess.start({ command: [program, ...qemuArguments(options, "tcg", thisHost())], cwd: runDir });
  }
  const program = requireProgram("Bochs", "bochs", BOCHS_PACKAGES);
  const disk = join(runDir, "hv.img");
  await copyFile(join(root, "build/hv.img"), disk);
  const diskSectors = geometryFor(1).sectors;
  await truncate(disk, diskSectors * SECTOR_BYTES);
  const log = join(runDir, "bochs.log");
  const setup = { disk, diskSectors, storePath: files.store, store: { sectors: store.length / SECTOR_BYTES }, log, memoryBytes };
  const rc = join(runDir, "bochsrc");
  await writeFile(rc, bochsConfiguration({ ...setup, cpus: 1, address: { file: files.output }, extra: [] }), { mode: 0o600 });
  const commands = join(runDir, "bochs.commands");
  await writeFile(commands, "c\n", { mode: 0o600 });
  const env = { ...process.env, TERM: "vt100", LINES: "25", COLUMNS: "80" };
  return EngineProcess.start({ command: [program, "-q", "-f", rc, "-rc", commands], cwd: runDir, env, endSignal: "SIGKILL" });
}

/** Until all guests have ended. */
async function follow(
  path: string,
  output: ScriptedOutput,
  engine: EngineProcess,
  lines: readonly string[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const file = await open(path, "r");
  try {
    const buffer = Buffer.alloc(65536);
    for (;;) {
      const over = engine.exited; // before the last look at what it wrote
      const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
      output.push(buffer.subarray(0, bytesRead));
      if (output.done) return;
      if (signal?.aborted) throw new HvkitError("E_INTERRUPTED", "the run was broken off");
      if (bytesRead > 0) continue;
      if (over) {
        const words = [...lines, engine.lastWords()].slice(-12).join("\n");
        throw new HvkitError(
          "E_ENGINE_EXITED",
          `The engine ended before its guests did.${words === "" ? "" : ` Its last words:\n${words}`}`,
        );
      }
      await sleep(POLL_MS);
    }
  } finally {
    await file.close();
  }
}
