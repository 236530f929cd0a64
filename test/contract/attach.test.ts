// A hypervisor that was booted elsewhere, by the command line: over a tty, and over a bridge. Elsewhere is a QEMU that only the test
// knows of; its serial port is a pty, or a Unix socket.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Status } from "../../control/src/api/schemas.js";
import { findProgram } from "../../control/src/engines/probe.js";
import { readToken } from "../../control/src/transport/token.js";
import { connectWebSocket } from "../../control/src/transport/websocket.js";
import { randomFrom, scaled, seedOf } from "../support/scale.js";
import { ElsewhereMachine } from "./support/elsewhere.js";
import { root, startEngine } from "./support/machine.js";
import { SerialSocket } from "./support/serialsocket.js";
import { engineProblem } from "./support/targets.js";

const MAIN = join(root, "build/js/control/src/cli/main.js");
const PATIENCE = { timeout: 60_000, interval: 200 };
const why =
  process.platform !== "linux"
    ? "it takes Linux' pseudo terminals"
    : !findProgram("qemu-system-x86_64")
      ? "QEMU is not installed"
      : (process.env.HVKIT_CONTRACT ?? "qemu").includes("qemu")
        ? undefined
        : "HVKIT_CONTRACT leaves QEMU out";
if (why) process.stderr.write(`contract: attach is skipped: ${why}\n`);

/** A user's runtime folder, and hvkit in it. */
class User {
  readonly folder = mkdtempSync(join(tmpdir(), "hvkit-attach-"));
  readonly #env = { ...process.env, XDG_RUNTIME_DIR: this.folder, XDG_DATA_HOME: join(this.folder, "data"), NO_COLOR: "1" };

