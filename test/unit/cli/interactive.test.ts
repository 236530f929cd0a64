// What a person at a terminal meets: completion, suggestions, colours and tables that fit, and ^C that cleans up. The built command line,
// against a daemon with a fake hypervisor in this process.
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { projectRoot } from "../../../control/src/api/root.js";
import { complete, FILES } from "../../../control/src/cli/completion.js";
import { COMMANDS, commandTree } from "../../../control/src/cli/program.js";
import { findProgram } from "../../../control/src/engines/probe.js";
import { Harness, until } from "../daemon/harness.js";

const MAIN = join(projectRoot(), "build/js/control/src/cli/main.js");

interface Result {
  code: number | null;
  out: string;
  err: string;
}

function start(program: string, args: string[], env: Record<string, string>) {
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  const result: Result = { code: null, out: "", err: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    result.out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    result.err += text;
  });
  const done = new Promise<Result>((resolve) => {
    child.on("close", (code) => resolve({ ...result, code }));
  });
  return { child, done };
}

describe.skipIf(!existsSync(MAIN))("hvkit for people", { timeout: 60_000 }, () => {
  let harness: Harness;
  let env: Record<string, string>;
  const hvkit = (...args: string[]) => start(process.execPath, [MAIN, ...args], env).done;

  beforeAll(async () => {
    harness = await Harness.start();
    const bin = join(harness.folder, "bin");
    mkdirSync(bin);
    writeFileSync(join(bin, "hvkit"), `#!/bin/sh\nexec "${process.execPath}" "${MAIN}" "$@"\n`);
    chmodSync(join(bin, "hvkit"), 0o755);
    env = { XDG_RUNTIME_DIR: harness.folder, PATH: `${bin}${delimiter}${process.env.PATH}` };
    const client = await harness.client();
    for (const name of ["web", "webcam", "clock"]) await client.call("run", { image: "sector", name });
    await client.call("snapshot.create", { guest: "web", name: "before-upgrade", description: "first" });
  });
  afterAll(() => harness.stop());

  const completed = async (...words: string[]): Promise<string[]> => {
    const { values, files } = await complete(words, commandTree);
    return [...values.map(({ value, description }) => `${value}\t${description}`), ...(files ? [FILES] : [])];
  };
  const names = async (...words: string[]) => (await completed(...words)).map((line) => line.split("\t")[0]);

  it("completes commands, options, choices, and the names that there are", async () => {
    vi.stubEnv("XDG_RUNTIME_DIR", harness.folder);
    vi.stubEnv("HVKIT_INSTANCE", ""); // what is completed may choose another one
    expect(await names("")).toEqual([...Object.keys(COMMANDS).filter((name) => name !== "complete"), "help"]);
    expect(await completed("images")).toEqual(["images\tlist the images that can be run"]);
    expect(await names("snapshot", "c")).toEqual(["create", "check"]);
    expect(await names("run", "--cpu")).toEqual(["--cpu", "--cpu-affinity"]);
    expect(await names("run", "--cpu", "p")).toEqual(["portable"]);
    expect(await names("up", "--engine", "=", "b")).toEqual(["bochs"]);
    expect(await completed("pause", "webc")).toEqual(["webcam\tsector, running"]);
    expect(await completed("regs", "s")).toEqual(["snapshot:before-upgrade\tfirst"]);
    expect(await completed("machine", "./w")).toEqual([FILES]);
    expect(await names("kill", "web", "w")).toEqual(["webcam"]);
    expect(await names("regs", "web", "")).toEqual([]);
    expect(await names("run", "--name", "w")).toEqual([]);
    expect(await names("run", "--name", "w", "s")).toEqual(["sector"]);
    expect(await names("run", "./s")).toEqual([":files"]);
    expect(await names("mem", "web", "0", "4K", "-o", "r")).toEqual([":files"]);
    expect(await names("trace", "--diff", "one", "t")).toEqual([":files"]);
    expect(await completed("revert", "web", "")).toEqual(["before-upgrade\tfirst"]);
    // Options of every command, and of the daemon that they choose.
    expect(await names("logs", "--inst")).toEqual(["--instance"]);
    expect(await names("snapshot", "rm", "b")).toEqual(["before-upgrade"]);
    expect(await names("run", "--from", "b")).toEqual(["before-upgrade"]);
    expect(await completed("clone", "webc")).toEqual(["webcam\tsector, running"]);
    expect(await names("clone", "web", "w")).toEqual([]);
    expect(await names("help", "ps")).toEqual(["ps"]);
    expect(await names("frob", "")).toEqual([]);
    expect(await names("--instance", "nobody", "pause", "")).toEqual([]);
    vi.stubEnv("HVKIT_INSTANCE", "");
    vi.stubEnv("XDG_RUNTIME_DIR", harness.root); // nothing is up there
    expect(await names("pause", "")).toEqual([]);
    vi.unstubAllEnvs();
  });

  const bash = findProgram("bash");
  it.skipIf(bash === undefined)("completes in bash", async () => {
    const script = `
      source <(hvkit completion bash)
      at() { COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _hvkit "$1" "\${@: -1}" 2>/dev/null; echo "\${COMPREPLY[@]}"; }
      complete -p hvkit
      at hvkit sna
      at hvkit regs webc
      at hvkit mem web 0 64 -o ${harness.folder}/sna`;
    const { code, out } = await start(bash ?? "", ["--norc", "-c", script], env).done;
    expect({ code, out }).toEqual({
      code: 0,
      out: `complete -F _hvkit hvkit\nsnapshot\nwebcam\n${harness.folder}/snapshots\n`,
    });
  });

  const fish = findProgram("fish");
  it.skipIf(fish === undefined)("completes in fish", async () => {
    const script = 'source (hvkit completion fish | psub); complete -C "hvkit sna"; complete -C "hvkit regs webc"';
    const { code, out } = await start(fish ?? "", ["--no-config", "-c", script], { ...env, HOME: harness.folder }).done;
    expect({ code, words: out.split("\n").map((line) => line.split("\t")[0]) }).toEqual({ code: 0, words: ["snapshot", "webcam", ""] });
  });

  it.each(["zsh", "fish"])("has a script that %s takes", async (shell) => {
    const { code, out } = await hvkit("completion", shell);
    expect({ code, first: out.split("\n")[0] }).toMatchObject({ code: 0, first: expect.stringMatching(/hvkit/) as string });
    const program = findProgram(shell);
    if (program === undefined) {
      process.stderr.write(`completion: ${shell} does not read its script: it is not installed\n`);
      return;
    }
    const file = join(harness.folder, `hvkit.${shell}`);
    writeFileSync(file, out);
    expect(spawnSync(program, ["-n", file], { encoding: "utf8" })).toMatchObject({ status: 0, stderr: "" });
  });

  it.each([
    [["pss"], 2, "unknown command 'pss' (Did you mean ps?)"],
    [["help", "snapshto"], 2, "unknown command 'snapshto' (Did you mean snapshot?)"],
    [["up", "--egine", "qemu"], 2, "unknown option '--egine' (Did you mean --engine?)"],
    [["regs", "wbe"], 1, "there is no guest 'wbe'. Did you mean 'web'? `hvkit ps` lists the guests."],
    [["run", "secotr", "-d"], 1, "there is no image 'secotr'. Did you mean 'sector'?"],
    [["revert", "web", "before-upgrde"], 1, "there is no snapshot 'before-upgrde'. Did you mean 'before-upgrade'?"],
    [["regs", "database"], 1, "there is no guest 'database'. `hvkit ps` lists"],
    [["mem", "web", "-1"], 1, "0xffffffffffffffff and 256 bytes on are not inside the guest's RAM"],
    [["mem", "web", "0", "-1"], 1, "length -1 is negative. Write it as"],
    [["mem", "web", "0", "0"], 1, "a length of 0 bytes is nothing. Give 1 or more, for example 64 or 4K."],
    [["mem", "web", "0", "1G", "--json"], 1, "length 1G is too large for --json, which prints 64 MiB at the most. Use -o FILE"],
    [["snapshot", "create", "web", "--description", "x".repeat(9999)], 1, "the description has 9999 characters. Use at most 1024 "],
  ])("says what was meant, or can be given: %j", async (args, code, text) => {
    const ran = await hvkit(...args);
    expect(ran).toMatchObject({ code, out: "" });
    expect(ran.err.replaceAll('"', "")).toContain(args.includes("--json") ? text.split(".")[0] : text);
    expect(ran.err.length).toBeLessThan(600);
  });

  const script = findProgram("script");
  const onTerminal = async (columns: number, command: string, more: Record<string, string> = {}): Promise<string> => {
    const { out } = await start(script ?? "", ["-qec", `stty cols ${columns}; hvkit ${command}`, "/dev/null"], {
      ...env,
      NO_COLOR: "",
      TERM: "xterm",
      ...more,
    }).done;
    return out;
  };

  it.skipIf(script === undefined)("prints tables that fit the terminal, with colours that go away when asked", async () => {
    const coloured = await onTerminal(60, "ps");
    expect(coloured).toContain("\x1b[1m");
    const plain = await onTerminal(60, "ps", { NO_COLOR: "1" });
    expect(plain).not.toContain("\x1b");
    const lines = plain.trimEnd().split("\r\n");
    expect(lines).toHaveLength(4);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(60);
    // What a guest is called and how it is stays whole; other columns give way.
    for (const text of ["webcam", "running for"]) expect(plain).toContain(text);
    const piped = (await hvkit("ps")).out;
    const dumb = await onTerminal(200, "ps", { TERM: "dumb" });
    for (const mark of ["…", "\x1b"]) expect([piped.includes(mark), dumb.includes(mark)]).toEqual([false, false]);
  });

  it.skipIf(script === undefined)("shows a bar while it uploads, and takes it away", async () => {
    const { guestPut } = harness.hypervisor;
    harness.hypervisor.guestPut = async (guest, address, bytes, onProgress) => {
      for (const part of [0.25, 0.5, 0.75]) {
        onProgress?.(Math.floor(bytes.length * part));
        await sleep(120);
      }
      await guestPut.call(harness.hypervisor, guest, address, bytes, onProgress);
    };
    const out = await onTerminal(100, "run linux -d --name bar");
    harness.hypervisor.guestPut = guestPut;
    expect(out).toMatch(/\[=+ +\] \d+ B of \d+ B, [\d.]+ B\/s, \d+ s left/);
    expect(out).toMatch(/\r {20,}\r.*[0-9a-f]{12}\r\n$/s);
  });

  it("a `run` that uploads is broken off by ^C, and nothing of it stays", async () => {
    const { guestPut } = harness.hypervisor;
    let uploading = false;
    harness.hypervisor.guestPut = async (_guest, _address, bytes, onProgress) => {
      uploading = true;
      for (;;) {
        onProgress?.(Math.floor(bytes.length / 2));
        await sleep(10);
      }
    };
    const before = new Set(harness.hypervisor.guests.keys());
    const { child, done } = start(process.execPath, [MAIN, "run", "linux", "--name", "half"], env);
    await until(() => uploading);
    child.kill("SIGINT");
    expect(await done).toMatchObject({
      code: 130,
      out: "",
      err: expect.stringContaining("E_INTERRUPTED: the start was broken off") as string,
    });
    await until(() => [...harness.hypervisor.guests.keys()].every((slot) => before.has(slot)));
    harness.hypervisor.guestPut = guestPut;
    expect((await (await harness.client()).call("ps", {})).map(({ name }) => name)).not.toContain("half");
  });

  it("a run whose guest starts already is taken back by ^C", async () => {
    const { guestStart } = harness.hypervisor;
    let go = (): void => {};
    const starting = new Promise<void>((resolve) => {
      harness.hypervisor.guestStart = async (options) => {
        resolve();
        await new Promise<void>((answer) => {
          go = answer;
        });
        await guestStart.call(harness.hypervisor, options);
      };
    });
    const { child, done } = start(process.execPath, [MAIN, "run", "linux", "--name", "late", "-d"], env);
    await starting;
    child.kill("SIGINT");
    await until(() => harness.daemon.server.connections().some(({ leaving }) => leaving));
    go();
    expect(await done).toMatchObject({ code: 130, out: "", err: expect.stringContaining("is taken back") as string });
    harness.hypervisor.guestStart = guestStart;
    expect((await (await harness.client()).call("ps", {})).map(({ name }) => name)).not.toContain("late");
  });

  it("a clone waits until its copies are taken back; a second ^C does not, and says so", async () => {
    const { guestClone, guestDestroy } = harness.hypervisor;
    const copies = async () => (await (await harness.client()).call("ps", {})).filter(({ name }) => name.startsWith("clock-"));
    try {
      harness.hypervisor.guestDestroy = async (guest) => {
        await sleep(100);
        await guestDestroy.call(harness.hypervisor, guest);
      };
      harness.hypervisor.guestClone = async (options) => {
        await sleep(20);
        return guestClone.call(harness.hypervisor, options);
      };
      for (const impatient of [false, true]) {
        const { child, done } = start(process.execPath, [MAIN, "clone", "clock", "--count", "200"], env);
        await until(async () => (await copies()).length > 3);
        child.kill("SIGINT");
        await until(() => harness.daemon.server.connections().some(({ leaving }) => leaving));
        if (impatient) child.kill("SIGINT");
        expect(await done).toMatchObject({
          code: 130,
          out: "",
          err: expect.stringContaining(impatient ? "is being taken back" : "What it had begun is taken back.") as string,
        });
        if (impatient) await until(async () => (await copies()).length === 0);
        expect(await copies()).toEqual([]);
      }
    } finally {
      Object.assign(harness.hypervisor, { guestClone, guestDestroy });
    }
  });

  it("a run is taken back by a ^C that comes with its answer", async () => {
    const hook = join(harness.folder, "hook.mjs");
    // As soon as the guest's summary is read: nothing was printed yet.
    writeFileSync(
      hook,
      `const { parse } = JSON;
      JSON.parse = function (...args) {
        const value = parse.apply(this, args);
        if (value?.result?.name === "answered") process.kill(process.pid, "SIGINT");
        return value;
      };`,
    );
    const args = ["--import", hook, MAIN, "run", "linux", "--name", "answered", "-d"];
    expect(await start(process.execPath, args, env).done).toMatchObject({ code: 130, out: "" });
    expect((await (await harness.client()).call("ps", {})).map(({ name }) => name)).not.toContain("answered");
  });

  it("several guests are removed at once, and printed in the order of their names", async () => {
    const { guestDestroy } = harness.hypervisor;
    const client = await harness.client();
    const guests = Array.from({ length: 20 }, (_, index) => `many-${index}`);
    for (const name of guests) await client.call("run", { image: "sector", name });
    let now = 0;
    let most = 0;
    try {
      harness.hypervisor.guestDestroy = async (guest) => {
        most = Math.max(most, ++now);
        // The first ones take longest.
        await sleep(200 - 10 * (guest % 20));
        now--;
        await guestDestroy.call(harness.hypervisor, guest);
      };
      const { code, out, err } = await hvkit("rm", "-f", ...guests.slice(0, 3), "nobody", ...guests.slice(3));
      expect([code, out]).toEqual([1, `${guests.join("\n")}\n`]);
      expect(err).toContain("nobody");
      expect(most).toBeGreaterThan(4);
      expect(most).toBeLessThanOrEqual(16);
    } finally {
      Object.assign(harness.hypervisor, { guestDestroy });
    }
  });

  it("a snapshot is broken off by ^C: no file stays, and the guest goes on", async () => {
    const { guestGet } = harness.hypervisor;
    let copying = false;
    harness.hypervisor.guestGet = async (guest, address, length, into) => {
      copying = true;
      await sleep(200);
      return guestGet.call(harness.hypervisor, guest, address, length, into);
    };
    const { child, done } = start(process.execPath, [MAIN, "snapshot", "create", "clock", "half"], env);
    await until(() => copying);
    child.kill("SIGINT");
    expect(await done).toMatchObject({ code: 130, out: "" });
    const client = await harness.client();
    const clock = async () => (await client.call("ps", {})).find(({ name }) => name === "clock");
    await until(async () => (await clock())?.state === "running");
    harness.hypervisor.guestGet = guestGet;
    await until(() => readdirSync(harness.snapshots).length === 1);
  });

  it("a trace that is followed into a file is whole when ^C comes", async () => {
    const file = join(harness.folder, "clock.trace");
    const { guestTraced } = harness.hypervisor;
    let looks = 0;
    harness.hypervisor.guestTraced = async (...args) => {
      looks++;
      return guestTraced.apply(harness.hypervisor, args);
    };
    const { child, done } = start(process.execPath, [MAIN, "trace", "clock", "-f", "-o", file], env);
    await until(() => looks > 1);
    child.kill("SIGINT");
    expect(await done).toMatchObject({ code: 0, err: `0 exits of clock to ${file}\n` });
    harness.hypervisor.guestTraced = guestTraced;
    expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({ guest: "clock" });
    expect(readdirSync(harness.folder).filter((name) => name.endsWith(".new"))).toEqual([]);
  });

  it("a half-started `up` is broken off by ^C, and no process, socket or file of it stays", async () => {
    const folder = mkdtempSync(join(tmpdir(), "hvkit-up-"));
    try {
      // An engine that starts and never says anything: `up` would wait for a minute.
      const bin = join(folder, "bin");
      mkdirSync(bin);
      writeFileSync(
        join(bin, "qemu-system-x86_64"),
        '#!/bin/sh\n[ "$1" = --version ] && echo "QEMU emulator version 7.2.0"\nexec sleep 600\n',
      );
      chmodSync(join(bin, "qemu-system-x86_64"), 0o755);
      const { child, done } = start(process.execPath, [MAIN, "up", "--engine", "qemu", "--accel", "tcg"], {
        XDG_RUNTIME_DIR: folder,
        PATH: `${bin}${delimiter}${process.env.PATH}`,
      });
      await until(() => existsSync(join(folder, "hvkit/engine.json")) || child.exitCode !== null);
      child.kill("SIGINT");
      expect(await done).toMatchObject({
        code: 130,
        out: "",
        err: expect.stringContaining("E_INTERRUPTED: the start was broken off") as string,
      });
      expect(readdirSync(folder)).toEqual(["bin"]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
