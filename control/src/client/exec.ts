// Commands in a Linux guest: a session with its agent over the guest's second serial port. The command line's `exec` and the library's
// guest.exec() are made of it.
import { constants } from "node:os";
import type { GuestSummary } from "../api/schemas.js";
import { HvkitError } from "../errors.js";
import { kernelPanic } from "../linux/kernelpanic.js";
import { reasonOf } from "./abort.js";
import { AgentSession } from "./agentsession.js";
import type { Client } from "./client.js";
import { Console, type ConsoleEnd } from "./console.js";
import { lastWords, panicText, Silence } from "./silence.js";

/** COM1, Linux' console */
const CONSOLE_PORT = 0;
/** COM2 */
const AGENT_PORT = 1;
/** for an agent to answer, and for a guest to boot until there is one */
const ANSWER_MS = 10_000;
const BOOT_MS = 90_000;
/** between the signals by which an aborted command is ended */
const GRACE_MS = 3000;
/** between two looks whether a guest is still paused */
const PAUSED_MS = 300;
const ENVIRONMENT = { PATH: "/bin:/sbin:/usr/bin:/usr/sbin", HOME: "/root", TERM: "linux" };

export interface ExecOptions {
  /** by default / */
  folder?: string;
  /** variables beside PATH, HOME and TERM */
  env?: Readonly<Record<string, string>>;
  /** standard input; by default it is empty */
  input?: string | Uint8Array | AsyncIterable<Uint8Array>;
  /** Ends the command: by SIGTERM, and by SIGKILL when it does not heed that. */
  signal?: AbortSignal;
  /** how long the guest's agent may take to answer; by default 10 s, and up to 90 s after the guest's start */
  patienceMs?: number;
}

export interface ExecEnd {
  /** as a shell has it: 128 and the signal's number when a signal ended it */
  code: number;
  /** SIGKILL, ... */
  signal: NodeJS.Signals | null;
}

export interface ExecResult extends ExecEnd {
  stdout: Buffer;
  stderr: Buffer;
}

export interface ExecStreams {
  /** A command waits while a promise of these is open. */
  onOutput: (bytes: Uint8Array) => void | Promise<void>;
  onErrorOutput: (bytes: Uint8Array) => void | Promise<void>;
}

/** A command that runs. */
export class Execution {
  /** resolves with its end, when all its output was given; rejects when that cannot be told */
  readonly ended: Promise<ExecEnd>;

  private constructor(
    private readonly session: AgentSession,
    ended: Promise<ExecEnd>,
  ) {
    this.ended = ended;
    this.ended.catch(() => {}); // whoever waits for it sees it
  }

  /** Resolves when the command runs. */
  static async start(
    client: Client,
    guest: string,
    words: readonly string[],
    streams: ExecStreams,
    { folder = "/", env = {}, input = "", signal, patienceMs }: ExecOptions = {},
  ): Promise<Execution> {
    signal?.throwIfAborted();
    const found = await client.call("inspect", { guest }, { signal });
    checkGuest(found);
    const consoleEnd = found.console.find(({ port }) => port === CONSOLE_PORT)?.end ?? 0;
    const silence = new Silence(client, found, consoleEnd, (error) => session.fail(error));
    const session = new AgentSession(
      { write: (bytes) => writeTo(client, found.id, opening, bytes) },
      {
        output: (bytes, isError) => (isError ? streams.onErrorOutput(bytes) : streams.onOutput(bytes)),
        heard: silence.broken,
        silent: silence.look,
      },
    );
    const opening = Console.open(client, found.id, { port: AGENT_PORT, tail: 0, onBytes: (bytes) => session.push(bytes) });
    const console = await opening;
    console.ended.then(async (end) => end && session.fail(await guestEnded(client, found, end))).catch(session.fail);
    const giveUp = (): void => {
      if (signal) session.fail(reasonOf(signal));
    };
    signal?.addEventListener("abort", giveUp);
    if (signal?.aborted) giveUp();
    try {
      const command = { words, folder, environment: { ...ENVIRONMENT, ...env } };
      await session.start(command, patienceMs ?? patienceFor(found));
    } catch (error) {
      console.close();
      throw error;
    } finally {
      signal?.removeEventListener("abort", giveUp);
    }
    const abort = (): void => {
      if (signal) end(session, reasonOf(signal)).catch(() => {}); // ended tells
    };
    signal?.addEventListener("abort", abort);
    if (signal?.aborted) abort();
    const ended = session.ended.then(({ code, signal: number }) => {
      signal?.throwIfAborted();
      return { code, signal: number === null ? null : signalName(number) };
    });
    const done = ended.finally(() => {
      signal?.removeEventListener("abort", abort);
      console.close();
    });
    feed(session, input).catch((error: Error) => session.fail(error));
    return new Execution(session, done);
  }

