// Runs the tools of the build, and says what to do when one of them is missing or fails.
import { spawn } from "node:child_process";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");

/** A failure that its text explains; no stack is shown for it. */
export class BuildError extends Error {}

/** Debian's package of each tool that is not an npm package. */
const packages = { nasm: "nasm", gcc: "gcc", ld: "binutils", nm: "binutils", objcopy: "binutils", wasm2c: "wabt" };

/** Runs a command in the repository's root; resolves to what it wrote, rejects with its words. */
export function run(command, args) {
  return new Promise((done, failed) => {
    const child = spawn(command, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
    let text = "";
    child.stdout.on("data", (bytes) => (text += bytes));
    child.stderr.on("data", (bytes) => (text += bytes));
    child.on("error", (error) => {
      const cure = error.code === "ENOENT" ? `not found; on Debian: apt install ${packages[command] ?? command}` : error.message;
      failed(new BuildError(`${command}: ${cure}`));
    });
    child.on("close", (code, signal) => {
      if (code === 0) done(text);
      else failed(new BuildError(`${[command, ...args].join(" ")}\nfailed (${signal ?? `exit code ${code}`}):\n${text.trimEnd()}`));
    });
  });
}

/** Runs one of the npm packages' programs, by its path in node_modules. */
export const runNode = (script, args) => run(process.execPath, [`node_modules/${script}`, ...args]);
