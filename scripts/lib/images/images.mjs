// The images as incremental steps: a folder with image.json and NAME.asm is a guest of ours, `linux` has steps of its own.
// The manifest is copied beside the files, so that the folder can be run by its path too.
import { copyFileSync, existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { locked } from "../lock.mjs";
import { BuildError, root, run } from "../run.mjs";
import { files, Steps } from "../steps.mjs";
import { linuxSteps } from "./linux.mjs";

/** Where images are, and where they are made. */
const collections = [
  { from: "images", to: "build/images" },
  { from: "test/guests", to: "build/test/guests" },
  { from: "bench", to: "build/bench" },
];

const includes = "images/lib";

/** One NASM source to a flat file; ELF headers, where they are wanted, are in the source. */
export function flatStep(steps, source, output) {
  const own = source.slice(0, source.lastIndexOf("/"));
  const args = ["-f", "bin", "-I", `${includes}/`, "-I", `${own}/`, "-o", output, source];
  return steps.step({
    name: `nasm ${source}`,
    inputs: () => [source, ...files(includes, ".inc"), ...files(own, ".inc")],
    outputs: [output],
    key: args.join(" "),
    run: () => run("nasm", args),
  });
}

function manifestStep(steps, { name, from, to }) {
  const source = `${from}/${name}/image.json`;
  const output = `${to}/${name}/image.json`;
  return steps.step({
    name: `manifest ${source}`,
    inputs: [source],
    outputs: [output],
    run: () => copyFileSync(join(root, source), join(root, output)),
  });
}

function imageSteps(steps, image) {
  const { name, from, to } = image;
  const source = `${from}/${name}/${name}.asm`;
  const made = existsSync(join(root, source)) ? [flatStep(steps, source, `${to}/${name}/${name}`)] : [];
  if (from === "images" && name === "linux") made.push(linuxSteps(steps, `${to}/${name}`));
  return [manifestStep(steps, image), ...made];
}

/** Every folder with a manifest. */
function imagesOf({ from, to }) {
  const at = join(root, from);
  if (!existsSync(at)) return [];
  const names = readdirSync(at).filter((name) => existsSync(join(at, name, "image.json")));
  return names.map((name) => ({ name, from, to }));
}

/** Brings the images up to date; `only` are names. Throws BuildError. Resolves to the number of steps that had to run. */
export function buildImages({ only = [], log = () => {} } = {}) {
  const all = collections.flatMap(imagesOf);
  const unknown = only.filter((name) => !all.some((image) => image.name === name));
  if (unknown.length > 0) throw new BuildError(`no image ${unknown.join(", ")}; there are ${all.map(({ name }) => name).join(", ")}`);
  const chosen = all.filter(({ name }) => only.length === 0 || only.includes(name));
  return locked(join(root, "build/images.lock"), log, async () => {
    const steps = new Steps("build/stamps/images", log);
    const flat = only.length === 0 ? [flatStep(steps, "bench/direct.asm", "build/bench/direct")] : [];
    const settled = await Promise.allSettled([...chosen.flatMap((image) => imageSteps(steps, image)), ...flat]);
    const failure = settled.find(({ status }) => status === "rejected");
    if (failure) throw failure.reason;
    return steps.ran;
  });
}
