// Tokens of bridges that were killed: they open nothing, and the next bridge removes them. Beside each token lies a mark of the process whose it
// is, written before it.
import { readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { readMark, writeMark } from "../daemon/lock.js";
import { isAlive } from "../native/process.js";
import { markBeside } from "./tokenfile.js";

const TOKEN = /^\d+\.token$/;

/** This process is the one that writes the token there. */
export function claimToken(path: string): void {
  writeMark(markBeside(path), process.pid);
}

/** In the folder of this token; other bridges' stay. */
export function dropStaleTokens(path: string): void {
  const folder = dirname(path);
  for (const name of readdirSync(folder)) {
    const token = join(folder, name);
    if (!TOKEN.test(name) || token === path) continue;
    const mark = readMark(markBeside(token));
    if (mark && isAlive(mark)) continue;
    rmSync(token, { force: true });
    rmSync(markBeside(token), { force: true });
  }
}
