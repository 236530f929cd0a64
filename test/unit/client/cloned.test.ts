// The agent of images/linux when it is told that its guest is a copy, run here with a host name of its own (a UTS namespace): Linux on x86-64 that
// gives one. That the kernel takes the entropy is seen in a guest: test/contract/clones.test.ts.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { projectRoot } from "../../../control/src/api/root.js";
import { AgentSession } from "../../../control/src/client/agentsession.js";
import { AgentDecoder, type AgentMessage, encodeAgentFrame } from "../../../control/src/link/agentframe.js";
import { AgentCloned, AgentFrame, AgentLimit } from "../../../protocol/agent.js";

const AGENT = join(projectRoot(), "build/images/linux/agent");
const runs =
  process.platform === "linux" && process.arch === "x64" && existsSync(AGENT) && spawnSync("unshare", ["--uts", "true"]).status === 0;
if (!runs) process.stderr.write("cloned: skipped: needs the agent (node scripts/images.mjs) and `unshare --uts`, which root may do\n");

const PATIENCE_MS = 20_000;

describe.skipIf(!runs)("the agent in a copy", { timeout: 60_000 }, () => {
  let agent: ChildProcess;
  let came: AgentMessage[];
  const readers = new Set<(bytes: Uint8Array) => void>();

  beforeEach(() => {
    came = [];
    readers.clear();
    agent = spawn("unshare", ["--uts", AGENT, "-"], { stdio: ["pipe", "pipe", "inherit"] });
    const decoder = new AgentDecoder((message) => came.push({ ...message, payload: Uint8Array.from(message.payload) }));
    readers.add((bytes) => decoder.push(bytes));
    agent.stdout?.on("data", (bytes: Buffer) => {
      for (const reader of readers) reader(bytes);
    });
  });
  afterEach(() => {
    agent.kill("SIGKILL");
  });

  const write = (bytes: Uint8Array): Promise<void> =>
    new Promise((resolve, reject) => {
      agent.stdin?.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  const tell = (payload: Uint8Array): Promise<void> =>
    write(encodeAgentFrame({ session: 0n, seq: 0, ack: 0, type: AgentFrame.Cloned, payload }));
  const cloned = (generation: bigint, name: string): Buffer => {
    const payload = Buffer.alloc(AgentCloned.Name + name.length, 0xaa);
    payload.writeBigUInt64LE(generation, AgentCloned.Generation);
    payload.write(name, AgentCloned.Name);
    return payload;
  };
  const begin = async (words: string[], output: (text: string) => void = () => {}): Promise<AgentSession> => {
    const session = new AgentSession({ write }, { output: (bytes) => output(Buffer.from(bytes).toString()) });
    readers.add((bytes) => session.push(bytes));
    await session.start({ words, folder: "/", environment: { PATH: "/bin:/usr/bin" } }, PATIENCE_MS);
    return session;
  };
  /** Ready of no session: version, generation. */
  const ready = (): [number, bigint][] =>
    came
      .filter(({ session, type }) => session === 0n && type === AgentFrame.Ready)
      .map(({ ack, payload }) => [ack, Buffer.from(payload).readBigUInt64LE()]);

  test("has the copy's name, says its number, and ends what was begun before", async () => {
    let pid = "";
    const before = await begin(["sh", "-c", "echo $$; sleep 1000 & wait"], (text) => {
      pid += text;
    });
    await expect.poll(() => pid).toMatch(/^\d+\n$/);
    await expect.poll(ready).toEqual([[AgentLimit.Version, 0n]]);
    await tell(cloned(2n ** 40n + 7n, "web-1"));
    await expect(before.ended).rejects.toMatchObject({ code: "E_EXEC_LOST" });
    expect(ready().at(-1)).toEqual([AgentLimit.Version, 2n ** 40n + 7n]);
    await expect.poll(() => existsSync(`/proc/${pid.trim()}`)).toBe(false);
    const texts: string[] = [];
    const after = await begin(["sh", "-c", "hostname"], (text) => texts.push(text));
    after.endInput();
    await after.ended;
    expect(texts.join("").split("\n")[0]).toBe("web-1");
    expect(hostname()).not.toBe("web-1");
    // And of the copy of the copy.
    await tell(cloned(2n ** 40n + 8n, "web-1-1"));
    await expect.poll(() => ready().at(-1)).toEqual([AgentLimit.Version, 2n ** 40n + 8n]);
  });

  test("does not heed one that is cut short, and keeps its name for one that has none", async () => {
    await tell(cloned(7n, "x").subarray(0, AgentCloned.Name - 1));
    await tell(cloned(8n, ""));
    await expect.poll(ready).toEqual([
      [AgentLimit.Version, 0n],
      [AgentLimit.Version, 8n],
    ]);
    const texts: string[] = [];
    const session = await begin(["hostname"], (text) => texts.push(text));
    session.endInput();
    await session.ended;
    expect(texts.join("")).toBe(`${hostname()}\n`);
  });
});
