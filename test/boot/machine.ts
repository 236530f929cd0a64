// Boots a file of build/boot headless, to its end, with COM1 in a file: what the boot tests look at. Not the product's engines: those
// speak the link, which is not there yet when hv/boot runs.
import { spawn } from "node:child_process";
import { closeSync, copyFileSync, ftruncateSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

export const built = resolve(import.meta.dirname, "../../build/boot");

export interface Ended {
  /** the engine's exit code; undefined when it had to be stopped */
  code: number | undefined;
  /** the text lines on COM1, without the 00h bytes around them */
  lines: string[];
}

export const bytesMiB = 1 << 20;

/** A private folder for the length of `use`. */
export async function inFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "hvkit-boot-"));
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function run(command: string, args: string[], cwd: string, limitMs = 30_000): Promise<number | undefined> {
  return new Promise((done, failed) => {
    // No pipe to its input: Bochs' debugger would wait for it.
    const child = spawn(command, args, { cwd, stdio: "ignore", timeout: limitMs, killSignal: "SIGKILL" });
    child.on("error", failed);
    child.on("close", (code) => done(code ?? undefined));
  });
}

/** Text between 00h bytes, as lines. */
function linesOf(path: string): string[] {
  return readFileSync(path, "latin1")
    .replaceAll("\0", "")
    .split("\r\n")
    .filter((line) => line !== "");
}

/** The built disk, padded as a disk of a stated size is. */
export function disk(folder: string, bytes: number, image = join(built, "hv.img")): string {
  const path = join(folder, "disk.img");
  copyFileSync(image, path);
  const file = openSync(path, "r+");
  ftruncateSync(file, bytes);
  closeSync(file);
  return path;
}

/** `limitMs`: how long it may run; a machine that halts for good needs one. */
export function qemu(args: string[], cpu = "max", limitMs?: number): Promise<Ended> {
  return inFolder(async (folder) => {
    const serial = join(folder, "serial");
    const machine = ["-machine", "pc", "-cpu", cpu, "-accel", "tcg", "-nodefaults", "-display", "none", "-no-reboot"];
    const ports = ["-serial", `file:${serial}`, "-device", "isa-debug-exit,iobase=0xf4"];
    const code = await run("qemu-system-x86_64", [...machine, ...ports, ...args], folder, limitMs);
    return { code, lines: linesOf(serial) };
  });
}

export function bochs(model: string, image?: string): Promise<Ended> {
  return inFolder(async (folder) => {
    // 20 cylinders of 16 heads and 63 sectors: Bochs wants whole ones.
    const path = disk(folder, 20 * 16 * 63 * 512, image);
    writeFileSync(
      join(folder, "bochsrc"),
      [
        'display_library: rfb, options="timeout=0"',
        "romimage: file=/usr/share/bochs/BIOS-bochs-latest",
        "vgaromimage: file=/usr/share/vgabios/vgabios.bin",
        `cpu: model=${model}, ips=50000000`,
        "memory: guest=64, host=64",
        "ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14",
        `ata0-master: type=disk, path=${path}, mode=flat`,
        "boot: disk",
        `com1: enabled=1, mode=file, dev=${join(folder, "serial")}`,
        `log: ${join(folder, "log")}`,
        "panic: action=fatal",
      ].join("\n"),
    );
    // Debian's Bochs starts in its debugger; `c` lets it go. Not /usr/bin/bochs, a wrapper that a kill would end alone.
    writeFileSync(join(folder, "go"), "c\n");
    const code = await run("bochs-bin", ["-q", "-f", "bochsrc", "-rc", "go"], folder);
    return { code, lines: linesOf(join(folder, "serial")) };
  });
}

/** A GRUB rescue CD that starts a kernel file by multiboot2. */
export async function grubDisc(folder: string, kernel = join(built, "hv.elf32")): Promise<string> {
  const grub = join(folder, "disc/boot/grub");
  mkdirSync(grub, { recursive: true });
  copyFileSync(kernel, join(folder, "disc/boot/hv.elf32"));
  writeFileSync(join(grub, "grub.cfg"), "set timeout=0\nmenuentry hvkit {\n  multiboot2 /boot/hv.elf32\n}\n");
  const path = join(folder, "grub.iso");
  const small = ["--locales=", "--fonts=", "--themes="];
  if ((await run("grub-mkrescue", ["-o", path, ...small, join(folder, "disc")], folder)) !== 0) throw new Error("grub-mkrescue failed");
  return path;
}
