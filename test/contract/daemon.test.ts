// The daemon's life as its user sees it: instances side by side, the TCP port, an engine and a daemon that are killed, and what stays
// after `down`: nothing.
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { HvkitEvent } from "../../control/src/api/events.js";
import { methods } from "../../control/src/api/methods.js";
import type { GuestSummary, Status } from "../../control/src/api/schemas.js";
import { markOf, waitForEnd } from "../../control/src/native/process.js";
import { root } from "./support/machine.js";
import { within } from "./support/suite.js";
import { onEachEngine } from "./support/targets.js";

onEachEngine("the daemon", (target) => {
  let folder = "";
  const hvkit = (...args: string[]): Promise<{ code: number; out: string; err: string }> =>
    new Promise((resolve) => {
      const env = { ...process.env, XDG_RUNTIME_DIR: folder, NO_COLOR: "1" };
      execFile(process.execPath, [join(root, "build/js/control/src/cli/main.js"), ...args], { env }, (error, out, err) => {
        resolve({ code: error ? Number(error.code ?? 1) : 0, out, err });
      });
    });
  const ok = async (...args: string[]): Promise<string> => {
    const { code, out, err } = await hvkit(...args);
    if (code !== 0) throw new Error(`hvkit ${args.join(" ")} ended with ${code}: ${err}${out}`);
    return out;
  };
  const json = async <T>(...args: string[]): Promise<T> => JSON.parse(await ok(...args, "--json")) as T;
  const accel = target.engine === "qemu" ? ["--accel", target.accel] : [];
  const up = async (...args: string[]): Promise<Status> =>
    methods.status.result.parse(await json("up", "--engine", target.engine, ...accel, "--memory", "96M", ...args));
  const guests = (...args: string[]) => json<GuestSummary[]>("ps", ...args);

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "hvkit-life-"));
  });
  afterEach(async () => {
    for (const instance of [[], ["--instance", "two"]]) await hvkit("down", ...instance);
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  test(
    "an engine that is killed: its guests are lost with its last words, the link comes back, and `down` leaves nothing",
    async () => {
      const { engine, pid } = await up();
      await ok("run", "hello64", "--name", "web", "-d");
      // QEMU says something at SIGTERM, and nothing at SIGKILL; Bochs' log has its last words whatever ends it.
      process.kill(engine?.pid ?? 0, target.engine === "qemu" ? "SIGTERM" : "SIGKILL");
      await expect.poll(async () => (await json<Status>("status")).restarts, { timeout: within(target, 60), interval: 200 }).toBe(1);
      await expect.poll(async () => (await json<Status>("status")).state, { timeout: within(target, 60), interval: 200 }).toBe("running");
      const [web] = await guests();
      expect(web).toMatchObject({ name: "web", state: "lost", end: { code: "lost" } });
      expect(web?.end?.text).toMatch(/engine (qemu|bochs) ended by itself \(.*\)\. Its last words:\n[\s\S]*\S/);
      if (target.engine === "qemu") expect(web?.end?.text).toContain("terminating on signal 15");
      const told = await json<HvkitEvent[]>("events");
      expect(told.map(({ type }) => type)).toEqual(["guest.created", "guest.started", "link.lost", "guest.ended", "link.back"]);
      await ok("reset", "web");
      expect(await guests()).toMatchObject([{ name: "web", state: "running" }]);
      expect(await ok("logs", "--daemon")).toContain("the hypervisor is lost");
      const daemon = markOf(pid);
      await ok("down");
      expect(await waitForEnd(daemon, 5000)).toBe(true);
      expect({ files: readdirSync(folder), processes: processesOf(folder) }).toEqual({ files: [], processes: [] });
    },
    within(target, 120),
  );

  test.skipIf(target.engine !== "qemu")(
    "two instances side by side, one on a TCP port; `up` when it is up",
    async () => {
      const [one, two] = await Promise.all([up(), up("--instance", "two", "--listen", "127.0.0.1:0")]);
      expect(one).toMatchObject({ instance: null, folder: join(folder, "hvkit"), tcp: null });
      expect(two).toMatchObject({
        instance: "two",
        folder: join(folder, "hvkit-two"),
        tcp: { tokenFile: join(folder, "hvkit-two/token") },
      });
      expect(two.engine?.pid).not.toBe(one.engine?.pid);
      await ok("run", "hello64", "--name", "web", "-d", "--instance", "two");
      expect(await guests()).toEqual([]);
      const remote = ["--url", two.tcp?.url ?? "", "--url-token-file", two.tcp?.tokenFile ?? ""];
      expect(await guests(...remote)).toMatchObject([{ name: "web" }]);
      const wrong = join(folder, "wrong");
      writeFileSync(wrong, `${"0".repeat(64)}\n`, { mode: 0o600 });
      expect((await hvkit("ps", "--url", two.tcp?.url ?? "", "--url-token-file", wrong)).err).toContain("E_TOKEN");
      rmSync(wrong);
      expect(await ok("up")).toContain("up already");
      expect((await hvkit("up", "--listen", "127.0.0.1:0")).err).toContain("E_ALREADY_UP");
      expect((await hvkit("up", "--instance", "three", "--listen", "0.0.0.0:0")).err).toContain("E_USAGE");
      expect((await hvkit("up", "--instance", "three", "--listen", `127.0.0.1:${new URL(two.tcp?.url ?? "").port}`)).err).toContain(
        "E_LISTEN",
      );
      const daemon = markOf(two.pid);
      await ok("down", ...remote);
      expect(await waitForEnd(daemon, 10_000)).toBe(true);
      expect(await json("status")).toMatchObject({ pid: one.pid, state: "running" });
      await ok("down");
      await expect.poll(() => processesOf(folder), { timeout: 10_000 }).toEqual([]);
      expect(readdirSync(folder)).toEqual([]);
    },
    within(target, 120),
  );

  test.skipIf(target.engine !== "qemu")(
    "a daemon that is killed: commands say so, its engine ends, `up` and `down` clean up what it left",
    async () => {
      for (const next of ["up", "down"] as const) {
        const { pid, engine } = await up();
        const marks = [markOf(pid), markOf(engine?.pid ?? 0)];
        process.kill(pid, "SIGKILL");
        for (const mark of marks) expect(await waitForEnd(mark, within(target, 10))).toBe(true);
        expect(existsSync(join(folder, "hvkit/daemon.sock"))).toBe(true);
        expect((await hvkit("ps")).err).toContain("E_NOT_UP");
        expect(await ok("logs", "--daemon")).toContain("ready");
        if (next === "down") expect(await ok("down")).toContain("cleaned up");
      }
      expect({ files: readdirSync(folder), processes: processesOf(folder) }).toEqual({ files: [], processes: [] });
    },
    within(target, 120),
  );
});

/** Processes that were started with this runtime folder: a daemon, and what it started, whoever their parents are by now. */
function processesOf(folder: string): string[] {
  const found: string[] = [];
  for (const name of existsSync("/proc") ? readdirSync("/proc") : []) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const environment = readFileSync(`/proc/${name}/environ`, "latin1").split("\0");
      if (environment.includes(`XDG_RUNTIME_DIR=${folder}`))
        found.push(readFileSync(`/proc/${name}/cmdline`, "latin1").replaceAll("\0", " "));
    } catch {
      // It has ended, or is somebody else's.
    }
  }
  return found;
}
