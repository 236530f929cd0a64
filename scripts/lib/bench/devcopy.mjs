// A copy of the checkout, built, that `hvkit dev` can run in: for what saves sources, which must not be one's own.
import { spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { root } from "../run.mjs";

const COPIED = ["package.json", "tsconfig.json", "hv", "protocol", "images", "bench", "test/guests", "control", "scripts", "build"];
/** not sources, and large */
const LEFT_OUT = ["build/hostile", "build/boot", "build/lock", "build/images.lock"].map((path) => join(root, path));

export class DevCopy {
  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), "hvkit-dev-"));
    this.root = join(this.folder, "tree");
    for (const name of COPIED) {
      cpSync(join(root, name), join(this.root, name), {
        recursive: true,
        preserveTimestamps: true,
        filter: (path) => !LEFT_OUT.includes(path),
      });
    }
    symlinkSync(join(root, "node_modules"), join(this.root, "node_modules"));
    mkdirSync(join(this.folder, "run"), { mode: 0o700 });
    this.main = join(this.root, "build/js/control/src/cli/main.js");
    this.env = { ...process.env, XDG_RUNTIME_DIR: join(this.folder, "run"), NO_COLOR: "1" };
  }

  path(name) {
    return join(this.root, name);
  }

  /** `hvkit dev --json` with arguments. */
  start(args) {
    this.child = spawn(process.execPath, [this.main, "dev", "--json", ...args], { env: this.env, stdio: ["ignore", "pipe", "pipe"] });
    this.ended = new Promise((resolve) => this.child.on("close", resolve));
    this.events = [];
    this.errors = "";
    this.waiting = new Set();
    this.child.stderr.setEncoding("utf8").on("data", (text) => (this.errors += text));
    createInterface(this.child.stdout).on("line", (line) => {
      this.events.push(JSON.parse(line));
      for (const look of this.waiting) look();
    });
    void this.ended.then(() => {
      for (const look of this.waiting) look();
    });
  }

  /** The next event that `matches`, from number `from` on. */
  async event(matches, seconds, from = 0) {
    let look;
    let timer;
    try {
      return await new Promise((resolve, reject) => {
        const told = () =>
          `${this.errors}\n${this.events
            .slice(-10)
            .map((event) => JSON.stringify(event))
            .join("\n")}`;
        look = () => {
          const found = this.events.slice(from).find(matches);
          if (found) resolve(found);
          else if (this.child.exitCode !== null) reject(new Error(`dev ended: ${told()}`));
        };
        timer = setTimeout(() => reject(new Error(`dev did not tell it within ${seconds} s: ${told()}`)), seconds * 1000);
        this.waiting.add(look);
        look();
      });
    } finally {
      clearTimeout(timer);
      this.waiting.delete(look);
    }
  }

  /** ^C: resolves to its exit code. */
  interrupt() {
    this.child.kill("SIGINT");
    return this.ended;
  }

  async remove() {
    if (this.child && this.child.exitCode === null) await this.interrupt();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