  /** For the command and all that it started in its process group. */
  async kill(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    this.session.kill(constants.signals[signal]);
  }
}

/** Runs a command to its end, and collects what it writes. */
export async function exec(client: Client, guest: string, words: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
  const [stdout, stderr]: [Uint8Array[], Uint8Array[]] = [[], []];
  const streams = {
    onOutput: (bytes: Uint8Array) => void stdout.push(bytes),
    onErrorOutput: (bytes: Uint8Array) => void stderr.push(bytes),
  };
  const execution = await Execution.start(client, guest, words, streams, options);
  const ended = await execution.ended;
  return { ...ended, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr) };
}

/** A guest that is paused is waited for, however long: what it took of the bytes already it gets twice then, and the agent takes once. */
async function writeTo(client: Client, guest: string, opening: Promise<Console>, bytes: Uint8Array): Promise<void> {
  const console = await opening;
  for (let failures = 0; ; ) {
    try {
      await console.write(bytes);
      return;
    } catch (error) {
      if (!(error instanceof HvkitError && error.code === "E_CONSOLE_FULL") || console.closed) throw error;
      // It may have been let go on just now.
      const wasPaused = await paused(client, guest, console);
      failures = wasPaused ? 0 : failures + 1;
      if (failures > 1) throw error;
    }
  }
}

/** Resolves when the guest is not paused (any more): whether it was. */
async function paused(client: Client, guest: string, console: Console): Promise<boolean> {
  for (let was = false; ; was = true) {
    const { state } = await client.call("inspect", { guest });
    if (state !== "paused" || console.closed) return was;
    await new Promise((resolve) => setTimeout(resolve, PAUSED_MS));
  }
}

async function feed(session: AgentSession, input: NonNullable<ExecOptions["input"]>): Promise<void> {
  if (typeof input === "string" || input instanceof Uint8Array) await session.write(Buffer.from(input));
  else {
    const parts = input[Symbol.asyncIterator]();
    const over = session.ended.then(
      () => undefined,
      () => undefined,
    );
    for (;;) {
      // A command that has ended waits for no more input.
      const part = await Promise.race([parts.next(), over]);
      if (part === undefined) {
        void Promise.resolve(parts.return?.()).catch(() => {});
        return;
      }
      if (part.done) break;
      await session.write(part.value);
    }
  }
  session.endInput();
}

/** An aborted command gets a moment to end by itself; then it is not waited for any more. */
async function end(session: AgentSession, reason: Error): Promise<void> {
  const { SIGTERM, SIGKILL } = constants.signals;
  for (const signal of [SIGTERM, SIGKILL]) {
    session.kill(signal);
    if (await settlesWithin(session.ended, GRACE_MS)) return;
  }
  session.fail(reason);
}

async function settlesWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const settled = promise.then(
    () => true,
    () => true,
  );
  const result = await Promise.race([settled, late]);
  clearTimeout(timer);
  return result;
}

function checkGuest({ name, kind, image, state }: GuestSummary): void {
  if (kind !== "linux") {
    throw new HvkitError("E_EXEC_GUEST", `guest '${name}' is no Linux, but ${kind} (${image}): it has no agent that runs commands`, {
      hint: "Run the image `linux`, or another one with hvkit's agent in it.",
      data: { kind, image },
    });
  }
  if (state !== "running") {
    throw new HvkitError("E_GUEST_STATE", `guest '${name}' is ${state}: it runs no commands`, {
      hint: state === "paused" ? `Let it go on with: hvkit unpause ${name}` : `Start it again with: hvkit reset ${name}`,
      data: { state },
    });
  }
}

function patienceFor({ startedAt }: GuestSummary): number {
  const age = startedAt === null ? 0 : Date.now() - Date.parse(startedAt);
  return Math.max(ANSWER_MS, BOOT_MS - age);
}

async function guestEnded(client: Client, { id, name }: GuestSummary, { state, end: why }: ConsoleEnd): Promise<HvkitError> {
  const panic = kernelPanic(await lastWords(client, id));
  const text = panic ? panicText(panic) : (why?.text ?? state);
  return new HvkitError("E_EXEC_GUEST_ENDED", `guest '${name}' ended while the command ran: ${text}`, {
    hint: `\`hvkit logs ${name}\` shows its last words.`,
    data: { state, end: why, panic: panic ?? null },
  });
}

function signalName(number: number): NodeJS.Signals | null {
  const [name] = Object.entries(constants.signals).find(([, value]) => value === number) ?? [];
  return (name ?? null) as NodeJS.Signals | null;
}
