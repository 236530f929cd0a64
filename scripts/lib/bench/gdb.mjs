// What gdb reads of a guest's memory in a second: the whole way, by the commands that a person gives, with gdb itself.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "../run.mjs";
import { none } from "./metrics.mjs";

const HVKIT = join(root, "build/js/control/src/cli/main.js");
const MIB = 2 ** 20;
/** of the guest `spin`, which has 64-bit paging */
const START = 0x100000;
const SIZES = { qemu: 16 * MIB, bochs: 16 * 1024 };

/** Seconds of a session that reads so much, less those of one that reads a byte. Median of three. */
export async function gdbRead(_bench, { engine }) {
  if (spawnSync("gdb", ["--version"]).error) return { "gdb.read_mb_per_s": none("gdb is not installed") };
  const folder = mkdtempSync(join(tmpdir(), "hvkit-bench-gdb-"));
  const hvkit = (...args) => {
    const env = { ...process.env, XDG_RUNTIME_DIR: folder };
    const start = performance.now();
    const { status, stderr, stdout } = spawnSync(process.execPath, [HVKIT, ...args], { env, encoding: "utf8" });
    if (status !== 0) throw new Error(`hvkit ${args[0]}: ${stderr.trim() || stdout.trim()}`);
    return (performance.now() - start) / 1000;
  };
  const read = (bytes) =>
    hvkit("debug", "guest", "--no-symbols", "--", "-batch", "-ex", `dump binary memory /dev/null ${START} ${START + bytes}`);
  try {
    hvkit("up", "--engine", engine, "--memory", "256M");
    hvkit("run", "spin", "--memory", "32M", "-d", "--name", "guest");
    const times = Array.from({ length: 3 }, () => read(SIZES[engine]) - read(1));
    const [, seconds] = times.sort((a, b) => a - b);
    return { "gdb.read_mb_per_s": Math.round((SIZES[engine] / seconds / 1e6) * 1000) / 1000 };
  } finally {
    spawnSync(process.execPath, [HVKIT, "down"], { env: { ...process.env, XDG_RUNTIME_DIR: folder } });
    rmSync(folder, { recursive: true, force: true });
  }
}
