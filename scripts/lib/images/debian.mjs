// Packages of Debian, downloaded and unpacked in build/downloads without being installed. What is there is not downloaded again:
// remove the folder to get newer ones.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { BuildError, root, run } from "../run.mjs";

const folder = "build/downloads";

export const hasApt = existsSync("/usr/bin/apt-get");

/** The package's .deb below build/downloads, if one is there. `name` may be a regular expression's source. */
function downloaded(name) {
  if (!existsSync(join(root, folder))) return undefined;
  const pattern = new RegExp(`^${name}_[^_]+_[^_]+\\.deb$`);
  const found = readdirSync(join(root, folder)).filter((file) => pattern.test(file));
  return found.length > 0 ? `${folder}/${found.sort().at(-1)}` : undefined;
}

/** Path of the package's .deb. apt checks its digest against the signed index. */
async function download(name) {
  mkdirSync(join(root, folder), { recursive: true });
  // In a folder of its own first: an interrupted download leaves nothing that looks like a package.
  const part = mkdtempSync(join(root, folder, "part-"));
  try {
    await run("sh", ["-c", 'cd "$1" && exec apt-get download -qq "$2"', "sh", part, name]);
    const [file] = readdirSync(part).filter((entry) => entry.endsWith(".deb"));
    if (!file) throw new BuildError(`apt-get download ${name} left no package`);
    renameSync(join(part, file), join(root, folder, file));
    return `${folder}/${file}`;
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    throw new BuildError(
      `${error.message}\nDebian's package ${name} is needed once, for the image 'linux': run \`apt-get update\` and try again online.`,
    );
  } finally {
    rmSync(part, { recursive: true, force: true });
  }
}

/** The candidate version's dependencies of a package, as apt has them. */
async function dependencies(name) {
  const text = await run("apt-cache", ["show", "--no-all-versions", name]);
  const line = text.split("\n").find((row) => row.startsWith("Depends:"));
  return (line ?? "")
    .replace("Depends:", "")
    .split(/[,|]/)
    .map((part) => part.trim().split(" ")[0]);
}

/** The .deb that a meta package stands for: its one dependency that matches `pattern`. */
export async function metaPackage(meta, pattern) {
  const have = downloaded(pattern);
  if (have) return have;
  const name = (await dependencies(meta)).find((dependency) => new RegExp(`^${pattern}$`).test(dependency));
  if (!name) throw new BuildError(`apt knows no dependency ${pattern} of ${meta}: run \`apt-get update\``);
  return download(name);
}

export async function packageFile(name) {
  return downloaded(name) ?? (await download(name));
}

/** Writes the package's one file that matches `pattern` (tar's wildcards) to `output`. */
export async function unpack(deb, pattern, output) {
  const script = 'dpkg-deb --fsys-tarfile "$1" | tar -xO --wildcards "$2" > "$3"';
  await run("sh", ["-c", script, "sh", deb, pattern, output]);
}