  run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
    return new Promise((resolve) => {
      execFile(process.execPath, [MAIN, ...args], { env: this.#env }, (error, out, err) => {
        resolve({ code: error ? Number(error.code ?? 1) : 0, out, err });
      });
    });
  }

  async ok(...args: string[]): Promise<string> {
    const { code, out, err } = await this.run(...args);
    if (code !== 0) throw new Error(`hvkit ${args.join(" ")} ended with ${code}: ${err}${out}`);
    return out;
  }

  async fails(code: string, ...args: string[]): Promise<string> {
    const ran = await this.run(...args);
    expect(`${ran.code} ${ran.err}`).toMatch(new RegExp(`^${code === "E_USAGE" ? 2 : 1} [^]*hvkit: ${code}: `));
    return ran.err;
  }

  async status(): Promise<Status> {
    return JSON.parse(await this.ok("status", "--json")) as Status;
  }

  async guests(): Promise<string[]> {
    const guests = JSON.parse(await this.ok("ps", "--json")) as { name: string; state: string }[];
    return guests.map(({ name, state }) => `${name} ${state}`);
  }

  /** `hvkit bridge`, once it can be connected to. */
  async bridge(...args: string[]): Promise<{ process: ChildProcess; url: URL; tokenFile: string; err: () => string }> {
    const child = spawn(process.execPath, [MAIN, "bridge", "--json", ...args], { env: this.#env, stdio: ["ignore", "pipe", "pipe"] });
    let [out, err] = ["", ""];
    child.stdout.on("data", (bytes: Buffer) => {
      out += bytes.toString();
    });
    child.stderr.on("data", (bytes: Buffer) => {
      err += bytes.toString();
    });
    await expect.poll(() => (child.exitCode === null ? out.includes("}") : err), PATIENCE).toBe(true);
    const { url, tokenFile } = JSON.parse(out) as { url: string; tokenFile: string };
    return { process: child, url: new URL(url), tokenFile, err: () => err };
  }

  async leave(): Promise<void> {
    await this.run("down");
    rmSync(this.folder, { recursive: true, force: true });
  }
}

describe.skipIf(why)("attach", () => {
  let machine: ElsewhereMachine;
  let user: User;
  let other: User;
  const each = (kind: "pty" | "socket"): void => {
    beforeAll(async () => {
      [user, other] = [new User(), new User()];
      machine = await ElsewhereMachine.start(kind, user.folder);
    });
    afterAll(async () => {
      await user.leave();
      await other.leave();
      await machine.stop();
    });
  };

  describe("over a tty", () => {
    each("pty");

    test("up, run, down: the guest's console is there, and the machine goes on", async () => {
      await user.ok("up", "--attach", machine.line);
      expect(await user.status()).toMatchObject({
        state: "running",
        engine: { name: "attach", accel: "remote", pid: null, command: [machine.line], memoryBytes: expect.any(Number), gdb: null },
        hypervisor: { vendor: "AMD SVM" },
      });
      expect(await user.ok("run", "hello64", "--append", "ticks=1")).toContain("hello64: done");
      expect(await user.ok("up", "--attach", machine.line)).toContain("up already");
      await user.fails("E_ALREADY_UP", "up", "--attach", "/dev/another");
      await other.fails("E_TTY_BUSY", "up", "--attach", machine.line);
      await user.ok("down");
      expect(machine.runs).toBe(true);
      expect(existsSync(join(user.folder, "hvkit"))).toBe(false);
    });

    test("a control plane that is killed leaves a guest; the next one takes the machine without it", async () => {
      await user.ok("up", "--attach", machine.line);
      await user.ok("run", "hello64", "-d", "--name", "left");
      process.kill((await user.status()).pid, "SIGKILL");
      await expect.poll(async () => (await other.run("up", "--attach", machine.line)).err, PATIENCE).toContain("1 guest of an earlier");
      const { hypervisor } = await other.status();
      expect(hypervisor?.perCpu.map(({ guest }) => guest)).toEqual([null]);
      expect(await other.ok("run", "hello64", "--append", "ticks=1")).toContain("hello64: done");
      await other.ok("down");
    });

    test("a tty that vanishes is told, and waited for: what was known of the guests is shown", async () => {
      await other.ok("up", "--attach", machine.line);
      await other.ok("run", "hello64", "-d", "--name", "hello");
      await machine.stop();
      await expect.poll(async () => (await other.status()).linkLost?.reason, PATIENCE).toContain("the tty has gone");
      expect(await other.status()).toMatchObject({ state: "running", hypervisor: null, lastFailure: null });
      expect(await other.guests()).toEqual(["hello running"]);
      expect(await other.run("ps")).toMatchObject({
        code: 0,
        err: expect.stringMatching(/^hvkit: the link is lost since .* as they were then/),
      });
      const since = (await other.status()).linkLost?.since;
      expect(JSON.parse(await other.ok("ps", "--json"))).toMatchObject([{ name: "hello", staleSince: since }]);
      expect(await other.ok("status")).toMatch(/^link: +lost .* ago, the guests go on: the tty has gone/m);
      await other.ok("down");
    });
  });

  describe("over a bridge", () => {
    each("socket");

    test(
      "random bytes on the line, then a session; the bridge goes and comes back",
      async () => {
        const bridge = await user.bridge("--socket", machine.line, "--listen", "0");
        await noise(bridge.url, readToken(bridge.tokenFile), scaled(500, 60_000));
        await user.ok("up", "--attach", bridge.url.href);
        expect(await user.ok("run", "hello64", "--append", "ticks=1")).toContain("hello64: done");
        await user.ok("run", "hello64", "-d", "--name", "hello");
        await other.fails("E_TOKEN", "up", "--attach", bridge.url.href);
        await other.fails("E_BRIDGE_BUSY", "up", "--attach", bridge.url.href, "--token-file", bridge.tokenFile);

        const gone = once(bridge.process, "exit");
        bridge.process.kill("SIGINT");
        expect(await gone).toEqual([0, null]);
        expect(existsSync(join(user.folder, "hvkit-bridge"))).toBe(false);
        expect(bridge.err()).toContain("refused: 127.0.0.1:");
        await expect.poll(async () => (await user.status()).linkLost?.reason, PATIENCE).toContain("the bridge ends");
        expect(await user.guests()).toContain("hello running");

        let back = await user.bridge("--socket", machine.line, "--listen", bridge.url.port);
        await expect.poll(async () => (await user.status()).linkLost, PATIENCE).toBeNull();

        // Again, killed this time, in the middle of an image on its way: it goes on where it was, and the guest that ticks lost nothing.
        const running = user.ok("run", largeImage(user.folder), "--append", "ticks=1");
        await expect.poll(async () => bytesIn(await user.status()), PATIENCE).toBeGreaterThan(LARGE / 4);
        const killed = once(back.process, "exit");
        back.process.kill("SIGKILL");
        await killed;
        await expect.poll(async () => (await user.status()).linkLost, PATIENCE).not.toBeNull();
        back = await user.bridge("--socket", machine.line, "--listen", bridge.url.port);
        expect(await running).toContain("hello64: done");
        expect(await user.status()).toMatchObject({ linkLost: null, lastFailure: null, restarts: 0 });
        expect(bytesIn(await user.status())).toBeLessThan(LARGE * 1.5);

        await expect.poll(async () => ticks(await user.ok("logs", "hello")).length, PATIENCE).toBeGreaterThan(3);
        const shown = ticks(await user.ok("logs", "hello"));
        expect(shown).toEqual(shown.map((__, index) => index + 1));
        const told = JSON.parse(await user.ok("events", "--json")) as { type: string; guests?: string }[];
        expect(told.filter(({ type }) => type.startsWith("link.")).map(({ type, guests }) => `${type} ${guests}`)).toEqual([
          "link.lost kept",
          "link.back kept",
          "link.lost kept",
          "link.back kept",
        ]);

        await user.ok("down");
        const ended = once(back.process, "exit");
        await machine.stop();
        expect(await ended).toEqual([1, null]);
        expect(back.err()).toContain(`{"error":{"code":"E_SOCKET","message":"${machine.line} was closed`);
      },
      scaled(120_000, 300_000),
    );
  });

  const noBochs = engineProblem("bochs");
  if (noBochs) process.stderr.write(`contract: attach to Bochs is skipped: ${noBochs}\n`);
  test.skipIf(noBochs)(
    "to Bochs (Intel VMX) behind a socket: the line breaks, and its guest is kept",
    async () => {
      const user = new User();
      const runDir = join(user.folder, "bochs");
      mkdirSync(runDir);
      const bochs = {
        name: "bochs",
        title: "bochs",
        engine: "bochs",
        accel: "emulated",
        vendor: "Intel VMX",
        patience: 3,
        cpus: 1,
      } as const;
      const engine = await startEngine(bochs, runDir, { memoryMiB: 128 });
      const serial = await SerialSocket.listen(join(user.folder, "machine"), engine);
      try {
        await user.ok("up", "--attach", serial.path);
        expect(await user.status()).toMatchObject({ engine: { name: "attach" }, hypervisor: { vendor: "Intel VMX" } });
        await user.ok("run", "hello64", "-d", "--name", "hello");
        serial.cut();
        const told = async (): Promise<string> => user.ok("events", "--json");
        await expect.poll(told, { ...PATIENCE, timeout: 120_000 }).toContain('"link.back"');
        expect(await user.guests()).toEqual(["hello running"]);
        expect(await user.status()).toMatchObject({ linkLost: null, restarts: 0 });
        expect(await user.ok("run", "hello64", "--append", "ticks=1")).toContain("hello64: done");
        await user.ok("down");
      } finally {
        serial.close();
        await engine.stop();
        await user.leave();
      }
    },
    240_000,
  );

  test("what cannot be attached to, or bridged, is told", async () => {
    const user = new User();
    const folder = join(user.folder, "folder");
    mkdirSync(folder);
    await Promise.all([
      user.fails("E_USAGE", "up", "--attach", "http://127.0.0.1:1"),
      user.fails("E_USAGE", "up", "--attach", "ttyS0"),
      user.fails("E_USAGE", "up", "--attach", "/dev/ttyS0", "--engine", "qemu"),
      user.fails("E_USAGE", "bridge"),
    ]);
    await Promise.all([
      user.fails("E_TTY", "bridge", "--tty", "/dev/no-such-tty"),
      user.fails("E_TTY", "bridge", "--tty", folder),
      user.fails("E_BAUD", "bridge", "--tty", "/dev/ptmx", "--baud", "12345"),
      user.fails("E_SOCKET", "bridge", "--socket", join(folder, "none")),
    ]);
    // One daemon at a time.
    await user.fails("E_CONNECT", "up", "--attach", "ws://127.0.0.1:1");
    await user.fails("E_TTY", "up", "--attach", "/dev/null");
    await user.leave();
  });
});

/** hello64, and beside it what takes a while on the line. */
const LARGE = 256 * 1024;
function largeImage(folder: string): string {
  const path = join(folder, "large");
  const kernel = "hello64";
  mkdirSync(path);
  copyFileSync(join(root, "build/images/hello64/hello64"), join(path, kernel));
  const random = randomFrom(seedOf(6));
  writeFileSync(
    join(path, "ballast"),
    Uint8Array.from({ length: LARGE }, () => random(256)),
  );
  const files = { kernel, modules: [{ file: "ballast" }] };
  const manifest = { name: "large", description: "takes a while", kind: "multiboot", memory: "4M", commandLine: "hz=100", files };
  writeFileSync(join(path, "image.json"), JSON.stringify(manifest));
  return `${path}/`;
}

const bytesIn = ({ hypervisor }: Status): number => Number(hypervisor?.link.bytesIn ?? 0);
const ticks = (console: string): number[] => [...console.matchAll(/tick (\d+)$/gm)].map(([, number]) => Number(number));

/** Random bytes to the machine, about as fast as its line takes them: what is sent ahead of it would be waited for. */
async function noise(url: URL, token: string, ms: number): Promise<void> {
  const line = await connectWebSocket(url, { token });
  const random = randomFrom(seedOf(5));
  const until = Date.now() + ms;
  while (Date.now() < until) {
    line.write(Uint8Array.from({ length: 1024 }, () => random(256)));
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const closed = new Promise((resolve) => line.onClose(resolve));
  line.close();
  await closed;
}
