// Debian's gdb on Debian's kernel, by the commands that a person gives: a breakpoint at start_kernel before the guest's first instruction, back
// traces with names, steps, on to user space; two debuggers at once, a gdb that is killed, a guest that goes while it is debugged.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { root } from "./support/machine.js";
import { within } from "./support/suite.js";
import { onEachEngine } from "./support/targets.js";

const HVKIT = join(root, "build/js/control/src/cli/main.js");

onEachEngine("gdb", (target) => {
  let folder = "";
  const environment = (): NodeJS.ProcessEnv => ({ ...process.env, XDG_RUNTIME_DIR: folder, NO_COLOR: "1" });

  const run = (program: string, args: readonly string[], seconds: number): Promise<{ code: number; output: string; stdout: string }> =>
    new Promise((resolve) => {
      const options = { env: environment(), timeout: within(target, seconds), maxBuffer: 2 ** 24 };
      const child = execFile(program, args, options, (error, stdout, stderr) =>
        resolve({ code: error ? Number(error.code ?? 1) : 0, output: stdout + stderr, stdout }),
      );
      child.stdin?.end();
    });
  const hvkit = (...args: string[]) => run(process.execPath, [HVKIT, ...args], 60);
  const ok = async (...args: string[]): Promise<string> => {
    const { code, output, stdout } = await hvkit(...args);
    if (code !== 0) throw new Error(`hvkit ${args.join(" ")} ended with ${code}: ${output}`);
    return stdout;
  };
  /** gdb, unattended: what it says. */
  const gdb = async (guest: string, ...commands: string[]): Promise<string> =>
    (await hvkit("debug", guest, "--", "-batch", ...commands.flatMap((command) => ["-ex", command]))).output;
  /** `hvkit debug` as a server. */
  const serve = async (guest: string): Promise<{ child: ChildProcess; port: number }> => {
    const child = spawn(process.execPath, [HVKIT, "debug", guest, "--json", "--no-symbols"], {
      env: environment(),
      stdio: ["ignore", "pipe", "ignore"],
    });
    let text = "";
    for await (const part of child.stdout) {
      text += String(part);
      if (text.includes("}")) break;
    }
    return { child, port: (JSON.parse(text) as { port: number }).port };
  };
  const stateOf = async (guest: string): Promise<string> => (JSON.parse(await ok("inspect", guest)) as { state: string }[])[0]?.state ?? "";
  const until = async (what: () => Promise<boolean>, seconds: number): Promise<void> => {
    for (const end = Date.now() + within(target, seconds); !(await what()); ) {
      if (Date.now() > end) throw new Error(`not within ${seconds} s: ${what.toString()}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };

  /** A guest of that name, if no test before has left it. */
  const there = async (name: string, image: string): Promise<void> => {
    if ((await hvkit("inspect", name)).code !== 0) await ok("run", image, "-d", "--name", name);
  };

  beforeAll(
    async () => {
      folder = mkdtempSync(join(tmpdir(), "hvkit-gdb-"));
      await ok("up", "--engine", target.engine, "--memory", "256M", ...(target.engine === "qemu" ? ["--accel", target.accel] : []));
    },
    within(target, 60),
  );
  afterAll(async () => {
    if (folder === "") return;
    await hvkit("down");
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  test(
    "stops at start_kernel, names the callers, steps, and the kernel goes on to user space",
    async () => {
      await ok("run", "linux", "--paused", "-d", "--name", "web");
      expect(await stateOf("web")).toBe("paused");
      const steps = Array.from({ length: 3 }, () => "stepi");
      const said = await gdb(
        "web",
        "info registers cr0 efer",
        ...["hbreak start_kernel", "continue", "bt", ...steps, "bt"],
        ...["break run_init_process", "continue", "bt", "delete", "monitor info", "detach"],
      );
      expect(said).toMatch(/cr0 +0x\w+ +\[ PE .*PG \]/);
      expect(said).toMatch(/efer +0x500 +\[ LME LMA \]/);
      expect(said).toMatch(
        /Breakpoint 1, 0x\w+ in start_kernel \(\)\n#0 +0x\w+ in start_kernel \(\)\n#1 +0x\w+ in secondary_startup_64_no_verify/,
      );
      // The first instruction of a kernel function calls the tracer's hook, and comes back.
      expect(said).toMatch(/in __fentry__ \(\)\n.*\n.*in start_kernel|in __x86_return_thunk \(\)\n#1 +0x\w+ in start_kernel/);
      expect(said).toMatch(
        /Breakpoint 2, 0x\w+ in run_init_process \(\)\n#0 .*\n#1 +0x\w+ in kernel_init \(\)\n#2 +0x\w+ in ret_from_fork/,
      );
      expect(said).toMatch(/state: +paused/);
      await until(async () => (await ok("logs", "web")).includes("hvkit: user space reached"), 40);
    },
    within(target, 120),
  );

  test(
    "one debugger at a time; the second is told why, and a gdb that is killed leaves a guest that runs",
    async () => {
      await there("web", "linux");
      const { child, port } = await serve("web");
      const first = spawn("gdb", ["-q", "-nx", "-batch", "-ex", `target remote 127.0.0.1:${port}`, "-ex", "shell sleep 60"], {
        stdio: "ignore",
      });
      try {
        await until(async () => (await stateOf("web")) === "paused", 20);
        expect(await gdb("web", "info registers rip")).toContain("E_DEBUG_ATTACHED");
        expect((await hvkit("unpause", "web")).output).toContain("E_DEBUG_ATTACHED");
        expect(await ok("why", "web")).toContain("in a debugger's hands");
        first.kill("SIGKILL");
        await until(async () => (await stateOf("web")) === "running", 20);
        // The port serves the next one.
        const again = await run("gdb", ["-q", "-nx", "-batch", "-ex", `target remote 127.0.0.1:${port}`, "-ex", "x/2xb $rip"], 30);
        expect(again.output).toMatch(/0x\w+:\s+0x\w\w\s+0x\w\w/);
        expect(await stateOf("web")).toBe("running");
      } finally {
        first.kill("SIGKILL");
        child.kill("SIGINT");
      }
    },
    within(target, 60),
  );

  test(
    "a guest that is reset or removed while it is debugged is told to gdb; all else goes on",
    async () => {
      await there("web", "linux");
      const { child, port } = await serve("web");
      const commands = [`target remote 127.0.0.1:${port}`, "shell sleep 2", "continue", "info program"];
      const waiting = run("gdb", ["-q", "-nx", "-batch", ...commands.flatMap((command) => ["-ex", command])], 60);
      await until(async () => (await stateOf("web")) === "paused", 20);
      await until(async () => (await stateOf("web")) === "running", 20);
      // A core file wants a guest that stands, and this one is gdb's to stop.
      expect((await hvkit("dump", "web", "-o", join(folder, "core"))).output).toContain("E_DEBUG_ATTACHED");
      await ok("rm", "-f", "web");
      const { output } = await waiting;
      expect(output).toMatch(/hvkit: web is not what it was|Program terminated with signal SIGKILL/);
      expect(output).toMatch(/not being run/);
      // Nothing is left to serve.
      await new Promise<void>((resolve) => (child.exitCode === null ? child.once("exit", () => resolve()) : resolve()));
      await there("clock", "hello64");
      await until(async () => (await ok("logs", "clock")).includes("tick 1"), 20);
      expect(await ok("ps")).toMatch(/clock/);
    },
    within(target, 60),
  );

  test(
    "the hypervisor itself: the engine's own stub, with names, or why there is none",
    async () => {
      // A CPU that has nothing to do sleeps in its turn: one whose guest ticks begins another one soon.
      await there("clock", "hello64");
      const commands = ["hbreak sched_loop", "continue", "bt", "detach"];
      const { output } = await hvkit("debug", "--hypervisor", "--", "-batch", ...commands.flatMap((command) => ["-ex", command]));
      if (target.engine === "bochs") expect(output).toMatch(/E_DEBUG_ENGINE.*hvkit up --engine qemu/);
      else expect(output).toMatch(/Breakpoint 1, sched_loop \(\) at hv\/asm\/sched.asm:\d+/);
      expect(await ok("status")).toMatch(/running/);
    },
    within(target, 60),
  );
});
