// linux.direct: the image `linux` on the bare engine, started by bench/direct.asm in the state in which hvkit starts it as a guest, with the
// CPUID bits switched off that hvkit's guest does not have. Instructions from the kernel's first to the line of init that linux.to_init
// has; what init's /proc/stat says of halted time is subtracted.
import { spawn } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root, run } from "../run.mjs";
import { none } from "./metrics.mjs";

const SECONDS = 120;
/** ticks of /proc/stat */
const USER_HZ = 100;
const stub = join(root, "build/bench/direct");
const kernel = join(root, "build/images/linux/vmlinuz");
const initrd = join(root, "build/images/linux/initrd");

/** CPUID bits of the engine's CPU that hvkit's guest does not have (hv/machine/cpuid.ts), in the engine's spelling. */
const without = {
  qemu: "apic,mce,mtrr,mca,acpi,ss,rdtscp,monitor,svm,cr8legacy,mpx,arat,pku,la57",
};

/** Instructions, or a null with its reason; `flags`: what the guest saw, for a warning when these differ. */
export async function directLinux({ engine, accel }, { flags, note }) {
  if (accel === "kvm") return none("KVM's machines have no counter of instructions");
  const output = engine === "qemu" ? await onQemu() : await onBochs();
  const tsc = Number(/hvkit: tsc (\d+)/.exec(output)?.[1]);
  const entry = Number.parseInt(/hvkit: entry=([0-9a-f]{16})/.exec(output)?.[1], 16);
  const idle = Number(/hvkit: idle (\d+)/.exec(output)?.[1]);
  if (Number.isNaN(tsc + entry + idle)) return none(`the kernel did not come up on the bare engine: ${output.slice(-200)}`);
  const own = /hvkit: flags (.*)/.exec(output)?.[1];
  const differing = difference(own, flags);
  if (differing.length > 0) note(`linux.direct has other CPUID bits than the guest: ${differing.join(" ")}`);
  return tsc - entry - idle * (ticksPerSecond[engine] / USER_HZ);
}

/** Of the TSC: instructions a second of the engine's own clock. */
const ticksPerSecond = { qemu: 1e9, bochs: 50e6 };

function commandLine(engine) {
  const { commandLine: text } = JSON.parse(readFileSync(join(root, "images/linux/image.json"), "utf8"));
  return `${text.replaceAll("{tscKhz}", String(ticksPerSecond[engine] / 1000))} bench=1`;
}

function difference(own = "", other = "") {
  const [a, b] = [own, other].map((text) => new Set(text.trim().split(/\s+/)));
  const less = [...b].filter((flag) => !a.has(flag)).map((flag) => `-${flag}`);
  return [...a]
    .filter((flag) => !b.has(flag))
    .map((flag) => `+${flag}`)
    .concat(less);
}

function onQemu() {
  const cpu = `max,${without.qemu
    .split(",")
    .map((flag) => `-${flag}`)
    .join(",")}`;
  const machine = [
    "-nodefaults",
    "-no-user-config",
    "-display",
    "none",
    "-no-reboot",
    "-machine",
    "pc,hpet=off,accel=tcg",
    "-m",
    "128M",
    "-cpu",
    cpu,
  ];
  const clock = ["-icount", "shift=0,sleep=off", "-rtc", "base=2026-01-01T00:00:00,clock=vm"];
  const files = ["-kernel", stub, "-initrd", `${kernel},${initrd}`, "-append", commandLine("qemu")];
  return untilDone("qemu-system-x86_64", [...machine, ...clock, "-serial", "stdio", ...files]);
}

const SECTOR = 512;
/** 16 heads, 63 sectors */
const CYLINDER_BYTES = 16 * 63 * SECTOR;

/** Bochs loads no kernels: a disk with a boot sector of ours, and the files behind it. */
async function onBochs() {
  const folder = mkdtempSync(join(tmpdir(), "hvkit-direct-"));
  try {
    const path = (name) => join(folder, name);
    const files = {
      STUB: readFileSync(stub),
      COMMAND: Buffer.from(`${commandLine("bochs")}\0`),
      KERNEL: readFileSync(kernel),
      INITRD: readFileSync(initrd),
    };
    const defines = [`-DSTUB_ENTRY=${files.STUB.readUInt32LE(24)}`]; // e_entry
    let sector = 1;
    for (const [name, bytes] of Object.entries(files)) {
      const sectors = Math.ceil(bytes.length / SECTOR);
      defines.push(`-D${name}_SECTOR=${sector}`, `-D${name}_SECTORS=${sectors}`, `-D${name}_BYTES=${bytes.length}`);
      sector += sectors;
    }
    await run("nasm", ["-f", "bin", ...defines, "bench/bochs.asm", "-o", path("disk")]);
    const padded = Object.values(files).map((bytes) => Buffer.concat([bytes, Buffer.alloc(-bytes.length & (SECTOR - 1))]));
    appendFileSync(path("disk"), Buffer.concat(padded));
    const cylinders = Math.ceil((sector * SECTOR) / CYLINDER_BYTES);
    truncateSync(path("disk"), cylinders * CYLINDER_BYTES);
    writeFileSync(path("commands"), "c\n");
    // Bochs keeps back what it writes to a file: the serial line is a connection that it makes to us.
    let text = "";
    const server = createServer((socket) => socket.on("data", (bytes) => (text += bytes)).on("error", () => {}));
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    writeFileSync(path("bochsrc"), bochsConfiguration(path, cylinders, server.address().port));
    const words = await untilDone("bochs", ["-q", "-f", path("bochsrc"), "-rc", path("commands")], () => text);
    server.close();
    return words;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The CPU, its speed and the clock as control/src/engines/bochsrc.ts has them. */
function bochsConfiguration(path, cylinders, port) {
  return `${[
    "cpu: model=corei7_skylake_x, count=1, ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=1",
    "memory: guest=128, host=128",
    "clock: sync=none, time0=utc",
    "romimage: file=/usr/share/bochs/BIOS-bochs-latest, options=fastboot",
    "vgaromimage: file=/usr/share/vgabios/vgabios.bin",
    "display_library: term",
    "speaker: enabled=0, mode=none",
    "mouse: enabled=0",
    "boot: disk",
    `ata0-master: type=disk, mode=flat, path="${path("disk")}", cylinders=${cylinders}, heads=16, spt=63`,
    `com1: enabled=1, mode=socket-client, dev=127.0.0.1:${port}`,
    `log: ${path("log")}`,
    "panic: action=fatal",
    "error: action=ignore",
    "info: action=ignore",
    "debug: action=ignore",
  ].join("\n")}\n`;
}

/** The serial line's text up to init's last line; the engine is ended then, by its process. Without `serial` it is the standard output. */
async function untilDone(program, args, serial) {
  const env = { ...process.env, TERM: "vt100", LINES: "25", COLUMNS: "80" };
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env });
  let output = "";
  let words = "";
  child.stdout.on("data", (bytes) => {
    output += bytes;
  });
  child.stderr.on("data", (bytes) => {
    words += bytes;
  });
  child.on("error", (error) => {
    words += error.message;
  });
  let running = true;
  const exited = new Promise((resolve) => child.on("close", resolve)).then(() => {
    running = false;
  });
  const text = serial ?? (() => output);
  const limit = Date.now() + SECONDS * 1000;
  while (running && !/hvkit: flags .*\n/.test(text()) && Date.now() < limit) await new Promise((resolve) => setTimeout(resolve, 200));
  child.kill("SIGKILL");
  await exited;
  return text() === "" ? words : text();
}
