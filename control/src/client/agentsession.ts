// One command in a guest, by the agent's frames: asks for the agent, sends the command, gives and takes its bytes as there is room, tells
// its end. Knows a line of bytes and no guest: exec.ts gives it one, and tests another.
import { randomBytes } from "node:crypto";
import { AgentEnd, AgentFrame, AgentLimit } from "../../../protocol/agent.js";
import { HvkitError } from "../errors.js";
import { AgentDecoder, type AgentMessage, encodeAgentFrame } from "../link/agentframe.js";

export interface AgentLine {
  /** Bytes for the agent, all of them before those of a later call. */
  write(bytes: Uint8Array): Promise<void>;
}

export interface AgentCommand {
  /** a program's path, or its name in /bin, /sbin, /usr/bin, /usr/sbin; and its arguments */
  words: readonly string[];
  folder: string;
  environment: Readonly<Record<string, string>>;
}

export interface AgentEvents {
  /** Bytes of standard output, or error. The command waits while too many are under way. */
  output: (bytes: Uint8Array, isError: boolean) => void | Promise<void>;
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
  readonly #id = randomBytes(8).readBigUInt64LE() | 1n;
  readonly #decoder = new AgentDecoder((message) => this.#take(message));
  #ready!: () => void;
  readonly #isReady: Promise<void>;
  #started!: () => void;
  readonly #isStarted: Promise<void>;
  #finish!: (exit: AgentExit) => void;
  #fail!: (error: Error) => void;
  #seqOut = 0;
  #seqIn = 0;
  #begun = false;
  #telling = false;
  #over = false;
  #room: number = AgentLimit.InputWindow;
  #roomCame: () => void = () => {};
  #taken = 0;
  /** bytes of output that the agent was not told to be taken */
  #untold = 0;
  #outputs: Promise<void> = Promise.resolve();
  #alive: NodeJS.Timeout | undefined;

  constructor(
    private readonly line: AgentLine,
    private readonly events: AgentEvents,
  ) {
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
    if (!this.#over) this.#decoder.push(bytes);
  }

  /** Resolves when the command runs. `patienceMs`: how long the agent may take to answer. */
  async start(command: AgentCommand, patienceMs: number): Promise<void> {
    const block = commandBlock(command);
    await this.#orEnd(this.#hello(patienceMs));
    this.#begun = true;
    for (let at = 0; at < block.length; at += AgentLimit.MaxPayload) {
      await this.#orEnd(this.#send(AgentFrame.Command, block.subarray(at, at + AgentLimit.MaxPayload)));
    }
    await this.#orEnd(this.#send(AgentFrame.Run));
    this.#alive = setInterval(() => this.#tell(AgentFrame.Alive), AgentLimit.AliveSeconds * 1000);
    if (this.#over) clearInterval(this.#alive);
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
      await this.#send(AgentFrame.Input, part);
    }
  }

  async endInput(): Promise<void> {
    await this.#send(AgentFrame.InputEnd);
  }

  /** For the command and all that it started in its process group. */
  async kill(signal: number): Promise<void> {
    await this.#send(AgentFrame.Signal, Uint8Array.of(signal));
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
      this.#tell(AgentFrame.Hello, words(AgentLimit.Version));
      let timer: NodeJS.Timeout | undefined;
      const pause = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, Math.max(1, Math.min(HELLO_MS, until - Date.now())));
      });
      await Promise.race([ready, pause, this.ended.catch(() => {})]);
      clearTimeout(timer);
    }
  }

  /** A frame that is not counted, and may get lost; one at a time. */
  #tell(type: AgentFrame, payload: Uint8Array = new Uint8Array(0)): void {
    if (this.#telling) return;
    this.#telling = true;
    this.line
      .write(encodeAgentFrame({ session: this.#id, seq: 0, type, payload }))
      .catch((error: Error) => {
        // Nobody reads there: the kernel has not come so far yet, or there is no agent, or the guest is paused.
        if (!(error instanceof HvkitError && error.code === "E_CONSOLE_FULL")) this.fail(error);
      })
      .finally(() => {
        this.#telling = false;
      });
  }

  async #send(type: AgentFrame, payload: Uint8Array = new Uint8Array(0)): Promise<void> {
    if (this.#over) return;
    await this.line.write(encodeAgentFrame({ session: this.#id, seq: this.#seqOut++, type, payload }));
  }

  /** Waits for it, or fails as soon as the session does. */
  async #orEnd(step: Promise<void>): Promise<void> {
    await Promise.race([step, this.ended]);
  }

  #take({ session, seq, type, payload }: AgentMessage): void {
    if (this.#over) return;
    if (session === 0n && type === AgentFrame.Ready) {
      if (this.#begun) this.fail(lost("the agent was started anew: the guest was reset, or went back to a snapshot"));
      else this.#tell(AgentFrame.Hello, words(AgentLimit.Version));
      return;
    }
    if (session !== this.#id) return;
    if (type === AgentFrame.Ready) {
      const version = word(payload, 0);
      if (version === AgentLimit.Version) this.#ready();
      else this.fail(otherVersion(version));
      return;
    }
    if (type === AgentFrame.End && seq === 0 && this.#seqIn > 0) {
      this.fail(lost("the agent does not know it any more: the guest went back to a snapshot, or did not hear of it for long"));
      return;
    }
    if (seq !== this.#seqIn) {
      this.fail(lost("a part of what it wrote did not arrive"));
      return;
    }
    this.#seqIn++;
    if (type === AgentFrame.Started) this.#started();
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
      if (this.#taken < TELL_BYTES || this.#over) return;
      const told = words(this.#taken);
      this.#untold -= this.#taken;
      this.#taken = 0;
      await this.#send(AgentFrame.OutputRoom, told);
    });
    this.#outputs.catch(this.fail);
  }

  #end(end: AgentEnd, value: number): void {
    if (end === AgentEnd.Exited || end === AgentEnd.Signalled) {
      this.#close();
      const signal = end === AgentEnd.Signalled ? value : null;
      const exit = { code: signal === null ? value : 128 + signal, signal };
      this.#outputs.then(() => this.#finish(exit), this.#fail);
    } else if (end === AgentEnd.NotStarted) this.fail(notStarted(value));
    else if (end === AgentEnd.Busy) this.fail(busy());
    else this.fail(lost("the agent misses a part of it"));
  }

  #close(): void {
    this.#over = true;
    clearInterval(this.#alive);
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
