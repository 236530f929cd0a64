// Bochs' configuration file, as a pure function. One policy comment for each group of lines.
import { HvkitError } from "../errors.js";
import type { SocketAddress } from "../transport/socket.js";

export interface BochsFiles {
  disk: string;
  diskSectors: number;
  storePath: string;
  store: { sectors: number };
  log: string;
}

export interface BochsSetup extends BochsFiles {
  memoryBytes: number;
  cpus: number;
  /** where the serial line connects to; or the file that takes what it carries, of a scripted machine */
  address: SocketAddress | { file: string };
  extra: readonly string[];
}

const HEADS = 16;
const SECTORS_PER_TRACK = 63;
const CYLINDER_SECTORS = HEADS * SECTORS_PER_TRACK;

/** A disk of whole cylinders with room for `sectors`. */
export function geometryFor(sectors: number): { cylinders: number; sectors: number } {
  const cylinders = Math.max(1, Math.ceil(sectors / CYLINDER_SECTORS));
  return { cylinders, sectors: cylinders * CYLINDER_SECTORS };
}

/** 2026-01-01, as -rtc of QEMU's icount has it */
const SCRIPTED_SECONDS = Date.UTC(2026, 0, 1) / 1000;

function comOf(address: BochsSetup["address"]): string {
  if ("file" in address) return `mode=file, dev=${address.file}`;
  if (!("port" in address)) throw new HvkitError("E_SOCKET", "Bochs' serial line connects by TCP only.");
  return `mode=socket-client, dev=${address.host ?? "127.0.0.1"}:${address.port}`;
}

export function bochsConfiguration(setup: BochsSetup): string {
  const mebibytes = setup.memoryBytes / 2 ** 20;
  if (!Number.isInteger(mebibytes) || mebibytes < 16 || mebibytes > 2048) {
    throw new HvkitError("E_MEMORY_SIZE", `Bochs cannot have ${setup.memoryBytes} bytes of memory: it takes 16 to 2048 whole mebibytes.`, {
      hint: "For example `hvkit up --engine bochs --memory 1G`.",
    });
  }
  for (const path of [setup.disk, setup.storePath, setup.log, ...("file" in setup.address ? [setup.address.file] : [])]) {
    if (/[",\n]/.test(path)) throw new HvkitError("E_PATH", `Bochs cannot read this path, for its quote, comma or line break: ${path}`);
  }
  const scripted = "file" in setup.address;
  const disk = (path: string, sectors: number): string =>
    `type=disk, mode=flat, path="${path}", cylinders=${geometryFor(sectors).cylinders}, heads=${HEADS}, spt=${SECTORS_PER_TRACK}`;

  return `${[
    "# An Intel with VMX, EPT, unrestricted guest and VPID. 50 million instructions a second is about what Bochs does, for all CPUs",
    "# together: they take turns of `quantum` instructions, and idle ones too use up their turns.",
    `cpu: model=corei7_skylake_x, count=${setup.cpus}, quantum=32, ips=${Math.floor(50e6 / setup.cpus)}, reset_on_triple_fault=0, ignore_bad_msrs=1`,
    `memory: guest=${mebibytes}, host=${mebibytes}`,
    `clock: sync=none, time0=${scripted ? SCRIPTED_SECONDS : "utc"}`,
    "# No wait for a key at boot; no window, no network port: the screen goes to a terminal that is not there.",
    "romimage: file=/usr/share/bochs/BIOS-bochs-latest, options=fastboot",
    "vgaromimage: file=/usr/share/vgabios/vgabios.bin",
    "display_library: term",
    "speaker: enabled=0, mode=none",
    "mouse: enabled=0",
    "# hv.img boots; the slave is the store disk, through which files reach the hypervisor.",
    "boot: disk",
    `ata0-master: ${disk(setup.disk, setup.diskSectors)}`,
    `ata0-slave: ${disk(setup.storePath, setup.store.sectors)}`,
    "# COM1 is the link: Bochs connects to us.",
    `com1: enabled=1, ${comOf(setup.address)}`,
    "# What Bochs finds wrong goes to the log; nobody is there to be asked.",
    `log: "${setup.log}"`,
    "panic: action=fatal",
    "error: action=report",
    "info: action=ignore",
    "debug: action=ignore",
    ...setup.extra,
  ].join("\n")}\n`;
}
