// Snapshots the whole way: `hvkit` commands, the daemon, a Linux guest that is asked for its state. One session per engine; its steps
// stand in order, and each needs those before it. The last goes on under the other engine, which has the other vendor.
import { execFile } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { EntryDocument } from "../../control/src/api/entrystate.js";
import { methods } from "../../control/src/api/methods.js";
import { runtimePaths } from "../../control/src/api/paths.js";
import type { GuestDetail, SavedDetail } from "../../control/src/api/schemas.js";
import { Client } from "../../control/src/client/client.js";
import { Console } from "../../control/src/client/console.js";
import type { CpuidRow, CpuModel } from "../../control/src/hypervisor/saved.js";
import { missingFeatures, vendorString } from "../../control/src/snapshot/cpuidbits.js";
import { readLayout } from "../../control/src/snapshot/layout.js";
import { recordedCpuid } from "../../control/src/snapshot/recorded.js";
import { root } from "./support/machine.js";
import { withLayout } from "./support/snapshotfile.js";
import { useMachine, within } from "./support/suite.js";
import { onEachEngine } from "./support/targets.js";

/** images/hash: what each round shows. */
const hashes = (log: string): [round: string, hash: string][] =>
  [...log.matchAll(/hash: round (\d+) ([0-9A-F]{16}) ticks /g)].map(([, round = "", hash = ""]) => [round, hash]);

