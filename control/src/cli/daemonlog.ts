// hvkit logs --daemon: the daemon's log, read as the file that it is, so that one that hangs or was killed can be asked, too.
import { closeSync, existsSync, openSync, readSync, statSync } from "node:fs";
import { StringDecoder } from "node:string_decoder";
import { setTimeout as sleep } from "node:timers/promises";
import { checkRuntimeFolder, runtimePaths } from "../api/paths.js";
import { olderHalf } from "../daemon/logfile.js";
import { HvkitError } from "../errors.js";
import { interruption } from "../interrupts.js";
import { print, style } from "./output.js";

const PIECE_BYTES = 64 * 1024;
const POLL_MS = 200;
const LEVELS: Record<number, string> = { 10: "trace", 20: "debug", 30: "info", 40: "warn", 50: "error", 60: "fatal" };

export interface DaemonLogOptions {
  follow: boolean;
  json: boolean;
  /** of what there is at first, only so many; by default all */
  lines?: number;
}

export async function showDaemonLog({ follow, json, lines }: DaemonLogOptions): Promise<void> {
  const { folder, log } = runtimePaths();
  if (!checkRuntimeFolder(folder) || !existsSync(log)) {
    throw new HvkitError("E_NOT_UP", "no daemon runs, and none was killed: there is no log", { hint: "Start one with `hvkit up`." });
  }
  const show = (line: string): void => print(json ? line : showLogLine(line));
  let last: string[] | undefined = lines === undefined ? undefined : [];
  const onLine = (line: string): void => {
    if (!last) {
      show(line);
      return;
    }
    last.push(line);
    if (last.length > (lines ?? 0)) last.shift();
  };
  if (existsSync(olderHalf(log))) new LineReader(olderHalf(log), onLine).read();
  const reader = new LineReader(log, onLine);
  reader.read();
  const found = last ?? [];
  last = undefined;
  for (const line of found) show(line);
  const stop = interruption();
  while (follow && !stop.aborted && existsSync(log)) {
    await sleep(POLL_MS, undefined, { signal: stop }).catch(() => {});
    reader.read();
  }
}

/** Whole lines of a file that grows, and may begin anew. */
class LineReader {
  #offset = 0;
  #partial = "";
  #decoder = new StringDecoder("utf8");

  constructor(
    private readonly path: string,
    private readonly onLine: (line: string) => void,
  ) {}

  read(): void {
    if ((statSync(this.path, { throwIfNoEntry: false })?.size ?? 0) < this.#offset) {
      this.#offset = 0;
      this.#partial = "";
      this.#decoder = new StringDecoder("utf8");
    }
    for (;;) {
      const bytes = this.#piece();
      if (bytes.length === 0) return;
      this.#offset += bytes.length;
      const lines = (this.#partial + this.#decoder.write(bytes)).split("\n");
      this.#partial = lines.pop() ?? "";
      for (const line of lines) if (line !== "") this.onLine(line);
    }
  }

  #piece(): Buffer {
    try {
      const file = openSync(this.path, "r");
      try {
        const bytes = Buffer.alloc(PIECE_BYTES);
        return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, this.#offset));
      } finally {
        closeSync(file);
      }
    } catch {
      return Buffer.alloc(0); // it went with its daemon
    }
  }
}

/** "2026-01-01T00:00:00.000Z info ready socket=..." of a line of pino's; what is none is shown as it is. */
export function showLogLine(line: string): string {
  let fields: Record<string, unknown>;
  try {
    fields = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return line;
  }
  const { level, time, msg, err, ...rest } = fields;
  const name = LEVELS[Number(level)] ?? String(level);
  const shown = Number(level) >= 50 ? style(name, "red") : Number(level) >= 40 ? style(name, "yellow") : name;
  const values = Object.entries(rest).map(([key, value]) => ` ${key}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  const error = err as { message?: unknown; code?: unknown } | undefined;
  const why = error ? `: ${error.code === undefined ? "" : `${String(error.code)}: `}${String(error.message)}` : "";
  return `${style(String(time), "dim")} ${shown} ${String(msg)}${why}${values.join("")}`;
}
