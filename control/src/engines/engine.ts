// The one interface to whatever runs the hypervisor: QEMU, Bochs, a machine elsewhere.
import type { MemoryWindow } from "../native/window.js";
import type { Transport } from "../transport/transport.js";

export type EngineName = "qemu" | "bochs";
export type Accel = "kvm" | "tcg" | "emulated";
/** "attach", "remote": a machine that was booted elsewhere, which has nothing to be chosen */
export type RunningName = EngineName | "attach";
export type RunningAccel = Accel | "remote";

export interface EngineOptions {
  /** bytes of the machine's RAM */
  memoryBytes: number;
  /** CPUs for guests, 1 to HostLimit.Cpus; 1 when left out. With icount QEMU has one. */
  cpus?: number;
  accel: "auto" | "kvm" | "tcg";
  /** a private folder (0700) for sockets, logs, the memory file and the store disk; removed by the caller */
  runDir: string;
  /** the boot files: build/hv.elf32 (QEMU -kernel) and build/hv.img (raw disk) */
  kernelPath: string;
  imagePath: string;
  /** QEMU: boot hv.img as a disk instead of -kernel */
  bootFrom?: "kernel" | "disk";
  /** QEMU only: -icount shift=0,sleep=off */
  icount?: boolean;
  /** in place of a line to the control plane; one CPU, and no clock or random number of the host's */
  scripted?: ScriptedFiles;
  /** further arguments or configuration lines, for tests (QEMU arguments; Bochs bochsrc lines) */
  extra?: string[];
}

/** A machine whose line is output only (protocol/store.ts): what it does depends on nothing but its files. */
export interface ScriptedFiles {
  /** the store, a script at its beginning */
  store: string;
  /** takes what the line carries */
  output: string;
}

/** The store disk: a flat file that the hypervisor reaches by ATA (Bochs). Offsets in 512-byte sectors. */
export interface Store {
  readonly sectors: number;
  write(sector: number, bytes: Uint8Array): Promise<void>;
  read(sector: number, length: number): Promise<Uint8Array>;
}

export interface RunningEngine {
  readonly name: RunningName;
  readonly accel: RunningAccel;
  /** undefined: it is no process of this machine */
  readonly pid: number | undefined;
  /** the machine is not ours to end: it goes on when this ends */
  readonly external?: boolean;
  /** the command line that was run, or what it is attached to, for `status` and bug reports */
  readonly command: string[];
  readonly transport: Transport;
  readonly memory?: MemoryWindow;
  readonly store?: Store;
  /** path of a Unix socket where the engine's own gdb stub listens, for the machine and the hypervisor on it */
  readonly gdb?: string;
  /** the last lines of the engine's own output and log */
  lastWords(): string;
  onExit(listener: (code: number | null, signal: string | null) => void): void;
  /** SIGTERM, then SIGKILL; resolves when the process is gone and its files are closed */
  stop(): Promise<void>;
}

export interface Engine {
  readonly name: EngineName;
  start(options: EngineOptions): Promise<RunningEngine>;
}
