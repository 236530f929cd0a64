// Many clients at once do to guests on two CPUs whatever there is to do, at random, with snapshots too; and guests come and go by the
// hundred. Nothing hangs, nothing is refused for a reason that is not the guest's, and in the end all memory is back: the hypervisor's,
// and the daemon's, with its open files. HVKIT_NIGHTLY=1 takes longer.
import { randomInt } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { runtimePaths } from "../../control/src/api/paths.js";
import { Client } from "../../control/src/client/client.js";
import { bootFrom } from "../../control/src/daemon/boot.js";
import { Daemon } from "../../control/src/daemon/daemon.js";
import { takeLock } from "../../control/src/daemon/lock.js";
import { silentLog } from "../../control/src/daemon/log.js";
import { root } from "./support/machine.js";
import { useMachine, within } from "./support/suite.js";
import { onEachEngine, type Target } from "./support/targets.js";

const nightly = process.env.HVKIT_NIGHTLY === "1";
const STRESS_SECONDS = nightly ? 300 : 20;
const GUESTS = nightly ? 10_000 : 300;
const CLIENTS = 6;
const NAMES = ["one", "two", "three", "four", "five", "six", "seven", "eight"];
const SNAPSHOTS = ["first", "second", "third"];
const IMAGES = ["spin", "state", "hello64", "hello16"];
const AFFINITIES = [undefined, undefined, [0], [1], [0, 1]];
/** What another client, or the guest itself, may have done a moment ago. */
const EXPECTED = [
  ...["E_NO_GUEST", "E_NAME_TAKEN", "E_GUEST_STATE", "E_GUEST_NOT_RUNNING"],
  ...["E_HV_BAD_STATE", "E_HV_NO_SUCH_GUEST", "E_HV_NO_MEMORY"],
  ...["E_NO_SNAPSHOT", "E_SNAPSHOT_EXISTS", "E_SNAPSHOT_GUEST"],
];
/** When memory is looked at first: caches are filled by then. */
const SETTLED_SECONDS = nightly ? 60 : 8;
/** what the daemon's process, which is the test's too, may have more in the end */
const GROWTH_BYTES = 96 * 2 ** 20;

/** Numbers that a seed determines (xorshift, 32 bits). */
function dice(seed: number): <T>(choices: readonly T[]) => T {
  let state = seed | 1;
  return (choices) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return choices[(state >>> 0) % choices.length] as (typeof choices)[number];
  };
}

