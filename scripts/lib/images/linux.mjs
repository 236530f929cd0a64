// The image `linux`: the kernel of Debian's cloud package, and an initramfs of busybox-static, images/linux/init and four programs
// of ours. Stands between the packages (debian.mjs) and the archive (cpio.mjs).
import { chmodSync, copyFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeProtocol } from "../protocol.mjs";
import { BuildError, root, run } from "../run.mjs";
import { writeArchive } from "./cpio.mjs";
import { hasApt, metaPackage, packageFile, unpack } from "./debian.mjs";

const source = "images/linux";
const programs = ["tsc", "poweroff", "generation", "agent"];

/** The numbers that the agent shares with the control plane. */
const agentNumbers = { source: "protocol/agent.ts", folder: "build/gen/agent", output: "build/gen/agent/agent.inc" };

/** Applets that init needs before busybox installs them all. */
const applets = ["sh", "mount", "uname", "sha256sum"];

export async function linuxSteps(steps, to) {
  const busybox = `${to}/busybox`;
  await steps.step({
    name: `${agentNumbers.source} -> ${agentNumbers.output}`,
    inputs: [agentNumbers.source, "scripts/lib/protocol.mjs"],
    outputs: [agentNumbers.output],
    run: () => writeProtocol(agentNumbers.output, [agentNumbers.source]),
  });
  await Promise.all([
    steps.step({
      name: "Debian's cloud kernel",
      inputs: [],
      outputs: [`${to}/vmlinuz`],
      async run() {
        if (!hasApt) return brought(`${to}/vmlinuz`, "a Linux kernel (bzImage)");
        const deb = await metaPackage("linux-image-cloud-amd64", "linux-image-[0-9.-]+-cloud-amd64");
        await unpack(deb, "./boot/vmlinuz-*", `${to}/vmlinuz`);
        return `  from ${deb}`;
      },
    }),
    steps.step({ name: "busybox", inputs: [], outputs: [busybox], run: () => copyBusybox(busybox) }),
    ...programs.map((program) =>
      steps.step({
        name: `nasm ${source}/${program}.asm`,
        inputs: [
          `${source}/${program}.asm`,
          `${source}/elf64.inc`,
          `${source}/decimal.inc`,
          ...(program === "agent" ? [...agentParts(), agentNumbers.output] : []),
        ],
        outputs: [`${to}/${program}`],
        run: async () => {
          const include = ["-I", `${source}/`, "-I", `${source}/agent/`, "-I", `${agentNumbers.folder}/`];
          await run("nasm", ["-f", "bin", ...include, "-o", `${to}/${program}`, `${source}/${program}.asm`]);
          chmodSync(join(root, to, program), 0o755);
        },
      }),
    ),
  ]);
  const parts = [`${source}/init`, `${source}/profile`, busybox, ...programs.map((program) => `${to}/${program}`)];
  await steps.step({
    name: "initramfs",
    inputs: [...parts, "scripts/lib/images/cpio.mjs", "scripts/lib/images/linux.mjs"],
    outputs: [`${to}/initrd`],
    run: () => writeFileSync(join(root, to, "initrd"), writeArchive(members(to))),
  });
}

/** What agent.asm includes. */
function agentParts() {
  return readdirSync(join(root, source, "agent")).map((name) => `${source}/agent/${name}`);
}

/** Where there is no apt, these files are the user's to bring, once. */
function brought(path, what) {
  if (existsSync(join(root, path))) return `  ${path} as it is`;
  throw new BuildError(
    `the image 'linux' is made of Debian's packages, and apt is not on this system: put ${what} at ${path}, and start again`,
  );
}

/** The installed one of the package busybox-static, else one out of a downloaded package. */
async function copyBusybox(output) {
  if (!hasApt) return brought(output, "a static busybox for x86-64");
  const listed = await run("dpkg-query", ["-L", "busybox-static"]).catch(() => "");
  const installed = listed.split("\n").find((path) => path.endsWith("/busybox") && path.includes("/bin/") && existsSync(path));
  if (installed) copyFileSync(installed, join(root, output));
  else await unpack(await packageFile("busybox-static"), "*bin/busybox", output);
  chmodSync(join(root, output), 0o755);
}

function members(to) {
  const read = (path) => readFileSync(join(root, path));
  return [
    ...["add", "bin", "dev", "etc", "proc", "root", "sys", "tmp"].map((path) => ({ path, kind: "folder" })),
    // The kernel opens it for init before anything is mounted.
    { path: "dev/console", kind: "device", major: 5, minor: 1 },
    { path: "bin/busybox", kind: "file", mode: 0o755, data: read(`${to}/busybox`) },
    ...programs.map((name) => ({ path: `bin/${name}`, kind: "file", mode: 0o755, data: read(`${to}/${name}`) })),
    ...applets.map((name) => ({ path: `bin/${name}`, kind: "link", target: "busybox" })),
    { path: "etc/profile", kind: "file", mode: 0o644, data: read(`${source}/profile`) },
    { path: "init", kind: "file", mode: 0o755, data: read(`${source}/init`) },
  ];
}
