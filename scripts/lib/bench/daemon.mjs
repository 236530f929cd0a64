// What the daemon takes of memory, and what a command takes of time: on a hypervisor that `hvkit up` booted, with guests on it.
import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { root } from "../run.mjs";
import { none } from "./metrics.mjs";

const HVKIT = join(root, "build/js/control/src/cli/main.js");
const GUESTS = 8;
const RUNS = 21;

export async function daemon({ engine }) {
  const folder = mkdtempSync(join(tmpdir(), "hvkit-bench-daemon-"));
  const env = { ...process.env, XDG_RUNTIME_DIR: folder, NO_COLOR: "1" };
  const hvkit = async (...args) => (await promisify(execFile)(process.execPath, [HVKIT, ...args], { env })).stdout;
  try {
    const { pid } = JSON.parse(await hvkit("up", "--engine", engine, "--memory", "256M", "--json"));
    for (let count = 0; count < GUESTS; count++) await hvkit("run", "hello64", "-d", "--name", `guest${count}`);
    const times = [];
    for (let run = 0; run < RUNS; run++) {
      const start = performance.now();
      await hvkit("ps");
      times.push(performance.now() - start);
    }
    const [middle] = times.sort((a, b) => a - b).slice(RUNS >> 1);
    return { "daemon.rss_mb": rssOf(pid), "cli.start_ms": Math.round(middle) };
  } finally {
    spawnSync(process.execPath, [HVKIT, "down"], { env });
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The machine's RAM, which the daemon has mapped, is the engine's. */
function rssOf(pid) {
  let status;
  try {
    status = readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {
    return none("there is no /proc");
  }
  const kilobytes = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0);
  return Math.round(((kilobytes("RssAnon") + kilobytes("RssFile")) * 1024) / 1e5) / 10;
}