onEachEngine("snapshots", (target) => {
  let folder = "";
  const run = (runtime: string, args: string[]): Promise<{ code: number; out: string; err: string }> =>
    new Promise((resolve) => {
      const env = { ...process.env, XDG_RUNTIME_DIR: runtime, XDG_DATA_HOME: join(folder, "data"), NO_COLOR: "1" };
      const options = { env, maxBuffer: 2 ** 24 };
      execFile(process.execPath, [join(root, "build/js/control/src/cli/main.js"), ...args], options, (error, out, err) => {
        resolve({ code: error ? Number(error.code ?? 1) : 0, out, err });
      });
    });
  const hvkit = (...args: string[]): Promise<{ code: number; out: string; err: string }> => run(folder, args);
  const ok = async (...args: string[]): Promise<string> => {
    const { code, out, err } = await hvkit(...args);
    if (code !== 0) throw new Error(`hvkit ${args.join(" ")} ended with ${code}: ${err}${out}`);
    return out;
  };

  /** What the guest's shell answers to a line. */
  const ask = async (guest: string, line: string, seconds = 20): Promise<string> => {
    const client = await Client.connect(runtimePaths({ XDG_RUNTIME_DIR: folder }).socket);
    try {
      let seen = "";
      let answered: () => void = () => {};
      const answer = new Promise<void>((resolve) => {
        answered = resolve;
      });
      const console = await Console.open(client, guest, {
        tail: 0,
        onBytes: (bytes) => {
          seen += Buffer.from(bytes).toString("latin1");
          if (/<(.*)>/s.test(seen.replaceAll(`echo "<`, ""))) answered();
        },
      });
      await console.write(Buffer.from(`echo "<$(${line})>"\n`));
      const limit = setTimeout(answered, within(target, seconds));
      await answer;
      clearTimeout(limit);
      const found = /^<(.*)>/ms.exec(seen)?.[1];
      if (found === undefined) throw new Error(`${guest} does not answer ${line}: ${JSON.stringify(seen)}`);
      return found.replaceAll("\r", "").trim();
    } finally {
      await client.close();
    }
  };
  const count = async (guest: string): Promise<number> => Number(await ask(guest, "cat /tmp/count"));
  const up = (): Promise<string> =>
    ok("up", "--engine", target.engine, "--memory", "640M", ...(target.engine === "qemu" ? ["--accel", target.accel] : []));

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "hvkit-snapshots-"));
  });
  afterAll(async () => {
    if (folder === "") return;
    await hvkit("down");
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  test(
    "of a Linux that counts: it goes on meanwhile",
    async () => {
      await up();
      await ok("run", "linux", "--memory", "96M", "--name", "web", "-d");
      const until = Date.now() + within(target, 90);
      while (!(await ok("logs", "web")).includes("linux:/root# ")) {
        if (Date.now() > until) throw new Error("Linux does not come up");
        await new Promise((resolve) => setTimeout(resolve, 300));
      }
      await ask("web", "echo before >/tmp/mark; (n=0; while :; do n=$((n + 1)); echo $n >/tmp/count; sleep 0.2; done) >/dev/null 2>&1 &");
      expect(await ok("snapshot", "create", "web", "one", "--description", "counting")).toBe("one\n");
      const [now] = [await count("web")];
      await expect.poll(() => count("web"), { timeout: within(target, 20) }).toBeGreaterThan(now);
      const [listed] = methods["snapshot.ls"].result.parse(JSON.parse(await ok("snapshot", "ls", "--json")));
      expect(listed).toMatchObject({
        name: "one",
        problem: null,
        snapshot: { description: "counting", engine: { vendor: target.vendor } },
      });
      expect(await hvkit("snapshot", "check", "one")).toMatchObject({ code: 0 });
    },
    within(target, 180),
  );

  test(
    "read from its file, without a hypervisor, it is what the paused guest is",
    async () => {
      await ok("exec", "web", "--", "sh", "-c", "echo '<3>hvkit: on the desk' >/dev/kmsg");
      const kernels = await ok("exec", "web", "--", "dmesg");
      await ok("pause", "web");
      await ok("snapshot", "create", "web", "desk");
      const file = join(folder, "data/hvkit/snapshots/desk.hvsnap");
      const nowhere = join(folder, "nowhere");
      mkdirSync(nowhere);
      const offline = async (...args: string[]): Promise<string> => {
        const { code, out, err } = await run(nowhere, args);
        if (code !== 0) throw new Error(`hvkit ${args.join(" ")} ended with ${code}: ${err}${out}`);
        return out;
      };
      const both = async (tool: string, ...args: string[]): Promise<[unknown, unknown]> => {
        const [live, saved] = await Promise.all([ok(tool, "web", ...args, "--json"), offline(tool, file, ...args, "--json")]);
        return [JSON.parse(live), JSON.parse(saved)];
      };

      // The host's TSC goes on; a pause has a state of its own; a file has no nested tables.
      const leftOut = { state: "", idle: "", tables: null, nested: [] };
      for (const [tool, ...args] of [["machine"], ["disasm", "rip-0x20", "-n", "30"], ["walk", "rsp"], ["walk", "0x123456"], ["dmesg"]]) {
        const [live, saved] = (await both(tool as string, ...args)) as [object, object];
        expect({ ...saved, ...leftOut }, tool).toEqual({ ...live, ...leftOut });
      }
      for (const tool of ["regs", "cpu"]) {
        const [live, saved] = (await both(tool)) as [{ registers: object }, { registers: object }];
        const without = { ...leftOut, registers: undefined };
        expect({ ...saved, ...without }, tool).toEqual({ ...live, ...without });
        expect({ ...saved.registers, tsc: "" }, tool).toEqual({ ...live.registers, tsc: "" });
      }
      // The guest's part of its control block, made of the registers: what the hypervisor has in it.
      const [block, made] = (await both("explain")) as [EntryDocument, EntryDocument];
      expect(block.checks.failed).toEqual([]);
      expect(made).toMatchObject({ vendor: block.vendor, guest: block.guest, build: block.build, checks: { failed: [] } });
      expect(Object.keys(made.fields).length).toBeGreaterThan(45);
      // A restore makes the TSS busy, which a CPU of AMD need not have it (control/src/hypervisor/transplant.ts).
      const busy = (name: string, value = ""): string =>
        /^(Guest)?TrAccess$/.test(name) ? `0x${(Number(value) | 2).toString(16)}` : value;
      expect(made.fields).toEqual(Object.fromEntries(Object.keys(made.fields).map((name) => [name, busy(name, block.fields[name])])));
      const [[here], [inFile]] = (await both("inspect")) as [GuestDetail[], SavedDetail[]];
      expect(inFile).toMatchObject({ state: "saved", guest: { id: here?.id, name: "web" }, rip: here?.rip });
      // gdb finds the kernel and its stack. (Of the guest it would let go on when it leaves.)
      const stack = await offline("debug", file, "--", "-batch", "-ex", "bt", "-ex", "p/x $cr3");
      expect(stack).toMatch(/^#1 .* in \w+ \(\)$/m);
      const { registers } = JSON.parse(await ok("regs", "web", "--json")) as { registers: Record<string, string> };
      expect(stack).toContain(` = ${registers.cr3}\n`);

      const cores = [join(folder, "live.core"), join(folder, "saved.core")] as const;
      await Promise.all([ok("dump", "web", "-o", cores[0]), offline("dump", file, "-o", cores[1])]);
      const [core, savedCore] = cores.map((path) => readFileSync(path));
      expect(core?.equals(savedCore as Buffer)).toBe(true);
      for (const path of cores) rmSync(path);

      // The guest's own dmesg, and what it was told to log.
      expect(await offline("dmesg", file)).toBe(kernels);
      expect(await offline("dmesg", file, "--level", "err", "-n", "1")).toMatch(/^\[ *\d+\.\d{6}\] hvkit: on the desk\n$/);

      // By hand: a byte to the console, a key, and the timer; none of it in the file.
      const before = readFileSync(file);
      const said = await offline("open", file, "--json", "-c", "out 3f8 41", "-c", "type a", "-c", "tick 1s", "-c", "in 3f8");
      const [sent, , ticked, read] = said
        .trim()
        .split("\n")
        .map((line) => (JSON.parse(line) as { result: object }).result);
      expect(sent).toMatchObject({ sent: ["41", ""], end: null });
      expect(ticked).toMatchObject({ requests: expect.arrayContaining([expect.objectContaining({ irq: 4 })]) });
      expect(read).toMatchObject({ value: 0x61 });
      expect(readFileSync(file).equals(before)).toBe(true);
      expect((await run(nowhere, ["stats", file])).err).toMatch(/^hvkit: E_NOT_LIVE/);
      await ok("unpause", "web");
      await ok("snapshot", "rm", "desk");
    },
    within(target, 240),
  );

  test(
    "revert: what was done since is undone",
    async () => {
      await ask("web", "echo after >/tmp/mark");
      await expect.poll(() => count("web"), { timeout: within(target, 20) }).toBeGreaterThan(20);
      const before = await count("web");
      await ok("revert", "web", "one");
      expect(await count("web")).toBeLessThan(before);
      expect(await ask("web", "cat /tmp/mark")).toBe("before");
      expect(await ok("logs", "web")).toContain("hvkit: user space reached");
    },
    within(target, 120),
  );

  test(
    "restore: another guest beside it, each with its own",
    async () => {
      await ok("restore", "one", "--name", "two");
      await ask("web", "echo first >/tmp/mark");
      expect(await ask("two", "cat /tmp/mark")).toBe("before");
      expect(await ask("web", "cat /tmp/mark")).toBe("first");
      const [detail] = JSON.parse(await ok("inspect", "two")) as unknown[];
      expect(detail).toMatchObject({ name: "two", image: "linux", state: "running", snapshot: { name: "one" } });
      await ok("rm", "-f", "web");
    },
    within(target, 120),
  );

  test(
    "after down and up it goes on, and is reset to its image",
    async () => {
      await ok("down");
      await up();
      await ok("restore", "one", "--name", "three");
      const now = await count("three");
      await expect.poll(() => count("three"), { timeout: within(target, 20) }).toBeGreaterThan(now);
      expect(await ask("three", "cat /tmp/mark")).toBe("before");
      await ok("reset", "three");
      const [detail] = JSON.parse(await ok("inspect", "three")) as unknown[];
      expect(detail).toMatchObject({ state: "running", restarts: 1 });
      await ok("rm", "-f", "three");
    },
    within(target, 150),
  );

  test(
    "that an older build took goes on at the instruction; one that lacks what this build needs is refused before anything changes",
    async () => {
      const file = join(import.meta.dirname, "snapshots/oldbuild.hvsnap");
      const [found] = JSON.parse(await ok("snapshot", "inspect", file)) as [{ layout: string }];
      expect(found.layout).not.toBe(readLayout(root).identity);
      const uninterrupted = hashes(readFileSync(join(import.meta.dirname, "snapshots/oldbuild.txt"), "latin1"));
      /** It has begun there so many times, and goes on from there as it did. */
      const begins = async (times: number): Promise<void> => {
        const here = async (): Promise<string[][] | undefined> => {
          const lines = hashes(await ok("logs", "aged"));
          const starts = [...lines.keys()].filter((index) => lines[index]?.[0] === uninterrupted[0]?.[0]);
          return starts.length === times ? lines.slice(starts.at(-1)).slice(0, 4) : undefined;
        };
        await expect.poll(here, { timeout: within(target, 60), interval: 300 }).toEqual(uninterrupted.slice(0, 4));
      };
      await ok("restore", file, "--name", "aged");
      await begins(1);

      const lacking = join(folder, "lacking.hvsnap");
      await withLayout(file, lacking, (layout) => {
        const counter = layout.records.find(({ record }) => record === "pit0");
        if (counter) counter.fields = counter.fields.filter(({ name }) => name !== "count" && name !== "mode");
        return layout;
      });
      const before = await ok("ps", "--json");
      for (const args of [
        ["restore", lacking, "--name", "never"],
        ["revert", "aged", lacking],
      ]) {
        const { code, err } = await hvkit(...args);
        expect(code).toBe(1);
        expect(err).toMatch(/E_SNAPSHOT_LAYOUT/);
        expect(err).toMatch(/pit0\.count is missing; pit0\.mode is missing/);
      }
      const names = (text: string): unknown[] =>
        (JSON.parse(text) as { id: string; name: string; state: string }[]).map(({ id, name, state }) => ({ id, name, state }));
      expect(names(await ok("ps", "--json"))).toEqual(names(before));
      const { code, out } = await hvkit("snapshot", "check", lacking);
      expect([code, out]).toEqual([1, expect.stringContaining("state: pit0.count is missing")]);

      await ok("revert", "aged", file);
      await begins(2);
      await ok("rm", "-f", "aged");
    },
    within(target, 150),
  );

  test(
    "run --from: each copy goes on from there, also without the file",
    async () => {
      const uninterrupted = hashes(readFileSync(join(import.meta.dirname, "snapshots/oldbuild.txt"), "latin1"));
      const file = join(folder, "gone.hvsnap");
      copyFileSync(join(import.meta.dirname, "snapshots/oldbuild.hvsnap"), file);
      const made = methods["run.from"].result.parse(
        JSON.parse(await ok("run", "--from", file, "--name", "fork", "--count", "3", "--json")),
      );
      rmSync(file);
      expect(made.map(({ name, clone }) => [name, clone?.of])).toEqual([1, 2, 3].map((number) => [`fork-${number}`, null]));
      expect(new Set(made.map(({ clone }) => clone?.generation)).size).toBe(3);
      const names = made.map(({ name }) => name);
      for (const name of names) {
        await expect
          .poll(async () => hashes(await ok("logs", name)).slice(0, 4), { timeout: within(target, 60), interval: 300 })
          .toEqual(uninterrupted.slice(0, 4));
      }
      await ok("rm", "-f", ...names);
    },
    within(target, 100),
  );

  test(
    "of a build with another layout of the state region goes on, by its layout table",
    async () => {
      const file = join(import.meta.dirname, "snapshots/oldlayout.hvsnap");
      expect(await hvkit("snapshot", "check", file)).toMatchObject({ code: 0 });
      await ok("restore", file, "--name", "old");
      // It was saved between its fifth tick and its sixth.
      await expect.poll(() => ok("logs", "old"), { timeout: within(target, 30) }).toMatch(/^hello64: tick 6\r?\nhello64: tick 7\r?\n/);
    },
    within(target, 60),
  );

  test("goes on under the other engine", async ({ skip }) => {
    await ok("down");
    const other = target.engine === "qemu" ? "bochs" : "qemu";
    const started = await hvkit("up", "--engine", other, "--memory", "640M");
    if (started.code !== 0) skip(`the other engine does not run here: ${started.err}`);
    expect(await hvkit("snapshot", "check", "one")).toMatchObject({ code: 0 });
    await ok("restore", "one", "--name", "moved");
    expect(await ask("moved", "cat /tmp/mark", 40)).toBe("before");
    const now = await count("moved");
    await expect.poll(() => count("moved"), { timeout: within(target, 40) }).toBeGreaterThan(now);
  }, 180_000);
});

onEachEngine("an engine as it was recorded", (target) => {
  const machine = useMachine(target);

  test.skipIf(target.accel === "kvm")("offers what it offered then, and a guest of the portable model has no more", async () => {
    const { hypervisor } = machine();
    const cpuidOf = async (cpuModel: CpuModel): Promise<CpuidRow[]> => {
      const { guest } = await hypervisor.guestCreate({ memoryBytes: 2 ** 21, wallSeconds: 0, cpuModel });
      const rows = await hypervisor.guestCpuid(guest);
      await hypervisor.guestDestroy(guest);
      return rows;
    };
    const recorded = recordedCpuid(target.engine);
    const found = await cpuidOf("host");
    expect(missingFeatures(recorded, found)).toEqual([]);
    expect(missingFeatures(found, recorded)).toEqual([]);
    expect(vendorString(recorded)).toBe(vendorString(found));
    expect(missingFeatures(await cpuidOf("portable"), recorded)).toEqual([]);
  });
});
