// What doctor knows of a machine, recorded as plain values: the judgements (checks.ts, choice.ts) are functions of it alone, and are
// tested on machines that were recorded elsewhere. Collected here; kvm.ts asks the kernel's KVM itself.
import { execFile } from "node:child_process";
import { accessSync, constants, existsSync, readdirSync, readFileSync } from "node:fs";
import { arch, cpus, freemem, platform, release, tmpdir, totalmem } from "node:os";
import { delimiter, join } from "node:path";
import type { KvmFacts } from "../native/kvm.js";

export interface ToolFacts {
  path: string;
  version: string | null;
}

export interface Facts {
  /** os.platform() and os.arch(): "linux", "darwin"; "x64", "arm64" */
  platform: string;
  arch: string;
  release: string;
  cpu: {
    model: string;
    /** "GenuineIntel", "AuthenticAMD", ...; null where /proc/cpuinfo does not say */
    vendor: string | null;
    /** of the flags that matter here: those that are set */
    flags: string[];
    count: number;
  };
  /** DMI's product, for a virtual machine often its hypervisor's name */
  product: string | null;
  /** null: not Linux */
  kvm: KvmFacts | null;
  /** module parameter `nested`, where the module is loaded */
  nested: { kvm_intel: string | null; kvm_amd: string | null };
  /** loaded kernel modules of hypervisors: kvm, kvm_intel, kvm_amd, vboxdrv, vmmon */
  modules: string[];
  /** the user may do anything */
  root: boolean;
  memory: { totalBytes: number; availableBytes: number };
  /** serial lines with a device behind them; usable: this user may open it */
  serial: { path: string; usable: boolean }[];
  engines: {
    qemu: ToolFacts | null;
    /** vmx: it has the CPU model with VMX that hvkit uses; bios, vgaBios: its ROMs are there */
    bochs: (ToolFacts & { vmx: boolean; bios: boolean; vgaBios: boolean }) | null;
  };
  node: string;
}

const FLAGS = ["vmx", "svm", "hypervisor", "ept", "unrestricted_guest", "vpid", "npt", "nrip_save"];
const MODULES = ["kvm", "kvm_intel", "kvm_amd", "vboxdrv", "vmmon"];
const BOCHS_CPU = "corei7_skylake_x";
const BOCHS_BIOS = "/usr/share/bochs/BIOS-bochs-latest";
const BOCHS_VGA = "/usr/share/vgabios/vgabios.bin";

export async function collectFacts(): Promise<Facts> {
  const linux = platform() === "linux";
  const cpuinfo = linux ? read("/proc/cpuinfo") : null;
  const flags = (field(cpuinfo, "flags") ?? "").split(" ").concat((field(cpuinfo, "vmx flags") ?? "").split(" "));
  const modules = (linux ? read("/proc/modules") : null)?.split("\n").map((line) => line.split(" ")[0]) ?? [];
  const [qemu, bochs] = await Promise.all([qemuFacts(), bochsFacts()]);
  return {
    platform: platform(),
    arch: arch(),
    release: release(),
    cpu: {
      model: cpus()[0]?.model.trim() ?? "unknown",
      vendor: field(cpuinfo, "vendor_id") ?? null,
      flags: FLAGS.filter((flag) => flags.includes(flag)),
      count: cpus().length,
    },
    product: read("/sys/class/dmi/id/product_name")?.trim() ?? null,
    kvm: linux ? (await import("../native/kvm.js")).probeKvm() : null,
    nested: { kvm_intel: parameter("kvm_intel"), kvm_amd: parameter("kvm_amd") },
    modules: MODULES.filter((name) => modules.includes(name) || existsSync(`/sys/module/${name}`)),
    root: process.getuid?.() === 0,
    memory: { totalBytes: totalmem(), availableBytes: availableMemory() },
    serial: serialLines().map((path) => ({ path, usable: allows(path, constants.R_OK | constants.W_OK) })),
    engines: { qemu, bochs },
    node: process.versions.node,
  };
}

async function bochsFacts(): Promise<Facts["engines"]["bochs"]> {
  const path = find("bochs");
  if (path === undefined) return null;
  // It has no option for its version: a configuration that is not there makes it print its banner and end.
  const [banner, models] = await Promise.all([output(path, ["-q", "-f", "/nonexistent"]), output(path, ["--help", "cpu"])]);
  return {
    path,
    version: /Bochs x86 Emulator (\S+)/.exec(banner)?.[1] ?? null,
    vmx: models.split(/\s+/).includes(BOCHS_CPU),
    bios: existsSync(BOCHS_BIOS),
    vgaBios: existsSync(BOCHS_VGA),
  };
}

async function qemuFacts(): Promise<ToolFacts | null> {
  const path = find("qemu-system-x86_64");
  if (path === undefined) return null;
  return { path, version: /version (\S+)/.exec(await output(path, ["--version"]))?.[1] ?? null };
}

function find(name: string): string | undefined {
  return (process.env.PATH ?? "")
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

function output(path: string, args: string[]): Promise<string> {
  return new Promise((resolve) => {
    const child = execFile(path, args, { timeout: 5000, encoding: "utf8", cwd: tmpdir() }, (_error, stdout, stderr) =>
      resolve(stdout + stderr),
    );
    child.stdin?.end();
  });
}

/** Linux has a node for each ttyS that there could be: its type is 0 where there is no UART. */
function serialLines(): string[] {
  if (platform() === "linux") {
    const names = list("/sys/class/tty").filter((name) => /^tty(S|USB|ACM|AMA)\d+$/.test(name));
    return names
      .filter((name) => !name.startsWith("ttyS") || read(`/sys/class/tty/${name}/type`)?.trim() !== "0")
      .map((name) => `/dev/${name}`);
  }
  return list("/dev")
    .filter((name) => /^cu\.(usb|wch)/.test(name))
    .map((name) => `/dev/${name}`);
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

const isExecutable = (path: string): boolean => allows(path, constants.X_OK);

function allows(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}

function parameter(module: string): string | null {
  return read(`/sys/module/${module}/parameters/nested`)?.trim() ?? null;
}

function availableMemory(): number {
  const match = /^MemAvailable:\s+(\d+) kB/m.exec(read("/proc/meminfo") ?? "");
  return match ? Number(match[1]) * 1024 : freemem();
}

function field(cpuinfo: string | null, name: string): string | undefined {
  return new RegExp(`^${name}\\s*:\\s*(.*)$`, "m").exec(cpuinfo ?? "")?.[1];
}

function read(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
