// One command in a guest, by the agent's frames: asks for the agent, sends the command, gives and takes its bytes as there is room, tells
// its end. Knows a line of bytes and no guest: exec.ts gives it one, and tests another.
import { randomBytes } from "node:crypto";
import { AgentEnd, AgentFrame, AgentLimit } from "../../../protocol/agent.js";
import { HvkitError } from "../errors.js";
import type { AgentMessage } from "../link/agentframe.js";
import { AgentChannel, type AgentLine } from "./agentchannel.js";

export interface AgentCommand {
  /** a program's path, or its name in /bin, /sbin, /usr/bin, /usr/sbin; and its arguments */
  words: readonly string[];
  folder: string;
  environment: Readonly<Record<string, string>>;
}

export interface AgentEvents {
  /** Bytes of standard output, or error. The command waits while too many are under way. */
  output: (bytes: Uint8Array, isError: boolean) => void | Promise<void>;
  /** The agent said something. */
  heard?: () => void;
  /** It was asked, and has not answered; again each time that it is asked once more. */
  silent?: () => void;
}

export interface AgentExit {
  /** as a shell has it: 128 and the signal's number when a signal ended it */
  code: number;
  /** the number of the signal that ended it */
  signal: number | null;
}

const HELLO_MS = 1000;
/** taken bytes that are told at once */
const TELL_BYTES = AgentLimit.OutputWindow / 4;
const OUTPUTS: readonly AgentFrame[] = [AgentFrame.Output, AgentFrame.ErrorOutput];

export class AgentSession {
  /** resolves with the command's end; rejects when it cannot be told */
  readonly ended: Promise<AgentExit>;
  readonly #channel: AgentChannel;
  #ready!: () => void;
  readonly #isReady: Promise<void>;
  #started!: () => void;
  readonly #isStarted: Promise<void>;
  #finish!: (exit: AgentExit) => void;
  #fail!: (error: Error) => void;
  #begun = false;
  #over = false;
  #room: number = AgentLimit.InputWindow;
  #roomCame: () => void = () => {};
  /** taken, and not told yet */
  #taken = 0;
  #takenFrames = 0;
  /** bytes of output that the agent was not told to be taken */
  #untold = 0;
  #outputs: Promise<void> = Promise.resolve();

  constructor(
    line: AgentLine,
    private readonly events: AgentEvents,
  ) {
    this.#channel = new AgentChannel(line, randomBytes(8).readBigUInt64LE() | 1n, {
      frame: (message) => this.#take(message),
      heard: () => this.events.heard?.(),
      silent: () => this.events.silent?.(),
      lost: (why) => this.fail(lost(why)),
      failed: (error) => {
        // Nobody reads there yet: the kernel has not come so far, or there is no agent.
        if (this.#begun || !(error instanceof HvkitError && error.code === "E_CONSOLE_FULL")) this.fail(error);
      },
    });
    this.#isReady = new Promise((resolve) => {
      this.#ready = resolve;
    });
    this.#isStarted = new Promise((resolve) => {
      this.#started = resolve;
    });
    this.ended = new Promise((resolve, reject) => {
      this.#finish = resolve;
      this.#fail = reject;
    });
    this.ended.catch(() => {}); // whoever waits for it sees it
  }

  /** Bytes from the line. */
  push(bytes: Uint8Array): void {
    this.#channel.push(bytes);
  }

  /** Resolves when the command runs. `patienceMs`: how long the agent may take to answer. */
  async start(command: AgentCommand, patienceMs: number): Promise<void> {
    const block = commandBlock(command);
    await this.#orEnd(this.#hello(patienceMs));
    this.#begun = true;
    for (let at = 0; at < block.length; at += AgentLimit.MaxPayload) {
      this.#channel.send(AgentFrame.Command, block.subarray(at, at + AgentLimit.MaxPayload));
    }
    this.#channel.send(AgentFrame.Run);
    await this.#orEnd(this.#isStarted);
  }

  /** Bytes for the command's input. Resolves when they are on their way: sooner, when the command has ended. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length && !this.#over; ) {
      if (this.#room === 0) {
        await new Promise<void>((resolve) => {
          this.#roomCame = resolve;
        });
        continue;
      }
      const part = bytes.subarray(at, at + Math.min(this.#room, AgentLimit.MaxPayload));
      this.#room -= part.length;
      at += part.length;
      this.#channel.send(AgentFrame.Input, Uint8Array.from(part));
    }
  }

  endInput(): void {
    this.#channel.send(AgentFrame.InputEnd);
  }

  /** For the command and all that it started in its process group. */
  kill(signal: number): void {
    this.#channel.send(AgentFrame.Signal, Uint8Array.of(signal));
  }

  /** Gives up: `ended` rejects. */
  readonly fail = (error: Error): void => {
    if (this.#over) return;
    this.#close();
    this.#fail(error);
  };

  async #hello(patienceMs: number): Promise<void> {
    const until = Date.now() + patienceMs;
    let answered = false;
    const ready = this.#isReady.then(() => {
      answered = true;
    });
    while (!answered && !this.#over) {
      if (Date.now() > until) throw noAgent(patienceMs);
      this.#channel.hello();
      let timer: NodeJS.Timeout | undefined;
      const pause = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, Math.max(1, Math.min(HELLO_MS, until - Date.now())));
      });
      await Promise.race([ready, pause, this.ended.catch(() => {})]);
      clearTimeout(timer);
    }
  }

  /** Waits for it, or fails as soon as the session does. */
  async #orEnd(step: Promise<void>): Promise<void> {
    await Promise.race([step, this.ended]);
  }

  #take({ session, type, payload, ack }: AgentMessage): void {
    if (this.#over) return;
    if (type === AgentFrame.Ready) {
      if (ack !== AgentLimit.Version) this.fail(otherVersion(ack));
      else if (session !== 0n) this.#ready();
      else if (this.#begun) this.fail(lost("the agent was started anew: the guest was reset, or went back to a snapshot"));
      else this.#channel.hello();
    } else if (type === AgentFrame.Started) this.#started();
    else if (type === AgentFrame.InputRoom) {
      this.#room += word(payload, 0);
      this.#roomCame();
    } else if (OUTPUTS.includes(type)) this.#output(Uint8Array.from(payload), type === AgentFrame.ErrorOutput);
    else if (type === AgentFrame.End) this.#end(word(payload, 0), word(payload, 4));
  }

  #output(bytes: Uint8Array, isError: boolean): void {
    this.#untold += bytes.length;
    if (this.#untold > AgentLimit.OutputWindow) {
      this.fail(lost("the agent sends more than there is room for"));
      return;
    }
    this.#outputs = this.#outputs.then(async () => {
      await this.events.output(bytes, isError);
      this.#taken += bytes.length;
      this.#takenFrames++;
      if (this.#taken < TELL_BYTES && this.#takenFrames < AgentLimit.ToldFrames) return;
      this.#channel.send(AgentFrame.OutputRoom, words(this.#taken));
      this.#untold -= this.#taken;
      this.#taken = 0;
      this.#takenFrames = 0;
    });
    this.#outputs.catch(this.fail);
  }

  #end(end: AgentEnd, value: number): void {
    if (end === AgentEnd.Exited || end === AgentEnd.Signalled) {
      this.#close(true);
      const signal = end === AgentEnd.Signalled ? value : null;
      const exit = { code: signal === null ? value : 128 + signal, signal };
      this.#outputs.then(() => this.#finish(exit), this.#fail);
    } else {
      this.#close(true);
      if (end === AgentEnd.NotStarted) this.#fail(notStarted(value));
      else if (end === AgentEnd.Busy) this.#fail(busy());
      else this.#fail(lost("what came of it made no sense to the agent"));
    }
  }

  #close(isKnown = false): void {
    this.#over = true;
    this.#channel.close(isKnown);
    this.#roomCame();
  }
}

