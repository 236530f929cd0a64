// The agent of images/linux, as it was built, run here instead of in a guest: its line is a pair of pipes. Linux on x86-64 only.
import { type ChildProcess, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, onTestFailed, test } from "vitest";
import { projectRoot } from "../../../control/src/api/root.js";
import { type AgentExit, AgentSession } from "../../../control/src/client/agentsession.js";
import { AgentDecoder, type AgentMessage, encodeAgentFrame } from "../../../control/src/link/agentframe.js";
import { AgentEnd, AgentFrame, AgentLimit } from "../../../protocol/agent.js";
import { nightly, randomFrom, scaled, seedOf } from "../../support/scale.js";

const AGENT = join(projectRoot(), "build/images/linux/agent");
const runs = process.platform === "linux" && process.arch === "x64" && existsSync(AGENT);
if (!runs) process.stderr.write("exec: skipped: the agent is a program of Linux on x86-64, built by node scripts/images.mjs\n");

const ENVIRONMENT = { PATH: "/bin:/usr/bin" };
const PATIENCE_MS = 20_000;

/** Whole frames, without those that get lost. */
class Sieve {
  #passed: Uint8Array[] = [];
  readonly #decoder: AgentDecoder;

  constructor(loses: (message: AgentMessage) => boolean) {
    this.#decoder = new AgentDecoder((message) => {
      if (!loses(message)) this.#passed.push(encodeAgentFrame(message));
    });
  }

  push(bytes: Uint8Array): Uint8Array {
    this.#decoder.push(bytes);
    return Buffer.concat(this.#passed.splice(0));
  }
}

