// A machine module for a hypervisor that runs: hv/machine compiled as for the image, linked for one of the places in its memory (protocol/module.ts).
//
//   hv/machine -> asc -> wasm2c -> gcc --+--> ld, at the place's address -> module.bin
//   hv/module/header.asm ------> nasm ---+
//   build/hv.elf: the addresses of what it imports
//
// These addresses are right for every hypervisor of the same base (all sources but the machine's): what is imported is NASM's, and lies before
// the machine. The hypervisor refuses a module of another base.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { layoutOf } from "./layout.mjs";
import { locked } from "./lock.mjs";
import { assemble, baseIdentity, instancesObject, machineIdentity, writeIdentity } from "./native.mjs";
import { enumsOf } from "./protocol.mjs";
import { BuildError, root, run } from "./run.mjs";
import { files, Steps } from "./steps.mjs";
import { moduleObject } from "./wasm.mjs";

/**
 * Resolves to the module's bytes, its layout table, and its identities. The hypervisor must have been built.
 * @param address of the place
 * @param name of its folder in build/modules
 * @param edits a test's: { file, from, to } each, texts in files of hv/machine, which themselves stay as they are
 */
export function buildModule({ address, name = "live", edits = [], compile, log = () => {} }) {
  const out = `build/modules/${name}`;
  return locked(join(root, "build/lock"), log, async () => {
    const steps = new Steps("build/stamps", log);
    const source = edits.length > 0 ? copySources(`${out}/src`, edits) : "";
    const machine = () => files(`${source}hv/machine`, "");
    const before = { layout: layoutOf(source), base: baseIdentity(), identity: machineIdentity(machine()) };
    const own = edits.length > 0 ? { out, entry: `${source}hv/machine/main.ts` } : { out: "build" };
    const [object, header] = await Promise.all([
      moduleObject(steps, "machine", { ...own, native: true, compile }),
      assemble(steps, "hv/module/header.asm", { out, gen: "build/gen", after: [writeIdentity(steps, { out, machine })] }),
    ]);
    const instances = await instancesObject(steps, own.entry ? { out, homes: [`${out}/gen`, "build/gen"] } : { out: "build" });
    const bytes = await link(steps, [header, object, instances], { out, address, machine: object });
    // A file that was saved meanwhile may be in one of the two, and not in the other.
    if (baseIdentity() !== before.base || machineIdentity(machine()) !== before.identity)
      throw new BuildError("a source was saved while the machine module was built: build it again");
    return { bytes, ...before };
  });
}

/** Of the module that buildModule() would make of the sources as they are. */
export const moduleIdentity = () => machineIdentity(files("hv/machine", ""));

/** The machine's sources once more, changed, with all that they import. */
function copySources(folder, edits) {
  const texts = new Map(
    [...files("hv/machine", ".ts"), ...files("protocol", ".ts")].map((path) => [path, readFileSync(join(root, path), "utf8")]),
  );
  for (const { file, from, to } of edits) {
    const parts = texts.get(file)?.split(from) ?? [];
    if (parts.length !== 2) throw new BuildError(`${file}: the text is not there, or more than once: ${from}`);
    texts.set(file, parts.join(to));
  }
  rmSync(join(root, folder), { recursive: true, force: true });
  for (const [path, text] of texts) {
    const copy = join(root, folder, path);
    mkdirSync(dirname(copy), { recursive: true });
    writeFileSync(copy, text);
  }
  return `${folder}/`;
}

async function link(steps, objects, { out, address, machine }) {
  const script = "hv/module/module.ld";
  const [elf, binary] = [`${out}/module.elf`, `${out}/module.bin`];
  const limit = Object.fromEntries((await enumsOf("protocol/module.ts")).get("ModuleLimit"));
  const flags = "-m elf_x86_64 -nostdlib -static --gc-sections --build-id=none -z max-page-size=4096 -z noexecstack --fatal-warnings".split(
    " ",
  );
  const place = [`--defsym=MODULE_START=${address}`, `--defsym=MODULE_BYTES=${limit.Bytes}`];
  await steps.step({
    name: `link ${elf}`,
    inputs: [script, "build/hv.elf", ...objects],
    outputs: [elf, binary],
    key: [...flags, ...place].join(" "),
    async run() {
      await run("ld", [...flags, ...place, ...(await imports(machine)), "-T", script, ...objects, "-o", elf]);
      await run("objcopy", ["-S", "-O", "binary", elf, binary]);
    },
  });
  return readFileSync(join(root, binary));
}

/** What the machine imports, where the hypervisor has it. */
async function imports(object) {
  const symbols = async (path, args) => (await run("nm", [...args, path])).trim().split("\n");
  const there = new Map((await symbols("build/hv.elf", [])).map((line) => [line.slice(19), Number.parseInt(line.slice(0, 16), 16)]));
  const behind = Math.min(...[...there].filter(([name]) => /^(w2c_hv_|Z_(machine|core))/.test(name)).map(([, address]) => address));
  return (await symbols(object, ["-u", "-j"])).map((name) => {
    const address = there.get(name);
    if (address === undefined) throw new BuildError(`build/hv.elf has no ${name}, which the machine imports: build it first`);
    if (address >= behind)
      throw new BuildError(`${name} does not lie before the machine in build/hv.elf: its address is not of its base alone`);
    return `--defsym=${name}=${address}`;
  });
}
