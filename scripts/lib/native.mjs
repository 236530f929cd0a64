// The privileged half: NASM's objects, the link, and the boot files that come out of it.
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { elf32 } from "./elf32.mjs";
import { packImage, symbols } from "./pack.mjs";
import { BuildError, root, run } from "./run.mjs";
import { digest, files } from "./steps.mjs";
import { cFlags, homeOf } from "./wasm.mjs";

/** The limit for the whole image; a test's variant may be larger. */
const imageLimit = 96 * 1024;

/** All that the privileged half and the modules are made from; its digest is the build's identity. */
const identitySources = () => [...files("hv", ""), ...files("protocol", ".ts"), "package.json"];

/** The machine's sources, and all others: a module that was made of the same others fits. What NASM and the machine share is among the others. */
const isMachine = (path) => path.startsWith("hv/machine/") && path !== "hv/machine/layout.ts";
const short = (paths) => digest(paths).slice(0, 16);
export const baseIdentity = () => short(identitySources().filter((path) => !isMachine(path)));
export const machineIdentity = (sources = files("hv/machine", "")) => short(sources);

/** The identities for NASM: each changes with every source that matters, and with nothing else. */
export function writeIdentity(steps, { out, machine }) {
  const output = `${out}/gen/identity.inc`;
  const defines = () => ({
    HVKIT_IDENTITY: `hvkit ${short(identitySources())}`,
    HVKIT_BASE: baseIdentity(),
    HVKIT_MACHINE: machineIdentity(machine?.()),
  });
  return steps.step({
    name: `identity -> ${output}`,
    inputs: () => [...identitySources(), ...(machine?.() ?? [])],
    outputs: [output],
    run: () => {
      const lines = Object.entries(defines()).map(([name, text]) => `%define ${name} "${text}"\n`);
      writeFileSync(join(root, output), lines.join(""));
    },
  });
}

/** The NASM files that have an identity in them. */
const needIdentity = ["identity", "module_image", "header"];

/** One .asm file to an object. */
export async function assemble(steps, source, { out, gen, after, edits = [] }) {
  const object = `${out}/obj/${source.replace(/\.asm$/, ".o")}`;
  const includes = [`${out}/gen`, gen, "hv/asm", "hv/boot"];
  const changes = edits.filter(({ file }) => file === source);
  const text = changes.length > 0 ? edited(source, `${out}/gen/${source.replaceAll("/", ".")}`, changes) : source;
  const args = ["-f", "elf64", "-g", "-F", "dwarf", ...includes.flatMap((folder) => ["-I", `${folder}/`]), text, "-o", object];
  const used = needIdentity.some((name) => source.endsWith(`/${name}.asm`)) ? [`${out}/gen/identity.inc`] : [];
  await steps.step({
    name: `nasm ${source}`,
    inputs: () => [
      source,
      `${gen}/protocol.inc`,
      ...used,
      ...["hv/asm", "hv/boot"].flatMap((folder) => files(folder, ".inc", { deep: false })),
    ],
    outputs: [object],
    after,
    key: [...args, JSON.stringify(changes)].join(" "),
    run: () => run("nasm", args),
  });
  return object;
}

/** A copy of the source with some lines changed. */
function edited(source, path, changes) {
  let text = readFileSync(join(root, source), "utf8");
  for (const { from, to } of changes) {
    if (text.split(`${from}\n`).length !== 2) throw new BuildError(`${source}: the line is not there, or more than once: ${from}`);
    text = text.replace(`${from}\n`, () => `${to}\n`);
  }
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
  return path;
}

export function assembleAll(steps, folders, options) {
  const sources = folders.flatMap((folder) => files(folder, ".asm", { deep: false }));
  return Promise.all(sources.map((source) => assemble(steps, source, options)));
}

/** hv/wasm/instances.c: the sizes of the instances that NASM allocates. */
export async function instancesObject(steps, { out, entries, homes = homesOf(out, entries) }) {
  const source = "hv/wasm/instances.c";
  const object = `${out}/obj/instances.o`;
  const args = [...cFlags, ...homes.flatMap((folder) => ["-I", folder]), "-c", source, "-o", object];
  const headers = ["core.h", "machine.h"].map((header) =>
    homes.map((home) => `${home}/${header}`).find((path) => existsSync(join(root, path))),
  );
  await steps.step({
    name: `gcc ${source} -> ${object}`,
    inputs: [source, ...headers],
    outputs: [object],
    key: args.join(" "),
    run: () => run("gcc", args),
  });
  return object;
}

const homesOf = (out, entries) => ["core", "machine"].map((module) => `${homeOf(module, { out, entries })}/gen`);

/** Values of some of hv.elf's symbols. */
async function valuesOf(path, names) {
  const values = {};
  for (const line of (await run("nm", [path])).split("\n")) {
    const [value, , name] = line.split(" ");
    if (names.includes(name)) values[name] = Number.parseInt(value, 16);
  }
  const missing = names.filter((name) => values[name] === undefined);
  if (missing.length > 0) throw new BuildError(`${path} does not define ${missing.join(", ")}`);
  return values;
}

/** Links hv.elf, packs what it loads, and makes hv.elf32 (multiboot) and hv.img (disk) of that. */
export async function link(steps, objects, { out }) {
  const script = "hv/boot/hv.ld";
  const disk = files("hv/boot/disk", "");
  const packing = ["lz4", "pack", "elf32"].map((name) => `scripts/lib/${name}.mjs`);
  const path = (name) => `${out}/${name}`;
  const flags = "-m elf_x86_64 -nostdlib -static --gc-sections --build-id=none -z max-page-size=4096 -z noexecstack --fatal-warnings".split(
    " ",
  );
  const args = [...flags, "-T", script, ...objects, "-o", path("hv.elf")];
  const outputs = [path("hv.elf"), path("hv.elf32"), path("hv.img")];
  await steps.step({
    name: `link ${outputs.join(", ")}`,
    inputs: [script, "hv/boot/boot.inc", ...disk, ...packing, ...objects],
    outputs,
    key: args.join(" "),
    async run() {
      await run("ld", args);
      await run("objcopy", ["-S", "-O", "binary", path("hv.elf"), path("obj/hv.bin")]);
      const at = await valuesOf(path("hv.elf"), ["entry32", ...symbols]);
      const packed = packImage(readFileSync(join(root, path("obj/hv.bin"))), at);
      writeFileSync(join(root, path("obj/hv.packed")), packed);
      const place = { entry: at.entry32, start: at.__image_start, end: at.__image_end };
      writeFileSync(join(root, path("hv.elf32")), elf32(packed, place));
      await run("nasm", ["-f", "bin", "-I", `${out}/obj/`, "-I", "hv/boot/disk/", "hv/boot/disk/disk.asm", "-o", path("hv.img")]);
      const bytes = statSync(join(root, path("hv.img"))).size;
      if (out === "build" && bytes > imageLimit) throw new BuildError(`${path("hv.img")} has ${bytes} bytes; the limit is ${imageLimit}`);
      return `  ${path("hv.img")}: ${bytes} bytes of ${imageLimit}`;
    },
  });
}
