// QEMU: KVM where it runs hypervisors, else TCG, which emulates SVM. The serial line is an inherited socket pair, the machine's RAM an
// unlinked file that both sides map: neither has a name that another user could reach, or that could be left behind.
import { closeSync, existsSync, ftruncateSync, openSync, unlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { HvkitError } from "../errors.js";
import { FileWindow, type MemoryWindow, type WindowRun } from "../native/window.js";
import { SocketTransport } from "../transport/socket.js";
import type { Accel, Engine, EngineOptions, RunningEngine } from "./engine.js";
import { folderWithRoom, kvmRunsHypervisors, requireProgram } from "./probe.js";
import { EngineProcess } from "./process.js";

export const PROGRAM = "qemu-system-x86_64";
export const PACKAGES = "Debian and Ubuntu: qemu-system-x86; Fedora: qemu-system-x86-core; Arch: qemu-system-x86; Homebrew: qemu";
/** Descriptors that QEMU inherits. */
const SERIAL_FD = 3;
const MEMORY_FD = 4;
const GDB_SOCKET = "gdb.sock";
const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** CPU features switched off: the hypervisor would have to switch or hide their state, and its guests do not get them anyway. */
const FEATURES_OFF = ["la57", "pku"];

export class QemuEngine implements Engine {
  readonly name = "qemu";

  async start(options: EngineOptions): Promise<RunningEngine> {
    const program = requireProgram("QEMU", PROGRAM, PACKAGES);
    const accel = await chooseAccel(options.accel);
    const memoryFd = createMemoryFile(options);
    let memory: FileWindow | undefined;
    try {
      memory = new FileWindow(memoryFd, pcMemoryRuns(options.memoryBytes));
      const command = [program, ...qemuArguments(options, accel, thisHost())];
      const process = await EngineProcess.start({ command, descriptors: ["pipe", memoryFd], cwd: options.runDir });
      return new RunningQemu(process, command, accel, memory, join(options.runDir, GDB_SOCKET));
    } catch (error) {
      memory?.close();
      throw error;
    } finally {
      closeSync(memoryFd);
    }
  }
}

export interface QemuHost {
  platform: string;
  /** path of qboot.rom: firmware that comes with QEMU, and takes a third of SeaBIOS' instructions; it boots -kernel only */
  qboot: string | undefined;
}

const FIRMWARE_FOLDERS = ["/usr/share/qemu", "/usr/share/qboot", "/usr/local/share/qemu", "/opt/homebrew/share/qemu"];

export function thisHost(): QemuHost {
  return {
    platform: process.platform,
    qboot: FIRMWARE_FOLDERS.map((folder) => join(folder, "qboot.rom")).find((path) => existsSync(path)),
  };
}

/** QEMU's arguments: a pure function of the options and of what the host has. */
export function qemuArguments(options: EngineOptions, accel: Accel, host: QemuHost): string[] {
  const mebibytes = options.memoryBytes / MIB;
  if (!Number.isInteger(mebibytes) || mebibytes < 16) {
    throw new HvkitError(
      "E_MEMORY_SIZE",
      `A machine cannot have ${options.memoryBytes} bytes of memory: whole mebibytes are needed, at least 16.`,
    );
  }
  const memoryPath = host.platform === "linux" ? `/proc/self/fd/${MEMORY_FD}` : `/dev/fd/${MEMORY_FD}`;
  const { scripted } = options;
  const cpu = [accel === "kvm" ? "host" : "max", ...FEATURES_OFF.map((feature) => `-${feature}`)].join(",");
  const icount = options.icount || scripted !== undefined;
  const cpus = icount ? 1 : (options.cpus ?? 1);
  // Of several of TCG's CPUs the hypervisor leaves the first one without guests (hv/boot/cpus.asm): one more makes up for it.
  const places = accel === "tcg" && cpus > 1 ? cpus + 1 : cpus;
  const memory = ["-object", `memory-backend-file,id=ram,size=${mebibytes}M,mem-path=${memoryPath},share=on`];
  // A file always takes what is written, so that the line's pace is the machine's own.
  const line = scripted ? `file,id=link,path=${commaSafe(scripted.output)}` : `socket,id=link,fd=${SERIAL_FD}`;
  return [
    ...["-nodefaults", "-no-user-config", "-display", "none"],
    // A triple fault of the hypervisor ends QEMU: it must not start again on its own, with the guests gone.
    "-no-reboot",
    ...(scripted ? ["-machine", "pc"] : ["-machine", "pc,memory-backend=ram", ...memory]),
    ...["-m", `${mebibytes}M`],
    ...["-accel", accel],
    ...["-smp", String(places)],
    ...["-cpu", cpu],
    ...["-chardev", line],
    ...["-serial", "chardev:link"],
    ...["-device", "isa-debug-exit,iobase=0xf4"],
    // In the run folder, which is the user's alone.
    ...(scripted ? [] : ["-gdb", `unix:${GDB_SOCKET},server=on,wait=off`]),
    ...(icount ? ["-icount", "shift=0,sleep=off", "-rtc", "base=2026-01-01T00:00:00,clock=vm"] : []),
    ...(options.bootFrom === "disk"
      ? ["-drive", `file=${commaSafe(options.imagePath)},format=raw,if=ide,index=0,snapshot=on`, "-boot", "c"]
      : [...(host.qboot && !scripted ? ["-bios", host.qboot] : []), "-kernel", options.kernelPath]),
    ...(scripted ? ["-initrd", commaSafe(scripted.store)] : []), // its first multiboot module, which qboot does not load
    ...(options.extra ?? []),
  ];
}

/** Where the RAM of QEMU's `pc` lies: below 3.5 GiB in one piece; more of it is cut at 3 GiB, and goes on at 4 GiB (hw/i386/pc_piix.c). */
export function pcMemoryRuns(bytes: number): WindowRun[] {
  if (bytes < 3.5 * GIB) return [{ physical: 0, offset: 0, bytes }];
  const low = 3 * GIB;
  return [
    { physical: 0, offset: 0, bytes: low },
    { physical: 4 * GIB, offset: low, bytes: bytes - low },
  ];
}

class RunningQemu implements RunningEngine {
  readonly name = "qemu";
  readonly accel: Accel;
  readonly command: string[];
  readonly transport: SocketTransport;
  readonly memory: MemoryWindow;
  readonly #process: EngineProcess;

  constructor(
    process: EngineProcess,
    command: string[],
    accel: Accel,
    memory: MemoryWindow,
    readonly gdb: string,
  ) {
    this.#process = process;
    this.command = command;
    this.accel = accel;
    this.memory = memory;
    this.transport = new SocketTransport(process.child.stdio[SERIAL_FD] as Duplex);
  }

  get pid(): number {
    return this.#process.pid;
  }

  lastWords(): string {
    return this.#process.lastWords();
  }

  onExit(listener: (code: number | null, signal: string | null) => void): void {
    this.#process.onExit(listener);
  }

  async stop(): Promise<void> {
    await this.#process.stop();
    this.transport.close();
    this.memory.close();
  }
}

async function chooseAccel(wish: EngineOptions["accel"]): Promise<Accel> {
  if (wish === "tcg") return "tcg";
  if (await kvmRunsHypervisors()) return "kvm";
  if (wish === "auto") return "tcg";
  throw new HvkitError("E_NO_KVM", "KVM cannot run the hypervisor here: the guests of this machine's KVM get neither VMX nor SVM.", {
    hint: "`hvkit doctor` says why; `--accel tcg` works everywhere.",
  });
}

/** The machine's RAM as an open file without a name, all holes: in memory where there is room, else beside the rest. */
function createMemoryFile(options: EngineOptions): number {
  const folder = folderWithRoom(["/dev/shm", options.runDir, tmpdir()], options.memoryBytes, "the machine's memory");
  const path = join(folder, `hvkit-ram-${process.pid}-${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`);
  const fd = openSync(path, "wx+", 0o600);
  unlinkSync(path);
  ftruncateSync(fd, options.memoryBytes);
  return fd;
}

/** In QEMU's option lists a comma is written twice. */
const commaSafe = (path: string): string => path.replaceAll(",", ",,");