/** The strings of AgentFrame.Command, each closed by 00h. */
function commandBlock({ words: command, folder, environment }: AgentCommand): Uint8Array {
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  const strings = [folder, ...variables, "", ...command];
  const block = Buffer.from(strings.map((text) => `${text}\0`).join(""));
  const wrong =
    command.length === 0 || command[0] === ""
      ? "there is no command"
      : [folder, ...variables, ...command].some((text) => text.includes("\0"))
        ? "a word of the command has a character of code 0"
        : Object.keys(environment).some((name) => name === "" || name.includes("="))
          ? "a variable of the environment has no name, or one with '='"
          : block.length > AgentLimit.CommandBytes || command.length > AgentLimit.Strings || variables.length > AgentLimit.Strings
            ? `the command has ${command.length} words and ${block.length} bytes with its environment`
            : undefined;
  if (wrong === undefined) return block;
  throw new HvkitError("E_EXEC_COMMAND", wrong, {
    hint: `Give a program and its arguments: at most ${AgentLimit.Strings} words and ${AgentLimit.CommandBytes} bytes.`,
  });
}

function words(...values: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

/** What is not there is 0: an agent is not trusted. */
function word(payload: Uint8Array, offset: number): number {
  return offset + 4 <= payload.length ? Buffer.from(payload).readUInt32LE(offset) : 0;
}

function noAgent(ms: number): HvkitError {
  return new HvkitError("E_EXEC_NO_AGENT", `no agent answers in the guest, within ${Math.round(ms / 100) / 10} s`, {
    hint: "The image `linux` starts one when it has booted (`hvkit logs` shows how far it is); other images have none.",
  });
}

function otherVersion(version: number): HvkitError {
  return new HvkitError("E_EXEC_VERSION", `the agent in the guest speaks version ${version}, this hvkit version ${AgentLimit.Version}`, {
    hint: "Make the image again (`node scripts/images.mjs`), and run it.",
    data: { agent: version, hvkit: AgentLimit.Version },
  });
}

function lost(why: string): HvkitError {
  return new HvkitError("E_EXEC_LOST", `the command is lost: ${why}`, { hint: "Run it again." });
}

function busy(): HvkitError {
  return new HvkitError("E_EXEC_BUSY", `${AgentLimit.Sessions} commands run in the guest already`, { hint: "Wait until one has ended." });
}

/** Linux' errno-base.h */
const ERRNO: Record<number, string> = {
  2: "there is no such program, or no such folder",
  7: "its arguments and environment are too long",
  8: "it is no program that Linux can run: a script needs #! in its first line",
  12: "the guest has no memory for it",
  13: "it may not be executed",
  20: "a part of its path is no folder",
  24: "the agent has too many files open",
  36: "its name is too long",
};

function notStarted(errno: number): HvkitError {
  return new HvkitError("E_EXEC_START", `the command cannot be started: ${ERRNO[errno] ?? `error ${errno} of Linux`}`, {
    hint: "A program is found by its path, or by its name in /bin, /sbin, /usr/bin and /usr/sbin of the guest.",
    data: { errno },
  });
}
