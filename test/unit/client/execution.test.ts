// The whole way of a command but for the guest: client, daemon, console log, and the agent as it was built, run here. Linux on x86-64 only.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect, type Guest, type Hvkit } from "hvkit";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { projectRoot } from "../../../control/src/api/root.js";
import { HvkitError } from "../../../control/src/errors.js";
import { AgentDecoder, encodeAgentFrame } from "../../../control/src/link/agentframe.js";
import { AgentFrame } from "../../../protocol/agent.js";
import { EndReason } from "../../../protocol/messages.js";
import { Harness } from "../daemon/harness.js";

const AGENT = join(projectRoot(), "build/images/linux/agent");
const MAIN = join(projectRoot(), "build/js/control/src/cli/main.js");
const runs = process.platform === "linux" && process.arch === "x64" && existsSync(AGENT);
if (!runs) process.stderr.write("execution: skipped: the agent is a program of Linux on x86-64, built by node scripts/images.mjs\n");

describe.skipIf(!runs)("a command in a guest", { timeout: 60_000 }, () => {
  let harness: Harness;
  let hvkit: Hvkit;
  let guest: Guest;
  let agent: ChildProcess;
  /** what becomes of the agent's bytes on their way */
  let relay: (emit: (bytes: Uint8Array) => void) => (bytes: Uint8Array) => void;

  /** A command's frames up to its first output as one piece. */
  function upToOutput(emit: (bytes: Uint8Array) => void): (bytes: Uint8Array) => void {
    const waiting: Uint8Array[] = [];
    let through = false;
    const decoder = new AgentDecoder((message) => {
      const frame = encodeAgentFrame(message);
      through ||= message.type === AgentFrame.Output;
      if (!through && message.type !== AgentFrame.Ready) waiting.push(frame);
      else emit(Buffer.concat([...waiting.splice(0), frame]));
    });
    return (bytes) => decoder.push(bytes);
  }

  /** The guest's second serial port is the agent's line. */
  function startAgent(slot: number): void {
    agent = spawn(AGENT, ["-"], { stdio: ["pipe", "pipe", "inherit"] });
    agent.stdin?.on("error", () => {}); // one that was killed
    const emit = (bytes: Uint8Array): void => {
      if (harness.hypervisor.guests.has(slot)) harness.hypervisor.emit("console", slot, 1, bytes);
    };
    agent.stdout?.on("data", relay(emit));
  }

  /** the guest's CPU stands: of what is written for it, it takes a part, and is waited for in vain */
  let stands = false;

  beforeEach(async () => {
    stands = false;
    relay = (emit) => emit;
    harness = await Harness.start((hypervisor) => {
      hypervisor.consoleWrite = async (_slot, port, bytes) => {
        if (port !== 1) return;
        agent.stdin?.write(stands ? bytes.subarray(0, bytes.length / 2) : bytes);
        if (stands) throw new HvkitError("E_CONSOLE_FULL", "the guest does not read its console");
      };
    });
    hvkit = await connect({ path: harness.paths.socket });
    guest = await hvkit.run("linux", { name: "web" });
    startAgent(1);
  });
  afterEach(async () => {
    agent.kill("SIGKILL");
    await hvkit.close();
    await harness.stop();
  });

  const cli = (input: string | Uint8Array, ...words: string[]) => run(input, MAIN, "exec", ...words);
  const run = (input: string | Uint8Array, ...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> =>
    new Promise((resolve) => {
      const env = { ...process.env, XDG_RUNTIME_DIR: harness.folder, NO_COLOR: "1" };
      const child = execFile(process.execPath, args, { env }, (error, stdout, stderr) => {
        resolve({ code: error ? Number(error.code ?? -1) : 0, stdout, stderr });
      });
      child.stdin?.on("error", () => {}); // a command that does not read
      child.stdin?.end(input);
    });

  test("from two programs at once, each has its own", async () => {
    const other = await connect({ path: harness.paths.socket });
    const data = randomBytes(100_000);
    const [one, two, three] = await Promise.all([
      guest.exec(["cat"], { input: data }),
      (await other.guest("web")).exec(["sh", "-c", "cat; exit 3"], { input: "two" }),
      guest.exec(["sh", "-c", "echo $X >&2; kill -TERM $$"], { env: { X: "three" } }),
    ]);
    await other.close();
    expect(one.stdout.equals(data)).toBe(true);
    expect({ code: two.code, stdout: two.stdout.toString() }).toEqual({ code: 3, stdout: "two" });
    expect(three).toMatchObject({ code: 143, signal: "SIGTERM", stderr: Buffer.from("three\n") });
  });

  test("input may come bit by bit, and ends with the command", async () => {
    let left = false;
    async function* input(): AsyncGenerator<Uint8Array> {
      try {
        for (let count = 0; ; count++) yield Buffer.from(`${count}\n`);
      } finally {
        left = true;
      }
    }
    const { code, stdout } = await guest.exec(["head", "-n", "3"], { input: input() });
    expect({ code, stdout: stdout.toString() }).toEqual({ code: 0, stdout: "0\n1\n2\n" });
    await expect.poll(() => left, { timeout: 10_000 }).toBe(true);
  });

  test("that is aborted ends, even if it does not heed the first signal", async () => {
    const controller = new AbortController();
    let pid = 0;
    const onOutput = (bytes: Uint8Array): void => {
      pid = Number(Buffer.from(bytes).toString());
    };
    const streams = { onOutput, onErrorOutput: () => {} };
    const execution = await guest.spawn(["sh", "-c", "trap '' TERM; echo $$; while :; do sleep 0.1; done"], streams, {
      signal: controller.signal,
    });
    await expect.poll(() => pid, { timeout: 10_000 }).toBeGreaterThan(0);
    controller.abort(new Error("enough"));
    await expect(execution.ended).rejects.toThrow("enough");
    await expect.poll(() => existsSync(`/proc/${pid}/exe`), { timeout: 10_000 }).toBe(false);
  });

  test("waits for a guest that is paused, and goes on with it", async () => {
    const data = randomBytes(50_000);
    const parts: Uint8Array[] = [];
    let wasPaused = false;
    async function* input(): AsyncGenerator<Uint8Array> {
      yield data.subarray(0, 10_000);
      stands = true;
      await guest.pause();
      setTimeout(() => {
        wasPaused = true;
        stands = false;
        guest.unpause().catch(() => {}); // the command's end tells
      }, 1000);
      yield data.subarray(10_000);
    }
    const streams = { onOutput: (bytes: Uint8Array) => void parts.push(bytes), onErrorOutput: () => {} };
    const execution = await guest.spawn(["cat"], streams, { input: input() });
    expect(await execution.ended).toMatchObject({ code: 0 });
    expect(wasPaused).toBe(true);
    expect(Buffer.concat(parts).equals(data)).toBe(true);
  });

  test("fails when its guest runs, and does not read", async () => {
    const execution = await guest.spawn(["cat"], { onOutput: () => {}, onErrorOutput: () => {} });
    stands = true;
    await execution.kill("SIGTERM");
    await expect(execution.ended).rejects.toMatchObject({ code: "E_CONSOLE_FULL" });
  });

  test("ends when its guest ends, and says why", async () => {
    const streams = { onOutput: () => {}, onErrorOutput: () => {} };
    const execution = await guest.spawn(["sleep", "1000"], streams);
    harness.hypervisor.write(1, "[    2.0] Kernel panic - not syncing: out of luck\n");
    harness.hypervisor.end(1, EndReason.TripleFault);
    await expect(execution.ended).rejects.toMatchObject({
      code: "E_EXEC_GUEST_ENDED",
      message: expect.stringContaining("out of luck"),
      data: { panic: { reason: "out of luck" } },
    });
  });

  test("is given up when its guest's kernel panics and stands still; not while the guest has no time", async () => {
    const streams = { onOutput: (bytes: Uint8Array) => void said.push(bytes), onErrorOutput: () => {} };
    const said: Uint8Array[] = [];
    const execution = await guest.spawn(["sh", "-c", "while :; do echo tick; sleep 0.1; done"], streams);
    const ticks = async (): Promise<void> => {
      const before = said.length;
      await expect.poll(() => said.length, { timeout: 10_000 }).toBeGreaterThan(before);
    };
    await ticks();
    const looks = vi.spyOn(harness.hypervisor, "guestStat");
    agent.kill("SIGSTOP");
    await expect.poll(() => looks.mock.calls.length, { timeout: 20_000 }).toBeGreaterThan(1);
    agent.kill("SIGCONT");
    await ticks();
    agent.kill("SIGSTOP");
    const reason = "Kernel panic - not syncing: out of luck";
    harness.hypervisor.write(1, `[    2.0] ${reason}\n[    2.1] ---[ end ${reason} ]---\n`);
    await expect(execution.ended).rejects.toMatchObject({
      code: "E_EXEC_SILENT",
      message: expect.stringContaining("out of luck"),
      data: { panic: { reason: "out of luck" } },
    });
  });

  test("is lost when the agent is started anew", async () => {
    const execution = await guest.spawn(["sleep", "1000"], { onOutput: () => {}, onErrorOutput: () => {} });
    agent.kill("SIGKILL");
    startAgent(1);
    await expect(execution.ended).rejects.toMatchObject({ code: "E_EXEC_LOST" });
    expect((await guest.exec(["echo", "again"])).stdout.toString()).toBe("again\n");
  });

  test("^C reaches the command, even with its first output", async () => {
    // All that the agent says until then comes at once: hvkit hears the signal in the same turn in which the command starts.
    relay = upToOutput;
    agent.kill("SIGKILL");
    startAgent(1);
    const hook = join(harness.folder, "hook.mjs");
    writeFileSync(
      hook,
      `const { write } = process.stdout;
      process.stdout.write = function (...args) {
        process.stdout.write = write;
        const written = write.apply(this, args);
        process.kill(process.pid, "SIGINT");
        return written;
      };`,
    );
    const words = ["exec", "web", "--", "sh", "-c", "trap 'echo caught; exit 3' INT; echo ready; while :; do sleep 0.1; done"];
    const ended = run("", "--import", hook, MAIN, ...words);
    expect(await ended).toEqual({ code: 3, stdout: "ready\ncaught\n", stderr: "" });
  });

  test("^C a third time leaves a command whose guest is silent", async () => {
    const env = { ...process.env, XDG_RUNTIME_DIR: harness.folder, NO_COLOR: "1" };
    const child = spawn(process.execPath, [MAIN, "exec", "web", "-n", "--", "sh", "-c", "echo ready; exec sleep 1000"], { env });
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
    let said = "";
    child.stderr.on("data", (bytes: Buffer) => {
      said += bytes.toString();
    });
    await new Promise((resolve) => child.stdout.once("data", resolve));
    agent.kill("SIGSTOP");
    for (let count = 0; count < 3; count++) {
      child.kill("SIGINT");
      await new Promise((resolve) => setTimeout(resolve, 300)); // signals that come together are one
    }
    expect(await ended).toBe(130);
    expect(said).toContain("E_INTERRUPTED");
  });

  test("on the command line: streams, exit codes, JSON", async () => {
    expect(await cli("in", "web", "--", "sh", "-c", "cat; echo err >&2; exit 42")).toEqual({ code: 42, stdout: "in", stderr: "err\n" });
    expect(await cli("in", "web", "-n", "-w", "/proc", "-e", "A=b=c", "--", "sh", "-c", 'pwd; echo "$A"; cat')).toMatchObject({
      code: 0,
      stdout: "/proc\nb=c\n",
    });
    expect(await cli("", "web", "--", "no-such-program")).toMatchObject({
      code: 127,
      stderr: expect.stringMatching(/^hvkit: E_EXEC_START: /),
    });
    expect(await cli("", "web", "--", "/proc/version")).toMatchObject({ code: 126 });
    expect(await cli("", "nobody", "--", "ls")).toMatchObject({ code: 125, stderr: expect.stringMatching(/^hvkit: E_NO_GUEST: /) });
    const { stdout } = await cli("", "web", "--json", "--", "sh", "-c", "echo out; echo err >&2; kill -9 $$");
    expect(JSON.parse(stdout)).toEqual({ guest: "web", code: 137, signal: "SIGKILL", stdout: "out\n", stderr: "err\n" });
    const piped = await new Promise<string>((resolve) => {
      const env = { ...process.env, XDG_RUNTIME_DIR: harness.folder };
      const script = `("${process.execPath}" "${MAIN}" exec web -- sh -c 'yes; echo left' </dev/null; echo $? >&2) | head -n 2`;
      execFile("sh", ["-c", script], { env }, (_error, stdout, stderr) => resolve(stdout + stderr));
    });
    expect(piped).toBe("y\ny\n141\n");
    await guest.pause();
    expect(await cli("", "web", "--", "ls")).toMatchObject({ code: 125, stderr: expect.stringMatching(/^hvkit: E_GUEST_STATE: /) });
  });
});
