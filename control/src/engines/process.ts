// An engine's process: started so that it ends with this one, its output kept, its end told to all who ask, ended by pid.
// Used by qemu and bochs.
import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { StringDecoder } from "node:string_decoder";
import { HvkitError } from "../errors.js";
import { findProgram } from "./probe.js";

export interface ProcessOptions {
  command: string[];
  /** file descriptors beyond stdin, stdout and stderr, from 3 on */
  descriptors?: ("pipe" | number)[];
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** the signal that asks it to end */
  endSignal?: NodeJS.Signals;
}

type ExitListener = (code: number | null, signal: string | null) => void;

const KEPT_LINES = 40;
const MAX_LINE = 1000;
/** Milliseconds between asking a process to end and ending it. */
const GRACE_MS = 2000;

export class EngineProcess {
  readonly child: ChildProcess;
  readonly #endSignal: NodeJS.Signals;
  readonly #lines: string[] = [];
  readonly #listeners: ExitListener[] = [];
  #exit: { code: number | null; signal: string | null } | undefined;

  private constructor(child: ChildProcess, endSignal: NodeJS.Signals) {
    this.child = child;
    this.#endSignal = endSignal;
    for (const stream of [child.stdout, child.stderr]) this.#keep(stream);
    // "close" comes after the streams' ends: the last words are complete then.
    child.once("close", (code, signal) => {
      this.#exit = { code, signal };
      for (const listener of this.#listeners.splice(0)) listener(code, signal);
    });
  }

  /** Resolves when the program runs. */
  static start(options: ProcessOptions): Promise<EngineProcess> {
    const [program, ...args] = tiedToParent(options.command) as [string, ...string[]];
    const stdio: StdioOptions = ["ignore", "pipe", "pipe", ...(options.descriptors ?? [])];
    return new Promise((resolve, reject) => {
      const child = spawn(program, args, { stdio, cwd: options.cwd, env: options.env ?? process.env });
      const started = new EngineProcess(child, options.endSignal ?? "SIGTERM");
      child.once("error", (error) =>
        reject(new HvkitError("E_ENGINE_START", `${options.command[0]} does not start: ${error.message}`, { cause: error })),
      );
      child.once("spawn", () => resolve(started));
    });
  }

  get pid(): number {
    return this.child.pid as number;
  }

  get exited(): boolean {
    return this.#exit !== undefined;
  }

  /** The last lines of stdout and stderr. */
  lastWords(): string {
    return this.#lines.join("\n");
  }

  onExit(listener: ExitListener): void {
    if (this.#exit) listener(this.#exit.code, this.#exit.signal);
    else this.#listeners.push(listener);
  }

  async stop(): Promise<void> {
    if (this.#exit) return;
    const gone = new Promise<void>((resolve) => this.onExit(() => resolve()));
    this.child.kill(this.#endSignal);
    const timer = setTimeout(() => this.child.kill("SIGKILL"), GRACE_MS);
    await gone;
    clearTimeout(timer);
  }

  #keep(stream: NodeJS.ReadableStream | null): void {
    const decoder = new StringDecoder("utf8");
    let partial = "";
    const line = (text: string): void => {
      if (text.trim() !== "") this.#lines.push(text.slice(0, MAX_LINE));
      if (this.#lines.length > KEPT_LINES) this.#lines.shift();
    };
    stream?.on("data", (bytes: Buffer) => {
      const pieces = (partial + decoder.write(bytes)).split(/\r?\n/);
      partial = (pieces.pop() ?? "").slice(0, MAX_LINE);
      for (const piece of pieces) line(piece);
    });
    stream?.on("end", () => line(partial));
  }
}

/** Where util-linux's setpriv is, the kernel ends the engine when this process dies, however it dies (prctl(2), PR_SET_PDEATHSIG). */
function tiedToParent(command: string[]): string[] {
  const setpriv = process.platform === "linux" ? findProgram("setpriv") : undefined;
  return setpriv ? [setpriv, "--pdeathsig", "KILL", "--", ...command] : command;
}