describe.skipIf(!runs)("the agent", () => {
  let agent: ChildProcess;
  const readers = new Set<(bytes: Uint8Array) => void>();

  beforeEach(() => {
    readers.clear();
    agent = spawn(AGENT, ["-"], { stdio: ["pipe", "pipe", "inherit"] });
    agent.stdin?.on("error", () => {}); // one that was killed
    agent.stdout?.on("data", (bytes: Buffer) => {
      for (const reader of readers) reader(bytes);
    });
  });
  afterEach(() => {
    agent.kill("SIGKILL");
  });

  const send = (bytes: Uint8Array): void => void agent.stdin?.write(bytes);
  const line = {
    write: (bytes: Uint8Array): Promise<void> =>
      new Promise((resolve, reject) => {
        agent.stdin?.write(bytes, (error) => (error ? reject(error) : resolve()));
      }),
  };

  interface Running {
    session: AgentSession;
    out: () => Buffer;
    err: () => Buffer;
  }

  interface Begun {
    folder?: string;
    environment?: Record<string, string>;
    slow?: Promise<void>;
    /** what gets lost on the way to the agent, and from it */
    loses?: { out: (message: AgentMessage) => boolean; in: (message: AgentMessage) => boolean };
  }

  async function begin(words: string[], { folder = "/", environment = {}, slow, loses }: Begun = {}): Promise<Running> {
    const parts: [Buffer[], Buffer[]] = [[], []];
    const out = loses && new Sieve(loses.out);
    const session = new AgentSession(out ? { write: (bytes) => line.write(out.push(bytes)) } : line, {
      output: async (bytes, isError) => {
        await slow;
        parts[isError ? 1 : 0].push(Buffer.from(bytes));
      },
    });
    const back = loses && new Sieve(loses.in);
    readers.add((bytes) => session.push(back ? back.push(bytes) : bytes));
    await session.start({ words, folder, environment: { ...ENVIRONMENT, ...environment } }, PATIENCE_MS);
    return { session, out: () => Buffer.concat(parts[0]), err: () => Buffer.concat(parts[1]) };
  }

  async function ran(words: string[], options: Begun & { input?: Uint8Array } = {}): Promise<AgentExit & { out: string; err: string }> {
    const { session, out, err } = await begin(words, options);
    if (options.input) await session.write(options.input);
    session.endInput();
    const exit = await session.ended;
    return { ...exit, out: out().toString(), err: err().toString() };
  }

  /** Frames that a session of ours would never send. */
  function raw(): {
    send: (type: AgentFrame, payload?: Uint8Array, seq?: number) => void;
    next: (type: AgentFrame) => Promise<AgentMessage>;
  } {
    const session = randomBytes(8).readBigUInt64LE() | 1n;
    const came: AgentMessage[] = [];
    let wake = (): void => {};
    const decoder = new AgentDecoder((message) => {
      if (message.session !== session) return;
      came.push(message);
      wake();
    });
    readers.add((bytes) => decoder.push(bytes));
    let count = 0;
    return {
      send: (type, payload = new Uint8Array(0), seq = count++) => send(encodeAgentFrame({ session, seq, ack: 0, type, payload })),
      next: async (type) => {
        for (;;) {
          const found = came.findIndex((message) => message.type === type);
          if (found >= 0) return came.splice(found, 1)[0] as AgentMessage;
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      },
    };
  }
  /** A session with an agent that is none: it answers Run with Started, then with what is given. */
  function pretended(then: (answer: (type: AgentFrame, seq: number, payload?: Uint8Array, ack?: number) => void) => void): AgentSession {
    let expected = 0;
    const decoder = new AgentDecoder(({ type, session: id }) => {
      const say = (type: AgentFrame, seq: number, payload: Uint8Array = new Uint8Array(0), ack = expected): void =>
        session.push(encodeAgentFrame({ session: id, seq, ack, type, payload }));
      if (type === AgentFrame.Hello) say(AgentFrame.Ready, 0, undefined, AgentLimit.Version);
      if (type === AgentFrame.Command || type === AgentFrame.Run) expected++;
      if (type !== AgentFrame.Run) return;
      say(AgentFrame.Started, 0, new Uint8Array(4));
      then(say);
    });
    const session = new AgentSession({ write: async (bytes) => decoder.push(bytes) }, { output: () => new Promise(() => {}) });
    session.start({ words: ["true"], folder: "/", environment: {} }, PATIENCE_MS).catch(() => {}); // ended tells
    return session;
  }

  const endOf = ({ payload }: AgentMessage): number[] => [Buffer.from(payload).readUInt32LE(0), Buffer.from(payload).readUInt32LE(4)];

  test("tells exit code, output and error output apart", async () => {
    expect(await ran(["sh", "-c", "echo out; echo err >&2; exit 7"])).toEqual({ code: 7, signal: null, out: "out\n", err: "err\n" });
  });

  test("runs several commands one after another, and at once", async () => {
    for (let count = 0; count < 3; count++) expect(await ran(["echo", String(count)])).toMatchObject({ code: 0, out: `${count}\n` });
    const all = Array.from({ length: AgentLimit.Sessions }, (_, index) =>
      ran(["sh", "-c", `read word; echo $word ${index}; exit ${index}`], { input: Buffer.from("a\n") }),
    );
    expect((await Promise.all(all)).map(({ code, out }) => `${code} ${out}`)).toEqual(all.map((_, index) => `${index} a ${index}\n`));
  });

  test("gives words, folder and environment as they are", async () => {
    const words = ["a b", "", "'\"$x", "é\n\t"];
    const { out } = await ran(["sh", "-c", 'pwd; echo "$A"; for word; do printf "<%s>" "$word"; done', "sh", ...words], {
      folder: "/proc",
      environment: { A: "1 = 2" },
    });
    expect(out).toBe(`/proc\n1 = 2\n${words.map((word) => `<${word}>`).join("")}`);
  });

  test("is binary-safe both ways, beyond every window", async () => {
    const data = randomBytes(700_001);
    const { session, out } = await begin(["cat"]);
    await session.write(data);
    session.endInput();
    expect(await session.ended).toEqual({ code: 0, signal: null });
    expect(createHash("sha256").update(out()).digest("hex")).toBe(createHash("sha256").update(data).digest("hex"));
  });

  test("a reader that is slow stops the command, and loses nothing", async () => {
    let go = (): void => {};
    const slow = new Promise<void>((resolve) => {
      go = resolve;
    });
    let seen = 0;
    readers.add((bytes) => {
      seen += bytes.length;
    });
    const { session, out } = await begin(["head", "-c", "400000", "/dev/zero"], { slow });
    // Another one goes on meanwhile, and what the first may send is bounded.
    expect(await ran(["echo", "other"])).toMatchObject({ out: "other\n" });
    expect(seen).toBeLessThan(2 * AgentLimit.OutputWindow);
    go();
    session.endInput();
    expect(await session.ended).toEqual({ code: 0, signal: null });
    expect(out().length).toBe(400_000);
  });

  test("input for a command that does not read it does not stand in its way", async () => {
    const { session } = await begin(["sh", "-c", "exec <&-; exec sleep 0.2"]);
    await session.write(randomBytes(200_000));
    expect(await session.ended).toMatchObject({ code: 0 });
  });

  test("a signal ends the command and what it started", async () => {
    const { session, out } = await begin(["sh", "-c", "sleep 1000 & echo $!; wait"]);
    await expect.poll(() => out().toString(), { timeout: PATIENCE_MS }).toMatch(/^\d+\n$/);
    session.kill(15);
    expect(await session.ended).toEqual({ code: 143, signal: 15 });
    const pid = Number(out().toString());
    await expect.poll(() => existsSync(`/proc/${pid}/exe`), { timeout: PATIENCE_MS }).toBe(false);
  });

  test("what was left in the background does not keep the end back", async () => {
    expect(await ran(["sh", "-c", "sleep 1 & echo done"])).toMatchObject({ code: 0, out: "done\n" });
  });

  test("says why a command cannot be started", async () => {
    await expect(ran(["no-such-program"])).rejects.toMatchObject({ code: "E_EXEC_START", data: { errno: 2 } });
    await expect(ran(["/proc/version"])).rejects.toMatchObject({ code: "E_EXEC_START", data: { errno: 13 } });
    await expect(ran(["true"], { folder: "/no/such/folder" })).rejects.toMatchObject({ code: "E_EXEC_START", data: { errno: 2 } });
    await expect(ran(["x".repeat(300)])).rejects.toMatchObject({ code: "E_EXEC_START", data: { errno: 36 } });
    await expect(ran([])).rejects.toMatchObject({ code: "E_EXEC_COMMAND" });
    await expect(ran(["echo", "a\0b"])).rejects.toMatchObject({ code: "E_EXEC_COMMAND" });
    await expect(ran(["echo", "x".repeat(AgentLimit.CommandBytes)])).rejects.toMatchObject({ code: "E_EXEC_COMMAND" });
    expect((await ran(["sh", "-c", 'printf %s "$1" | wc -c', "sh", "y".repeat(30_000)])).out).toBe("30000\n");
  });

  test("one command more than there can be is told so, and the others go on", async () => {
    const many = await Promise.all(Array.from({ length: AgentLimit.Sessions }, () => begin(["cat"])));
    await expect(begin(["cat"])).rejects.toMatchObject({ code: "E_EXEC_BUSY" });
    for (const { session } of many) session.endInput();
    for (const { session } of many) expect(await session.ended).toMatchObject({ code: 0 });
    expect(await ran(["echo", "free"])).toMatchObject({ out: "free\n" });
  });

  test("random bytes on the line, and frames that make no sense, harm nobody else", async () => {
    const { session, out } = await begin(["cat"]);
    send(randomBytes(100_000));
    const wild = raw();
    for (let type = 0; type < 256; type++) if (type !== AgentFrame.Command) wild.send(type, randomBytes(AgentLimit.MaxPayload), type);
    wild.send(AgentFrame.Command, randomBytes(1000), 0);
    wild.send(AgentFrame.Run, undefined, 1);
    await wild.next(AgentFrame.End);
    await session.write(Buffer.from("whole"));
    session.endInput();
    expect(await session.ended).toMatchObject({ code: 0 });
    expect(out().toString()).toBe("whole");
  });

  test("more input than there is room for ends that command as lost", async () => {
    const flood = raw();
    flood.send(AgentFrame.Command, Buffer.from("/\x00\x00sleep\x001000\0"));
    flood.send(AgentFrame.Run);
    await flood.next(AgentFrame.Started);
    // The pipe takes 64 KiB, the agent InputWindow.
    for (let sent = 0; sent < 65_536 + 2 * AgentLimit.InputWindow; sent += AgentLimit.MaxPayload)
      flood.send(AgentFrame.Input, new Uint8Array(AgentLimit.MaxPayload));
    expect(endOf(await flood.next(AgentFrame.End))[0]).toBe(AgentEnd.Lost);
    expect(await ran(["echo", "next"])).toMatchObject({ out: "next\n" });
  });

  test("a frame that gets lost, whichever it is, is sent again", async () => {
    const input = randomBytes(2500);
    const digest = createHash("sha256").update(input).digest("hex");
    /** The frames of such a session: Command, Run, Input x 3, InputEnd; Started, InputRoom, Output, ErrorOutput, End; and those that are not counted. */
    const run = async (loses: Required<Begun>["loses"]): Promise<void> => {
      const end = await ran(["sh", "-c", "sha256sum; echo err >&2; exit 7"], { input, loses });
      expect(end).toEqual({ code: 7, signal: null, out: `${digest}  -\n`, err: "err\n" });
    };
    const nothing = (): boolean => false;
    const counted = ({ type }: AgentMessage): boolean => type !== AgentFrame.Hello && type !== AgentFrame.Ready;
    for (let first = 0; first < 8; first += 4) {
      await Promise.all(
        [0, 1, 2, 3].flatMap((nth) => {
          const [out, back] = [0, 1].map(() => {
            let count = 0;
            return (message: AgentMessage): boolean => counted(message) && count++ === first + nth;
          });
          return [run({ out: out ?? nothing, in: nothing }), run({ out: nothing, in: back ?? nothing })];
        }),
      );
    }
  });

  test("a line that loses many frames both ways costs time, and nothing else", async () => {
    const seed = seedOf(7);
    onTestFailed(() => void process.stderr.write(`exec: HVKIT_SEED=${seed}\n`));
    const random = randomFrom(seed);
    const data = randomBytes(scaled(100_000, 2_000_000));
    const loses = { out: () => random(100) < 3, in: () => random(100) < 3 };
    const { session, out } = await begin(["cat"], { loses });
    await session.write(data);
    session.endInput();
    expect(await session.ended).toEqual({ code: 0, signal: null });
    expect(out().equals(data)).toBe(true);
  });

  test("a command that was given up is not run a second time, whatever is sent again of it", {
    timeout: 150_000,
    skip: !nightly,
  }, async () => {
    const silent = raw();
    silent.send(AgentFrame.Command, Buffer.from("/\x00\x00sleep\x001000\x00"));
    silent.send(AgentFrame.Run);
    await silent.next(AgentFrame.Started);
    await new Promise((resolve) => setTimeout(resolve, 1000 * (AgentLimit.SilenceSeconds + 10)));
    silent.send(AgentFrame.Command, Buffer.from("/\x00\x00sleep\x001000\x00"), 0);
    expect(endOf(await silent.next(AgentFrame.End))[0]).toBe(AgentEnd.Lost);
  });

  test("a command of which nobody hears for long is killed", { timeout: 150_000, skip: !nightly }, async () => {
    const silent = raw();
    let text = "";
    const decoder = new AgentDecoder(({ type, payload }) => {
      if (type === AgentFrame.Output) text += Buffer.from(payload).toString();
    });
    readers.add((bytes) => decoder.push(bytes));
    silent.send(AgentFrame.Command, Buffer.from("/\x00\x00sh\x00-c\x00echo $$; exec sleep 1000\x00"));
    silent.send(AgentFrame.Run);
    await silent.next(AgentFrame.Started);
    await expect.poll(() => text, { timeout: PATIENCE_MS }).toMatch(/^\d+\n$/);
    await expect.poll(() => existsSync(`/proc/${Number(text)}/exe`), { timeout: 2000 * AgentLimit.SilenceSeconds }).toBe(false);
    silent.send(AgentFrame.Alive);
    expect(endOf(await silent.next(AgentFrame.End))[0]).toBe(AgentEnd.Lost);
  });

  test("an agent that sends more than there is room for is not listened to", async () => {
    const session = pretended((answer) => {
      for (let seq = 1; seq <= 1 + AgentLimit.OutputWindow / AgentLimit.MaxPayload; seq++) {
        answer(AgentFrame.Output, seq, new Uint8Array(AgentLimit.MaxPayload));
      }
    });
    await expect(session.ended).rejects.toMatchObject({ code: "E_EXEC_LOST" });
  });

  test("an agent that went back, or forgot what it had acknowledged, is told from a line that loses frames", async () => {
    const repeated = pretended((answer) => {
      for (const seq of [1, 2, 1]) answer(AgentFrame.Output, seq, new Uint8Array(4));
    });
    await expect(repeated.ended).rejects.toMatchObject({ code: "E_EXEC_LOST", message: expect.stringContaining("snapshot") });
    const shorter = pretended((answer) => {
      answer(AgentFrame.Output, 1, new Uint8Array(4));
      answer(AgentFrame.Alive, 1);
    });
    await expect(shorter.ended).rejects.toMatchObject({ code: "E_EXEC_LOST", message: expect.stringContaining("snapshot") });
    const forgetful = pretended((answer) => answer(AgentFrame.Again, 0, undefined, 0));
    await expect(forgetful.ended).rejects.toMatchObject({ code: "E_EXEC_LOST", message: expect.stringContaining("does not know it") });
  });

  test("an agent that is not there is told after the patience that was asked for", async () => {
    const session = new AgentSession({ write: async () => {} }, { output: () => {} });
    await expect(session.start({ words: ["true"], folder: "/", environment: {} }, 50)).rejects.toMatchObject({ code: "E_EXEC_NO_AGENT" });
  });

  test("when its line goes, its commands go", async () => {
    const { out } = await begin(["sh", "-c", "echo $$; exec sleep 1000"]);
    await expect.poll(() => out().toString(), { timeout: PATIENCE_MS }).toMatch(/^\d+\n$/);
    agent.stdin?.end();
    await expect.poll(() => existsSync(`/proc/${Number(out().toString())}/exe`), { timeout: PATIENCE_MS }).toBe(false);
  });
});
