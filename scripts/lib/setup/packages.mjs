// The programs that hvkit needs and their packages: installed by apt where it is there, named for other systems where it is not.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { run, StepFailed } from "./report.mjs";

/** what it is for, Debian's packages, and the names of Homebrew, dnf and pacman ("-": not there, and what it is missed for) */
export const NEEDS = [
  {
    what: "QEMU (runs the hypervisor: AMD SVM)",
    apt: ["qemu-system-x86"],
    brew: "qemu",
    dnf: "qemu-system-x86-core",
    pacman: "qemu-system-x86",
  },
  {
    what: "Bochs (runs the hypervisor: Intel VMX)",
    apt: ["bochs", "bochs-term", "bochsbios", "vgabios"],
    brew: "bochs",
    dnf: "bochs bochs-bios vgabios",
    pacman: "bochs (AUR)",
  },
  { what: "NASM (assembler)", apt: ["nasm"], brew: "nasm", dnf: "nasm", pacman: "nasm" },
  { what: "wabt (wasm2c)", apt: ["wabt"], brew: "wabt", dnf: "wabt", pacman: "wabt" },
  {
    what: "GCC and binutils for x86-64 ELF",
    apt: ["gcc", "libc6-dev", "binutils"],
    brew: "x86_64-elf-gcc x86_64-elf-binutils",
    dnf: "gcc binutils",
    pacman: "gcc binutils",
  },
  { what: "gdb (debugs guests; opens what `hvkit dump` writes)", apt: ["gdb"], brew: "x86_64-elf-gdb", dnf: "gdb", pacman: "gdb" },
  {
    what: "GRUB, xorriso, mtools (tests of booting)",
    apt: ["grub-pc-bin", "grub-common", "xorriso", "mtools"],
    brew: "i686-elf-grub xorriso mtools",
    dnf: "grub2-pc-modules grub2-tools-extra xorriso mtools",
    pacman: "grub libisoburn mtools",
  },
  // Without apt it is a file to bring (scripts/lib/images/linux.mjs): Homebrew has none.
  { what: "busybox, static (the Linux guest's user space)", apt: ["busybox-static"], brew: "-", dnf: "busybox", pacman: "busybox" },
  { what: "cpio", apt: ["cpio"], brew: "cpio", dnf: "cpio", pacman: "cpio" },
];

const DEBIAN = NEEDS.flatMap(({ apt }) => apt);
/** the package with the Linux guest's kernel: it is taken apart, not installed (scripts/images.mjs) */
const KERNEL = "linux-image-cloud-amd64";

/** Resolves to what was done. Throws a list of what to install where there is no apt. */
export async function installPackages(root, progress) {
  if (!existsSync("/usr/bin/apt-get")) {
    const missing = missingPrograms();
    if (missing.length === 0) return "all programs are there";
    throw new StepFailed(packageList(missing));
  }
  const missing = await missingPackages();
  const needsKernel = !existsSync(join(root, "build/images/linux/vmlinuz"));
  const wanted = [...missing, ...(needsKernel ? [KERNEL] : [])];
  if (wanted.length === 0) return "all installed";
  const install = ["install", "-y", "--no-install-recommends", ...missing];
  const apt = (args) => aptGet(args, { progress, byHand: missing.length > 0 ? [["update"], install] : [["update"]] });
  if (!(await knows(wanted))) await apt(["update"]);
  if (missing.length === 0) return "all installed";
  progress(`installing ${missing.join(" ")}`);
  try {
    await apt(install);
  } catch {
    // The lists may be older than what the mirror has.
    await apt(["update"]);
    await apt(install);
  }
  return `installed ${missing.length} package${missing.length === 1 ? "" : "s"}`;
}

async function missingPackages() {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg's own form. It fails when one package is unknown, and lists the others.
  const status = await run("dpkg-query", ["-W", "-f", "${Package} ${db:Status-Status}\\n", ...DEBIAN], { check: false });
  const installed = new Set(status.split("\n").flatMap((line) => (line.endsWith(" installed") ? [line.split(" ")[0]] : [])));
  return DEBIAN.filter((name) => !installed.has(name));
}

/** apt has a candidate for each of them. */
async function knows(packages) {
  const text = await run("apt-cache", ["policy", ...packages], { env: { LC_ALL: "C" } }).catch(() => "");
  const candidates = text.split("\n").filter((line) => /^\s+Candidate: (?!\(none\))/.test(line));
  return candidates.length >= packages.length;
}

/** As root, or by sudo. `byHand`: what to say where neither goes. */
async function aptGet(args, { progress, byHand }) {
  // A fresh machine may be busy with updates of its own: wait for these.
  const options = ["-q", "-o", "Dpkg::Use-Pty=0", "-o", "DPkg::Lock::Timeout=300", ...args];
  const env = { DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C" };
  if (process.getuid() === 0) return run("apt-get", options, { env, onLine: progress });
  // Without a terminal nobody can type a password: sudo says so at once.
  const ask = process.stdin.isTTY ? [] : ["-n"];
  const sudo = existsSync("/usr/bin/sudo") && (await allowed(ask));
  if (!sudo) {
    const commands = byHand.map((each) => `  apt-get ${each.join(" ")}`).join("\n");
    throw new StepFailed(`apt has work to do, and neither root nor sudo is at hand to do it. As root:\n${commands}`);
  }
  return run("sudo", [...ask, "env", ...Object.entries(env).map(([name, value]) => `${name}=${value}`), "apt-get", ...options], {
    onLine: progress,
    input: "inherit",
  });
}

/** Asks for the password where one is needed; the terminal is sudo's meanwhile. */
async function allowed(ask) {
  return run("sudo", [...ask, "true"], { input: "inherit" }).then(
    () => true,
    () => false,
  );
}

const PROGRAMS = [
  ["qemu-system-x86_64"],
  ["bochs"],
  ["nasm"],
  ["wasm2c"],
  ["gcc", "x86_64-elf-gcc"],
  ["gdb", "x86_64-elf-gdb"],
  ["grub-mkrescue", "grub2-mkrescue", "i686-elf-grub-mkrescue"],
  ["busybox"],
  ["cpio"],
];

function missingPrograms() {
  const folders = (process.env.PATH ?? "").split(":");
  const there = (names) => names.some((name) => folders.some((folder) => existsSync(join(folder, name))));
  const offered = ({ brew }) => process.platform !== "darwin" || brew !== "-";
  return NEEDS.filter((need, index) => offered(need) && !there(PROGRAMS[index]));
}

export function packageList(needs) {
  const rows = [
    ["", "Homebrew", "dnf", "pacman", "apt"],
    ...needs.map(({ what, brew, dnf, pacman, apt: debian }) => [what, brew, dnf, pacman, debian.join(" ")]),
  ];
  const widths = rows[0].map((_cell, column) => Math.max(...rows.map((row) => row[column].length)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]))
      .join("  ")
      .trimEnd(),
  );
  return [`apt is not on this system${systemName()}. Install these, and start again:`, "", ...lines].join("\n");
}

function systemName() {
  if (process.platform === "darwin") return " (macOS)";
  const name = existsSync("/etc/os-release") ? /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] : undefined;
  return name ? ` (${name})` : "";
}
