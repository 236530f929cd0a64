// The npm packages: `npm ci`, when what is in node_modules is not what the lock file says.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./report.mjs";

export async function installModules(root, progress) {
  if (modulesMatch(root)) return "as the lock file says";
  progress("npm ci");
  await run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], { cwd: root, onLine: progress });
  return "installed";
}

/** npm keeps what it installed in node_modules/.package-lock.json; optional packages may be for another system. */
export function modulesMatch(root) {
  const installedPath = join(root, "node_modules/.package-lock.json");
  if (!existsSync(installedPath)) return false;
  const read = (path) => JSON.parse(readFileSync(path, "utf8")).packages;
  const installed = read(installedPath);
  return Object.entries(read(join(root, "package-lock.json"))).every(
    ([name, { version, optional }]) => name === "" || optional || (installed[name]?.version === version && existsSync(join(root, name))),
  );
}
