// The project's folder: the one with hvkit's package.json, above this file, whether it runs from the sources or from build/js.
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { HvkitError } from "../errors.js";

export function projectRoot(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); folder !== dirname(folder); folder = dirname(folder)) {
    const path = join(folder, "package.json");
    if (existsSync(path) && (JSON.parse(readFileSync(path, "utf8")) as { name?: string }).name === "hvkit") return folder;
  }
  throw new HvkitError("E_NO_PROJECT", "hvkit's own folder cannot be found", { hint: "Run hvkit from its checkout." });
}

/** hvkit's own, of its package.json. */
export function projectVersion(): string {
  return (JSON.parse(readFileSync(join(projectRoot(), "package.json"), "utf8")) as { version: string }).version;
}
