// hvkit exec: runs a command in a Linux guest, as if it ran here.
import { constants } from "node:os";
import { Command, InvalidArgumentError } from "@commander-js/extra-typings";
import { HvkitError } from "../../errors.js";
import { ENDS_AND_HANGUP, Interrupts } from "../../interrupts.js";
import { EXIT_COMMAND_NOT_FOUND, EXIT_COMMAND_NOT_STARTED, EXIT_EXEC_FAILED, printError, printJson } from "../output.js";
import { withClient } from "../session.js";
import { requireGuest } from "../subject.js";

/** ^C gives the command so long to end before it is killed. */
const GRACE_MS = 3000;
const NO_ENTRY = 2;

export const exec = () =>
  new Command("exec")
    .description("run a command in a Linux guest")
    .argument("<guest>", "name or id")
    .argument("<command...>", "a program of the guest, and its arguments; options of exec stand before it")
    .option("-w, --workdir <folder>", "the folder in the guest that it runs in", "/")
    .option("-e, --env <name=value>", "a variable of its environment; may be given again", addVariable, {} as Record<string, string>)
    .option("-n, --no-stdin", "give it an empty standard input")
    .option("--wait <seconds>", "how long the guest's agent may take to answer (10, and up to 90 after the guest's start)", seconds)
    .option("--json", "print one object {guest, code, signal, stdout, stderr} at its end")
    .addHelpText(
      "after",
      `
Examples:
  hvkit exec web uname -r
  hvkit exec web ls -la /
  hvkit exec web -- sh -c 'dmesg | tail -3'
  hvkit exec web -e DEBUG=1 -w /tmp -- ./test.sh
  tar c data | hvkit exec web -- tar x -C /tmp

Standard input, output and error are the command's own, byte by byte; ^C interrupts it, and kills it when it does not heed that.

Exit codes: the command's own; 128 and the signal's number when a signal ended it; 125 when hvkit failed, 126 when the command cannot
be started, 127 when there is none of that name.`,
    )
    .action(async (guest, words, { workdir, env, stdin, wait, json }) => {
      try {
        requireGuest(guest, "CPU to run a command on");
        await withClient(async (client) => {
          const { Execution } = await import("../../client/exec.js");
          const kept: [Uint8Array[], Uint8Array[]] = [[], []];
          const streams = json
            ? { onOutput: (bytes: Uint8Array) => void kept[0].push(bytes), onErrorOutput: (bytes: Uint8Array) => void kept[1].push(bytes) }
            : {
                onOutput: (bytes: Uint8Array) => writeTo(process.stdout, bytes),
                onErrorOutput: (bytes: Uint8Array) => writeTo(process.stderr, bytes),
              };
          const starting = new AbortController();
          const interrupts = new Interrupts(
            (signal) => starting.abort(interrupted(signal, "interrupted before the command ran")),
            ENDS_AND_HANGUP,
          );
          try {
            const execution = await Execution.start(client, guest, words, streams, {
              folder: workdir,
              env,
              signal: starting.signal,
              ...(stdin ? { input: process.stdin } : {}),
              ...(wait === undefined ? {} : { patienceMs: wait * 1000 }),
            });
            const kill = (signal: NodeJS.Signals): void => void execution.kill(signal).catch(() => {}); // its end tells
            const forward = new Forwarding(kill);
            interrupts.tell(forward.take);
            // `hvkit exec ... | head`: as in a pipe here.
            process.stdout.on("error", () => kill("SIGPIPE"));
            const { code, signal } = await Promise.race([execution.ended, forward.left]).finally(() => forward.close());
            process.exitCode = code;
            if (json) {
              const [stdout, stderr] = kept.map((parts) => Buffer.concat(parts).toString());
              printJson({ guest, code, signal, stdout, stderr });
            }
          } finally {
            interrupts.close();
            if (stdin) letGo(process.stdin);
          }
        });
      } catch (error) {
        printError(error, json === true);
        process.exitCode = exitCodeOf(error);
      }
    });

function exitCodeOf(error: unknown): number {
  if (!(error instanceof HvkitError)) return EXIT_EXEC_FAILED;
  if (error.code === "E_INTERRUPTED") return 128 + Number(error.data?.signal ?? constants.signals.SIGINT);
  if (error.code !== "E_EXEC_START") return EXIT_EXEC_FAILED;
  return error.data?.errno === NO_ENTRY ? EXIT_COMMAND_NOT_FOUND : EXIT_COMMAND_NOT_STARTED;
}

function interrupted(signal: NodeJS.Signals, text: string): HvkitError {
  return new HvkitError("E_INTERRUPTED", text, { data: { signal: constants.signals[signal] } });
}

/** ^C and its like go to the command, which is killed when it outlives the first by long, or at the second. The third leaves it. */
class Forwarding {
  /** rejects when the command is not waited for any more */
  readonly left: Promise<never>;
  #leave!: (error: Error) => void;
  #timer: NodeJS.Timeout | undefined;
  #count = 0;

  constructor(private readonly kill: (signal: NodeJS.Signals) => void) {
    this.left = new Promise((_resolve, reject) => {
      this.#leave = reject;
    });
    this.left.catch(() => {}); // whoever waits for it sees it
  }

  readonly take = (signal: NodeJS.Signals): void => {
    this.#count++;
    if (this.#count > 2) this.#leave(interrupted(signal, "left: the guest has not said that the command has ended"));
    else this.kill(this.#count === 1 ? signal : "SIGKILL");
    this.#timer ??= setTimeout(() => this.kill("SIGKILL"), GRACE_MS);
  };

  close(): void {
    clearTimeout(this.#timer);
  }
}

/** Waits for a slow reader instead of keeping its bytes; what a reader that is gone does not take is for nobody. */
function writeTo(stream: NodeJS.WriteStream, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    stream.write(bytes, () => resolve());
  });
}

/** Input that nobody reads any more must not keep the process. */
function letGo(stream: NodeJS.ReadStream): void {
  stream.destroy();
}

function addVariable(text: string, before: Record<string, string>): Record<string, string> {
  const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (name === undefined || value === undefined) throw new InvalidArgumentError("Write it as NAME=VALUE.");
  return { ...before, [name]: value };
}

function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && value >= 0 && value <= 86400) return value;
  throw new InvalidArgumentError("Expected seconds, 0 to 86400.");
}
