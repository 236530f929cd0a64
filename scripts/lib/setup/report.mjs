// One line a step: its name, what it did, how long it took. On a terminal the line shows what the step is doing meanwhile.
import { spawn } from "node:child_process";

const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;

export class StepFailed extends Error {}

export class Report {
  /** [{ name, ms }] of all steps, in order */
  times = [];
  #tty = process.stdout.isTTY === true;
  #columns = 0;

  title(text) {
    console.log(this.#tty && !process.env.NO_COLOR ? `\x1b[1m${text}\x1b[0m` : text);
  }

  /** Runs `work(progress)`; it resolves to what it did, in a few words. `live: false` for work that prints itself. */
  async step(name, work, { live = true } = {}) {
    const begin = performance.now();
    const label = `  ${name.padEnd(10)} `;
    if (!this.#tty && process.env.CI) console.log(`${label}...`);
    const progress = (text) => this.#live(label, text, performance.now() - begin);
    if (live) progress("...");
    try {
      const result = await work(progress);
      const ms = performance.now() - begin;
      this.times.push({ name, ms });
      this.#clear();
      console.log(`${label}${result.padEnd(50)} ${seconds(ms).padStart(8)}`);
    } catch (error) {
      this.#clear();
      throw error;
    }
  }

  #live(label, text, ms) {
    if (!this.#tty) return;
    const room = Math.max(20, (process.stdout.columns ?? 80) - 1);
    const line = `${label}${text.trim().slice(0, room - label.length - 10)} ${seconds(ms)}`.slice(0, room);
    process.stdout.write(`\r${line.padEnd(this.#columns)}`);
    this.#columns = line.length;
  }

  #clear() {
    if (this.#columns > 0) process.stdout.write(`\r${" ".repeat(this.#columns)}\r`);
    this.#columns = 0;
  }
}

/** Runs a command; `onLine` sees each line of its output. Rejects with the end of it when it fails, unless `check` is false. */
export function run(command, args, { cwd, env, onLine = () => {}, input = "ignore", check = true } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: [input, "pipe", "pipe"] });
    let text = "";
    const collect = (bytes) => {
      text += bytes;
      const lines = text
        .slice(-400)
        .split(/[\r\n]+/)
        .filter((line) => line.trim() !== "");
      onLine(lines.at(-1) ?? "");
    };
    child.stdout.setEncoding("utf8").on("data", collect);
    child.stderr.setEncoding("utf8").on("data", collect);
    child.on("error", (error) => reject(new StepFailed(`${command}: ${error.message}`)));
    child.on("close", (code, signal) => {
      if (code === 0 || !check) resolve(text);
      else
        reject(
          new StepFailed(
            `${[command, ...args].join(" ")} failed (${signal ?? `exit code ${code}`}):\n${text.trimEnd().split("\n").slice(-25).join("\n")}`,
          ),
        );
    });
  });
}
