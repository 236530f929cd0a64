// Which process is which, safe against numbers that were used again: a process id and the time of its start.
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

export interface ProcessMark {
  pid: number;
  /** field 22 of /proc/PID/stat, clock ticks since boot; null where there is no /proc */
  start: string | null;
}

export function markOf(pid: number): ProcessMark {
  return { pid, start: startOf(pid) };
}

export function isAlive({ pid, start }: ProcessMark): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  return start === null || startOf(pid) === start;
}

/** SIGTERM, then SIGKILL; resolves when the process is gone. */
export async function endProcess(mark: ProcessMark, graceMs = 3000): Promise<void> {
  for (const [signal, wait] of [
    ["SIGTERM", graceMs],
    ["SIGKILL", 5000],
  ] as const) {
    if (!isAlive(mark)) return;
    try {
      process.kill(mark.pid, signal);
    } catch {
      return;
    }
    await waitForEnd(mark, wait);
  }
}

/** False: it is still there after `timeoutMs`. */
export async function waitForEnd(mark: ProcessMark, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (isAlive(mark)) {
    if (Date.now() >= deadline) return false;
    await sleep(20);
  }
  return true;
}

function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The command's name may hold blanks and parentheses; the fields after its last one are 3 and on. A zombie has ended.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? null : (fields[19] ?? null);
  } catch {
    return null;
  }
}
