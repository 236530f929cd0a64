// The whole way, as a person goes it: `hvkit` commands, the daemon, the engine, a Linux guest. One session per engine; its steps
// stand in the order of a day's work, and each needs those before it.
import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { TopSample } from "../../control/src/api/top.js";
import { exitReasonName } from "../../control/src/hypervisor/texts.js";
import { ExitReason } from "../../protocol/state.js";
import { root } from "./support/machine.js";
import { within } from "./support/suite.js";
import { onEachEngine } from "./support/targets.js";

interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

onEachEngine("command line", (target) => {
  let folder = "";
  const nonce = randomBytes(8).toString("hex");
  const data = randomBytes(4321);

  const hvkit = (...args: string[]): Promise<Ran> =>
    new Promise((resolve) => {
      const env = { ...process.env, XDG_RUNTIME_DIR: folder, NO_COLOR: "1" };
      execFile(
        process.execPath,
        [join(root, "build/js/control/src/cli/main.js"), ...args],
        { env, maxBuffer: 2 ** 26 },
        (error, stdout, stderr) => {
          resolve({ code: error ? Number(error.code ?? 1) : 0, stdout, stderr });
        },
      );
    });
  const startExec = (guest: string, ...words: string[]) => {
    const env = { ...process.env, XDG_RUNTIME_DIR: folder, NO_COLOR: "1" };
    const main = join(root, "build/js/control/src/cli/main.js");
    let finish = (_ran: Ran): void => {};
    const done = new Promise<Ran>((resolve) => {
      finish = resolve;
    });
    const child = execFile(process.execPath, [main, "exec", guest, "--", ...words], { env }, (error, stdout, stderr) => {
      finish({ code: error ? Number(error.code ?? 1) : 0, stdout, stderr });
    });
    return { child, done };
  };
  const execIn = (guest: string, input: string | Buffer, ...words: string[]): Promise<Ran> => {
    const { child, done } = startExec(guest, ...words);
    child.stdin?.on("error", () => {}); // a command that does not read
    child.stdin?.end(input);
    return done;
  };
  const ok = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await hvkit(...args);
    if (code !== 0) throw new Error(`hvkit ${args.join(" ")} ended with ${code}: ${stderr}${stdout}`);
    return stdout;
  };
  const json = async (...args: string[]): Promise<Record<string, unknown>> =>
    JSON.parse(await ok(...args, "--json")) as Record<string, unknown>;
  const inspect = async (guest: string): Promise<unknown> => (JSON.parse(await ok("inspect", guest, "--json")) as unknown[])[0];
  const fails = async (code: string, ...args: string[]): Promise<void> => {
    const ran = await hvkit(...args);
    expect(ran.stderr).toContain(code);
    expect(ran.code).toBe(1);
    const asJson = await hvkit(...args, "--json");
    expect(JSON.parse(asJson.stderr.trim().split("\n").at(-1) ?? "")).toMatchObject({ error: { code } });
  };
  const logged = async (guest: string, text: string, seconds: number): Promise<string> => {
    const until = Date.now() + within(target, seconds);
    for (;;) {
      const log = await ok("logs", guest);
      if (log.includes(text)) return log;
      if (Date.now() > until) throw new Error(`${guest} does not show ${text}:\n${log}`);
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  };

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "hvkit-cli-"));
    writeFileSync(join(folder, "data.bin"), data);
  });
  afterAll(async () => {
    if (folder === "") return;
    await hvkit("down");
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  test("before `up`, commands say so", () => fails("E_NOT_UP", "ps"), within(target, 20));

  test(
    "up",
    async () => {
      const args = ["up", "--engine", target.engine, "--memory", "640M", ...(target.engine === "qemu" ? ["--accel", target.accel] : [])];
      const status = await json(...args);
      expect(status).toMatchObject({ state: "running", hypervisor: { vendor: target.vendor } });
      expect((await json(...args)).pid).toBe(status.pid);
      await fails("E_ALREADY_UP", ...args, "--memory", "96M");
    },
    within(target, 120),
  );

  test(
    "images, run, logs: Linux prints the nonce, the digest and its release",
    async () => {
      expect(await ok("images")).toMatch(/linux/);
      const id = (await ok("run", "linux", "--name", "web", "--append", `nonce=${nonce}`, "--add", join(folder, "data.bin"), "-d")).trim();
      expect(id).toMatch(/^[0-9a-f]{12}$/);
      const digest = createHash("sha256").update(data).digest("hex");
      const log = await logged("web", `hvkit: sha256 ${digest}  /add/data.bin`, 90);
      expect(log).toContain(`hvkit: nonce ${nonce}`);
      expect(log).toMatch(/hvkit: kernel 6\.1\.0-\d+-cloud-amd64/);
    },
    within(target, 150),
  );

  test(
    "a second guest runs beside it; ps, inspect, regs, mem, stats, status tell of them",
    async () => {
      await ok("run", "hello64", "--name", "hello", "-d");
      await logged("hello", "hello64: tick 1", 30);
      const guests = JSON.parse(await ok("ps", "--json")) as { name: string; state: string }[];
      expect(guests.map(({ name, state }) => `${name} ${state}`).sort()).toEqual(["hello running", "web running"]);
      expect(await ok("ps")).toMatch(/web/);
      expect(await inspect("web")).toMatchObject({ name: "web", kind: "linux", state: "running" });
      expect(await ok("regs", "web")).toMatch(/rip/i);
      expect(await json("regs", "web")).toHaveProperty("registers.rip");
      const memory = await json("mem", "hello", "0x100000", "4");
      expect(memory.hex).toBe("7f454c46");
      const stats = await json("stats", "web");
      expect(Number(stats.exits)).toBeGreaterThan(100);
      expect(stats.nestedFaults).toBe("0");
      const table = await ok("stats", "web");
      for (const reason of [ExitReason.Cpuid, ExitReason.Hlt, ExitReason.IoIn, ExitReason.IoOut, ExitReason.Rdmsr, ExitReason.Wrmsr]) {
        expect(table).toMatch(new RegExp(`^${exitReasonName(reason)} +[1-9]\\d* +\\d+\\.\\d %$`, "m"));
      }
      expect(await json("status")).toMatchObject({ guests: { total: 2, running: 2 }, restarts: 0 });
    },
    within(target, 60),
  );

  test(
    "exec runs commands in Linux: exit code, input, output and error apart; in no other guest",
    async () => {
      const input = randomBytes(3000);
      const { code, stdout, stderr } = await execIn("web", input, "sh", "-c", "sha256sum; echo err >&2; exit 7");
      const digest = createHash("sha256").update(input).digest("hex");
      expect({ code, stdout, stderr }).toEqual({ code: 7, stdout: `${digest}  -\n`, stderr: "err\n" });
      expect(await execIn("web", "", "sh", "-c", "kill -9 $$")).toMatchObject({ code: 137 });
      expect(await execIn("web", "", "no-such-program")).toMatchObject({ code: 127, stderr: expect.stringContaining("E_EXEC_START") });
      expect(await execIn("hello", "", "uname")).toMatchObject({ code: 125, stderr: expect.stringContaining("E_EXEC_GUEST") });
      const { done, child } = startExec("web", "sh", "-c", "trap 'echo caught; exit 3' INT; echo ready; while :; do sleep 1; done");
      await Promise.race([new Promise((resolve) => child.stdout?.once("data", resolve)), done]); // one that fails says why, below
      child.kill("SIGINT");
      expect(await done).toEqual({ code: 3, stdout: "ready\ncaught\n", stderr: "" });
    },
    within(target, 90),
  );

  test(
    "clone makes copies that know it, and answer for themselves; the source goes on",
    async () => {
      expect(await ok("clone", "web", "--count", "2")).toBe("web-1\nweb-2\n");
      const [copy] = (await json("clone", "web", "third")) as unknown as { name: string; clone: object }[];
      expect(copy).toMatchObject({ name: "third", state: "running", clone: { of: { name: "web" } } });
      const generations: string[] = [];
      for (const guest of ["web-1", "web-2", "third"]) {
        expect((await execIn(guest, "", "hostname")).stdout).toBe(`${guest}\n`);
        generations.push((await execIn(guest, "", "generation")).stdout);
      }
      expect(new Set([...generations, (await execIn("web", "", "generation")).stdout]).size).toBe(4);
      expect(await ok("rm", "-f", "web-1", "web-2", "third")).toContain("third");
      await fails("E_NO_GUEST", "clone", "web-1");
    },
    within(target, 120),
  );

  test(
    "trace and top show what the guests do",
    async () => {
      await fails("E_HV_NOT_TRACED", "trace", "hello");
      await ok("trace", "hello", "--on");
      await ok("stats", "hello", "--time", "on");
      const { guests } = JSON.parse(await ok("top", "-i", "1", "-n", "1", "--json")) as TopSample;
      const hello = guests.find(({ name }) => name === "hello");
      expect(hello).toMatchObject({ state: "running", hypervisorPercent: expect.any(Number) });
      const shares = [hello?.runPercent, hello?.hypervisorPercent, hello?.haltPercent, hello?.waitPercent, hello?.pausedPercent];
      expect(Math.abs(shares.reduce<number>((sum, share) => sum + (share ?? 0), 0) - 100)).toBeLessThan(1);
      expect(await ok("top", "-i", "0.5")).toMatch(/^GUEST +STATE .*\n(.*\n)?hello +running/m);
      // The timer's interrupt handler ends its interrupt, whatever else the guest does.
      expect(await ok("trace", "hello", "--reason", "io-out", "--port", "20", "-n", "2")).toMatch(
        /( +\d+ +\d+\.\d{6} +[0-9A-F]+ {2}OUT 20h 20h\n){2}$/,
      );
      const file = join(folder, "hello.jsonl");
      await ok("trace", "hello", "-o", file);
      expect(await ok("trace", "--diff", file, file)).toMatch(/they are alike: [1-9]\d* exits/);
      await ok("trace", "hello", "--off");
      await fails("E_HV_NOT_TRACED", "trace", "hello");
      // What was begun for a reader ends with it.
      const main = join(root, "build/js/control/src/cli/main.js");
      await new Promise((resolve) => {
        const env = { ...process.env, XDG_RUNTIME_DIR: folder };
        execFile("sh", ["-c", `"${process.execPath}" "${main}" trace hello -f | head -3`], { env }, resolve);
      });
      expect(await json("stats", "hello")).toMatchObject({ traced: false });
    },
    within(target, 60),
  );

  test(
    "wrong requests get their codes",
    async () => {
      await fails("E_NAME_TAKEN", "run", "hello64", "--name", "web", "-d");
      await fails("E_HV_NO_MEMORY", "run", "hello64", "--memory", "2G", "-d");
      await fails("E_MEMORY_SIZE", "run", "hello64", "--memory", "3M", "-d");
      await fails("E_NO_IMAGE", "run", "no-such-image", "-d");
      await fails("E_NO_GUEST", "regs", "nobody");
      await fails("E_GUEST_RUNNING", "rm", "web");
      const bad = join(folder, "bad");
      mkdirSync(bad);
      writeFileSync(
        join(bad, "image.json"),
        JSON.stringify({ name: "bad", description: "x", kind: "linux", memory: 7, files: { kernel: "k" } }),
      );
      await fails("E_MANIFEST", "run", bad, "-d");
      writeFileSync(
        join(bad, "image.json"),
        JSON.stringify({ name: "bad", description: "x", kind: "bootsector", memory: "2M", files: { kernel: "k" }, extra: 1 }),
      );
      await fails("E_MANIFEST", "run", bad, "-d");
      expect((await hvkit("run")).code).toBe(2);
      expect((await hvkit("frobnicate")).code).toBe(2);
      expect(JSON.parse(await ok("ps", "--json"))).toHaveLength(2);
    },
    within(target, 60),
  );

  test(
    "pause, unpause, reset, kill, stop, rm",
    async () => {
      await ok("pause", "hello");
      expect(await inspect("hello")).toMatchObject({ state: "paused" });
      await ok("unpause", "hello");
      await ok("reset", "hello");
      expect(await inspect("hello")).toMatchObject({ state: "running", restarts: 1 });
      await ok("kill", "hello");
      expect(await inspect("hello")).toMatchObject({ state: "exited", end: { code: "killed" } });
      await ok("rm", "hello");
      const done = await ok("run", "hello16");
      expect(done).toContain("hello16: done");
      await ok("stop", "web");
      await ok("rm", "web");
    },
    within(target, 60),
  );

  test(
    "doctor says what `up` uses; down ends all, and leaves no process, socket or file behind",
    async () => {
      const doctor = await hvkit("doctor");
      expect(doctor.stdout).toMatch(/hvkit up/);
      expect(processesOf(folder).length).toBeGreaterThan(1);
      await ok("down");
      // The daemon itself goes when its answer is on its way.
      await expect.poll(() => processesOf(folder), { timeout: within(target, 10) }).toEqual([]);
      const own = ["bad", "data.bin", "hello.jsonl"]; // of these tests
      const left = () => readdirSync(folder).filter((name) => !own.includes(name));
      expect(left()).toEqual([]);
      await fails("E_NOT_UP", "ps");
      expect(left()).toEqual([]);
    },
    within(target, 60),
  );
});

/** Processes that have a run folder in their environment or their arguments: its daemon, and its engine. */
function processesOf(folder: string): string[] {
  const has = (pid: string): boolean => {
    try {
      return ["environ", "cmdline"].some((file) => readFileSync(`/proc/${pid}/${file}`, "latin1").includes(folder));
    } catch {
      // It is gone, or another user's.
      return false;
    }
  };
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name) && has(name));
}
