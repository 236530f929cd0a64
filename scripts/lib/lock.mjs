// One build at a time in a checkout: a file with the builder's process id. A builder that is gone leaves no lock behind that counts.
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

function alive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

function take(path) {
  try {
    const file = openSync(path, "wx");
    writeSync(file, String(process.pid));
    closeSync(file);
    return true;
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
    return false;
  }
}

function holder(path) {
  try {
    return Number(readFileSync(path, "utf8"));
  } catch {
    return 0;
  }
}

/** Runs `work` while no other process (and no other caller here) builds. */
export async function locked(path, log, work) {
  mkdirSync(dirname(path), { recursive: true });
  let said = false;
  let empty = 0;
  while (!take(path)) {
    const pid = holder(path);
    // A file without a number is either a builder between open and write, or one that died there: give it a second.
    empty = pid === 0 ? empty + 1 : 0;
    if ((pid !== 0 && !alive(pid)) || empty > 10) {
      rmSync(path, { force: true });
      continue;
    }
    if (!said) log(`waiting for another build (process ${pid})`);
    said = true;
    await sleep(100);
  }
  try {
    return await work();
  } finally {
    rmSync(path, { force: true });
  }
}