async function startDaemon(target: Target): Promise<{ socket: string; stop: () => Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), "hvkit-stress-"));
  const paths = runtimePaths({ XDG_RUNTIME_DIR: folder });
  await takeLock(paths);
  const accel = target.accel === "emulated" ? "auto" : target.accel;
  const request = { engine: target.engine, accel, memoryBytes: 512 * 2 ** 20, cpus: 2 } as const;
  const snapshotFolder = join(folder, "snapshots");
  const daemon = new Daemon({ boot: bootFrom(root), request, paths, root, log: silentLog(), onDown: () => {}, snapshotFolder });
  await daemon.start();
  return {
    socket: paths.socket,
    stop: async () => {
      await daemon.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Nothing takes this long, whatever else goes on. */
function inTime<T>(what: string, seconds: number, result: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} is not done after ${seconds} s`)), seconds * 1000);
  });
  return Promise.race([result, late]).finally(() => clearTimeout(timer));
}

type Choose = ReturnType<typeof dice>;

/** One thing that a client does. */
function act(client: Client, choose: Choose, seconds: number, count: (action: string) => void): Promise<unknown> {
  const guest = choose(NAMES);
  const affinity = choose(AFFINITIES);
  const image = choose(IMAGES);
  const snapshot = choose(SNAPSHOTS);
  const actions: Record<string, () => Promise<unknown>> = {
    run: () => client.call("run", { image, name: guest, memory: "4M", ...(affinity ? { affinity } : {}) }),
    pause: () => client.call("pause", { guest }),
    unpause: () => client.call("unpause", { guest }),
    "unpause, later": () => client.call("unpause", { guest, clock: "catch-up" }),
    "snapshot.create": () => client.call("snapshot.create", { guest, name: snapshot, replace: true }),
    "snapshot.rm": () => client.call("snapshot.rm", { name: snapshot }),
    "snapshot.ls": () => client.call("snapshot.ls", {}),
    restore: () => client.call("restore", { snapshot, name: guest, ...(affinity ? { affinity } : {}) }),
    revert: () => client.call("revert", { guest, snapshot }),
    clone: () => client.call("clone", { guest, name: choose(NAMES) }),
    "clone, several": async () => {
      for (const { id } of await client.call("clone", { guest, name: "copy", count: 3 }))
        await client.call("rm", { guest: id, force: true });
    },
    "run.from": () => client.call("run.from", { snapshot, name: guest }),
    reset: () => client.call("reset", { guest }),
    kill: () => client.call("kill", { guest }),
    inspect: () => client.call("inspect", { guest }),
    regs: () => client.call("regs", { guest }),
    mem: () => client.call("mem", { guest, address: 0x100000, length: 4096 }),
    rm: () => client.call("rm", { guest, force: true }),
    ps: () => client.call("ps", {}),
    ping: () => client.call("ping", {}),
  };
  // As many guests are made as are removed.
  const name = choose([...Object.keys(actions), "run"]);
  return inTime(`${name} ${guest}`, seconds, actions[name]?.() ?? Promise.reject(new Error(name))).then(() => count(name));
}

/** Garbage is none: what this process holds. */
function residentBytes(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return process.memoryUsage().rss;
}

/** Null where the system does not say. */
const openFiles = (): number | null => (existsSync("/proc/self/fd") ? readdirSync("/proc/self/fd").length : null);

onEachEngine(
  "stress",
  (target) => {
    test(
      "many clients at once",
      async () => {
        const seed = Number(process.env.HVKIT_SEED ?? randomInt(2 ** 31));
        process.stderr.write(`stress: HVKIT_SEED=${seed}\n`);
        const daemon = await startDaemon(target);
        try {
          const clients = await Promise.all([...Array(CLIENTS).keys()].map(() => Client.connect(daemon.socket)));
          const [first] = clients as [Client];
          const settled = async (): Promise<number> => {
            for (;;) {
              const { hypervisor, restarts } = await first.call("status", {});
              expect(restarts).toBe(0);
              if (hypervisor?.dirtyBytes === 0) return hypervisor.freeBytes;
            }
          };
          const before = await settled();
          const files = openFiles();
          const until = Date.now() + STRESS_SECONDS * 1000;
          let done = 0;
          const did: Record<string, number> = {};
          const count = (action: string): void => {
            did[action] = (did[action] ?? 0) + 1;
          };
          let held = 0;
          const settle = setTimeout(() => {
            held = residentBytes();
          }, SETTLED_SECONDS * 1000);
          const work = async (client: Client, choose: Choose): Promise<void> => {
            while (Date.now() < until) {
              await act(client, choose, within(target, 20) / 1000, count).catch((error: { code?: string }) => {
                if (!EXPECTED.includes(error.code ?? "")) throw error;
              });
              done++;
            }
          };
          await Promise.all(clients.map((client, index) => work(client, dice(seed + 7919 * index)))).finally(() => clearTimeout(settle));
          process.stderr.write(`stress: ${target.title}: ${done} actions, done: ${JSON.stringify(did)}\n`);
          expect(done).toBeGreaterThan(STRESS_SECONDS);
          // Chance says so little of few: Bochs does two hundred things in this time, and so does a machine that is busy.
          const certain = done > 1000 ? ["snapshot.create", "restore", "clone", "run.from"] : [];
          for (const action of certain) expect(did[action], action).toBeGreaterThan(0);
          for (const { name } of await first.call("ps", {})) await first.call("rm", { guest: name, force: true });
          expect(await settled()).toBe(before);
          expect(openFiles()).toBe(files);
          expect(residentBytes() - held, "bytes more than after the first while").toBeLessThan(GROWTH_BYTES);
          for (const entry of await first.call("snapshot.ls", {})) expect(entry).toMatchObject({ problem: null });
          for (const client of clients) await client.close();
        } finally {
          await daemon.stop();
        }
      },
      STRESS_SECONDS * 1000 + within(target, 100),
    );

    const machine = useMachine(target);

    test(
      `${GUESTS} guests launched and ended`,
      async () => {
        const { hypervisor } = machine();
        await machine().scrubbed();
        const before = (await hypervisor.hostStat()).freeBytes;
        const launch = async (count: number): Promise<void> => {
          for (let turn = 0; turn < count; turn++) {
            const guest = await machine().run("hello16", { memory: "2M", affinity: [0, 1, 2, 3][turn & 3] ?? 0 });
            if (turn & 1) await guest.shows(/\n/, 30);
            await guest.remove();
          }
        };
        const lanes = 4;
        await Promise.all([...Array(lanes).keys()].map(() => launch(GUESTS / lanes)));
        await machine().scrubbed();
        expect((await hypervisor.hostStat()).freeBytes).toBe(before);
      },
      GUESTS * within(target, 1) + 60_000,
    );
  },
  [2],
);
