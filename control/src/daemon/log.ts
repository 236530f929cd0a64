// The daemon's log: pino's JSON lines in a file of the runtime folder, written at once so that a crash loses none.
import { readFileSync } from "node:fs";
import { pino } from "pino";

export type Log = pino.Logger;

/** characters that wait for room on a full disk, at most */
const MAX_WAITING = 64 * 1024;

export function openLog(path: string): Log {
  const file = pino.destination({ dest: path, sync: true, mode: 0o600, maxLength: MAX_WAITING });
  file.on("error", () => {}); // a full disk costs lines of the log, not the daemon
  return pino({ level: process.env.HVKIT_LOG_LEVEL ?? "info", base: null, timestamp: pino.stdTimeFunctions.isoTime }, file);
}

export function silentLog(): Log {
  return pino({ level: "silent" });
}

/** The end of a log, for the error of a daemon that did not come up. */
export function lastLines(path: string, count = 5): string {
  try {
    return readFileSync(path, "utf8").trimEnd().split("\n").slice(-count).join("\n");
  } catch {
    return "";
  }
}
