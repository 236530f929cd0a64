// A daemon that is killed while it writes a snapshot, and one whose disk is full while a guest runs: the old file or the new one, never
// neither, nothing half that looks whole; the next `up` finds all in order. HVKIT_SEED repeats the moments.
import { execFile, spawnSync } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, rmSync, statSync, truncateSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { methods } from "../../control/src/api/methods.js";
import { runtimePaths } from "../../control/src/api/paths.js";
import { Client } from "../../control/src/client/client.js";
import { markOf, waitForEnd } from "../../control/src/native/process.js";
import { listSnapshots } from "../../control/src/snapshot/info.js";
import { readSnapshot } from "../../control/src/snapshot/reader.js";
import { SnapshotStore } from "../../control/src/snapshot/store.js";
import { randomFrom, scaled, seedOf } from "../support/scale.js";
import { root } from "./support/machine.js";
import { within } from "./support/suite.js";
import { onEachEngine, type Target } from "./support/targets.js";

/** Each takes the start of an engine; what is tested does not depend on which. */
const kills = (target: Target): number => (target.engine === "qemu" ? scaled(8, 200) : scaled(2, 20));
/** Room for the first bytes of a snapshot, and for no more. */
const BEGINNING = 12 * 1024;

onEachEngine("a daemon that goes wrong", (target) => {
  let folder = "";
  let snapshots = "";
  const store = (): SnapshotStore => new SnapshotStore(snapshots);
  const hvkit = (...args: string[]): Promise<{ code: number; out: string; err: string }> =>
    new Promise((resolve) => {
      const env = { ...process.env, XDG_RUNTIME_DIR: folder, XDG_DATA_HOME: join(folder, "data"), NO_COLOR: "1" };
      execFile(process.execPath, [join(root, "build/js/control/src/cli/main.js"), ...args], { env }, (error, out, err) => {
        resolve({ code: error ? Number(error.code ?? 1) : 0, out, err });
      });
    });
  const ok = async (...args: string[]): Promise<string> => {
    const { code, out, err } = await hvkit(...args);
    if (code !== 0) throw new Error(`hvkit ${args.join(" ")} ended with ${code}: ${err}${out}`);
    return out;
  };
  const up = async () => {
    const accel = target.engine === "qemu" ? ["--accel", target.accel] : [];
    return methods.status.result.parse(JSON.parse(await ok("up", "--engine", target.engine, ...accel, "--memory", "96M", "--json")));
  };
  const connect = (): Promise<Client> => Client.connect(runtimePaths({ XDG_RUNTIME_DIR: folder }).socket);
  /** The description of the snapshot, all of which was read. */
  const whole = async (name: string): Promise<string> => {
    const { source, close } = await store().open(name);
    try {
      return (await readSnapshot(source)).header.description;
    } finally {
      await close();
    }
  };
  const rounds = async (guest: string): Promise<number> => [...(await ok("logs", guest)).matchAll(/hash: round \d+ /g)].length;
  const goesOn = async (guest: string): Promise<void> => {
    const before = await rounds(guest);
    await expect.poll(() => rounds(guest), { timeout: within(target, 30), interval: 200 }).toBeGreaterThan(before + 1);
  };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "hvkit-killed-"));
    snapshots = join(folder, "data/hvkit/snapshots");
    mkdirSync(snapshots, { recursive: true, mode: 0o700 });
  });
  afterEach(async () => {
    await hvkit("down");
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  test(
    `SIGKILL at ${kills(target)} moments of writing a snapshot: the old one or the new one`,
    async () => {
      const seed = seedOf(20_270);
      const random = randomFrom(seed);
      let status = await up();
      await ok("run", "hash", "--name", "web", "-d");
      await goesOn("web");
      await ok("snapshot", "create", "web", "one");
      let [drafts, replaced] = [0, 0];
      for (let turn = 1; turn <= kills(target); turn++) {
        const daemon = markOf(status.pid);
        const engine = markOf(status.engine?.pid ?? 0);
        const client = await connect();
        // The guest of before goes on: what was left is not only whole, it is good.
        if (turn > 1) await client.call("restore", { snapshot: "one", name: "web" });
        const create = async (description: string): Promise<string> =>
          (await client.call("snapshot.create", { guest: "web", name: "one", description, replace: true })).description;
        const started = performance.now();
        const before = await create(`before turn ${turn}`);
        const took = performance.now() - started;
        const answer = create(`turn ${turn}`).catch(() => undefined);
        await new Promise((resolve) => setTimeout(resolve, random(Math.ceil(took * 1.2))));
        process.kill(daemon.pid, "SIGKILL");
        expect(await waitForEnd(daemon, within(target, 10))).toBe(true);
        const told = await answer;
        await client.close();
        const found = await whole("one");
        // What was answered is there; without an answer either may be.
        const expected = told === undefined ? [before, `turn ${turn}`] : [told];
        expect(expected, `HVKIT_SEED=${seed}, turn ${turn}`).toContain(found);
        if (found !== before) replaced++;
        drafts += readdirSync(snapshots).length - 1;
        expect(await listSnapshots(store())).toMatchObject([{ name: "one", problem: null, snapshot: { description: found } }]);
        status = await up();
        expect(await waitForEnd(engine, within(target, 10))).toBe(true);
        expect(status.guests.total).toBe(0);
        expect(readdirSync(snapshots)).toEqual(["one.hvsnap"]);
      }
      await ok("restore", "one", "--name", "web");
      await goesOn("web");
      process.stderr.write(
        `contract: ${target.title}: HVKIT_SEED=${seed}: ${kills(target)} kills, ${drafts} drafts, ${replaced} times the new one\n`,
      );
      // Some came in the middle: else nothing was tried.
      expect(drafts).toBeGreaterThan(0);
    },
    within(target, 60 + kills(target) * 20),
  );

  test(
    "a full disk: the snapshot is refused, the guest goes on, and the next one comes when there is room",
    async ({ skip }) => {
      if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", snapshots]).status !== 0) {
        skip("only root may mount a small file system");
      }
      try {
        await up();
        await ok("run", "hash", "--name", "web", "-d");
        await goesOn("web");
        await ok("snapshot", "create", "web", "one", "--description", "first");
        const filler = join(snapshots, "filler");
        fill(filler);
        truncateSync(filler, statSync(filler).size - BEGINNING);
        for (const args of [["two"], ["one", "--force"]]) {
          const { code, err } = await hvkit("snapshot", "create", "web", ...args);
          expect([code, err]).toEqual([1, expect.stringContaining("E_DISK_FULL")]);
          expect(readdirSync(snapshots).sort()).toEqual(["filler", "one.hvsnap"]);
          expect(await whole("one")).toBe("first");
          await goesOn("web");
        }
        rmSync(filler);
        await ok("snapshot", "create", "web", "two", "--description", "second");
        expect(await whole("two")).toBe("second");
        await goesOn("web");
      } finally {
        await hvkit("down");
        spawnSync("umount", [snapshots]);
      }
    },
    within(target, 120),
  );
});

/** Bytes to a file until there is no room. */
function fill(path: string): void {
  const file = openSync(path, "w");
  const bytes = Buffer.alloc(4096, 1);
  try {
    for (;;) writeSync(file, bytes);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
  } finally {
    closeSync(file);
  }
}
