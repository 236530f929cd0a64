// Where the tokens of this user's bridges lie, by port: the bridge writes one, and `up --attach` to this machine finds it.
import { rmdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { checkRuntimeFolder, makeRuntimeFolder, runtimePaths } from "../api/paths.js";

/** Beside the daemon's, which is emptied at each start. */
const folder = (): string => `${runtimePaths().folder}-bridge`;

const file = (port: number): string => join(folder(), `${port}.token`);

/** The path, in a folder that is made, and this user's alone. */
export function makeTokenPath(port: number): string {
  makeRuntimeFolder(folder());
  return file(port);
}

/** Undefined: this user has had no bridge here. */
export function tokenPath(port: number): string | undefined {
  return checkRuntimeFolder(folder()) ? file(port) : undefined;
}

/** The process whose it is: staletokens.ts. */
export const markBeside = (path: string): string => `${path}.json`;

/** The bridge has ended: its token opens nothing any more. */
export function dropToken(path: string): void {
  rmSync(path, { force: true });
  if (dirname(path) !== folder()) return;
  rmSync(markBeside(path), { force: true });
  try {
    rmdirSync(folder());
  } catch {
    // Other bridges have theirs in it.
  }
}
