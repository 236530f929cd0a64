// The daemon's log: pino's JSON lines in a file of the runtime folder (logfile.ts).
import { pino } from "pino";
import { HvkitError } from "../errors.js";
import { LogFile, type LogFileOptions } from "./logfile.js";

export type Log = pino.Logger;

const LEVELS = [...Object.keys(pino.levels.values), "silent"];

export function openLog(path: string, options: LogFileOptions = {}): Log {
  const level = process.env.HVKIT_LOG_LEVEL || "info";
  if (!LEVELS.includes(level)) {
    throw new HvkitError("E_USAGE", `HVKIT_LOG_LEVEL '${level}' is no level`, { hint: `There are ${LEVELS.join(", ")}.` });
  }
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, new LogFile(path, options));
}

export function silentLog(): Log {
  return pino({ level: "silent" });
}
