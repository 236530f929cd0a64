// Builds the module against the headers of the very kernel that the image `linux` has. These are Debian's packages, downloaded and
// unpacked below build/, not installed: the kernel is no part of this system either. What cannot be had is told to the tests, which skip.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const output = join(here, "build");

/** for vitest, of this example and of others that try these modules */
export default function setup(project) {
  // hvkit's own folder: in it is the image.
  const hvkit = dirname(createRequire(join(project.config.root, "package.json")).resolve("hvkit/package.json"));
  const kernel = join(hvkit, "build/images/linux/vmlinuz");
  try {
    const release = releaseOf(readFileSync(kernel));
    project.provide("modules", { folder: buildModule(release, unpackHeaders(release)) });
  } catch (error) {
    const text = [error.message, String(error.stderr ?? "").trim()].filter((part) => part !== "").join("\n");
    project.provide("modules", { missing: text });
  }
}

/** "6.1.0-50-cloud-amd64" (Documentation/x86/boot.rst, kernel_version) */
function releaseOf(kernel) {
  const at = kernel.readUInt16LE(0x20e) + 0x200;
  return kernel.toString("latin1", at, kernel.indexOf(" ", at));
}

/** Where the packages' files are. */
function unpackHeaders(release) {
  const root = join(output, `headers-${release}`);
  const folder = join(root, "usr/src", `linux-headers-${release}`);
  if (existsSync(join(root, "complete"))) return folder;
  // Of 6.1.0-50-cloud-amd64: what all flavours share, and the programs of the kernel's build.
  const [, base, version] = /^((\d+\.\d+)\.\d+-\d+)-/.exec(release) ?? [];
  const packages = [`linux-headers-${release}`, `linux-headers-${base}-common`, `linux-kbuild-${version}`];
  const downloads = join(output, "downloads");
  rmSync(root, { recursive: true, force: true });
  mkdirSync(downloads, { recursive: true });
  run("apt-get", ["download", "-qq", ...packages], downloads);
  for (const name of readdirSync(downloads)) {
    if (packages.some((wanted) => name.startsWith(`${wanted}_`))) run("dpkg-deb", ["-x", name, root], downloads);
  }
  // It names the shared part by the path that it would be installed at.
  const makefile = join(folder, "Makefile");
  writeFileSync(makefile, readFileSync(makefile, "utf8").replaceAll("/usr/src/", `${root}/usr/src/`));
  writeFileSync(join(root, "complete"), "");
  return folder;
}

/** Where the modules are. */
function buildModule(release, headers) {
  const folder = join(output, `module-${release}`);
  mkdirSync(folder, { recursive: true });
  cpSync(join(here, "module"), folder, { recursive: true, preserveTimestamps: true });
  run("make", ["--silent", "-C", headers, `M=${folder}`, "modules"], here);
  return folder;
}

function run(program, words, cwd) {
  return execFileSync(program, words, { cwd, stdio: ["ignore", "ignore", "pipe"], encoding: "utf8" });
}
