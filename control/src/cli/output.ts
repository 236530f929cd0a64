// What commands print and how: data on standard output, messages on standard error, colour only on a terminal that wants it.
import { toRpcError } from "../api/jsonrpc.js";
import { HvkitError } from "../errors.js";
import { cut, pad, terminalWidth, textWidth } from "./terminal.js";

/** Documented in `hvkit --help`. */
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;
/** 128 and SIGINT's number, as shells have it */
export const EXIT_INTERRUPTED = 130;
/** of `exec`, whose other codes are the command's */
export const EXIT_EXEC_FAILED = 125;
export const EXIT_COMMAND_NOT_STARTED = 126;
export const EXIT_COMMAND_NOT_FOUND = 127;

const STYLES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;
type Style = keyof typeof STYLES;

function coloured(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== "dumb";
}

export function style(text: string, name: Style, stream: NodeJS.WriteStream = process.stdout): string {
  return coloured(stream) ? `\x1b[${STYLES[name]}m${text}\x1b[0m` : text;
}

let written: string[] | undefined;

/** Data. */
export function print(line: string): void {
  if (written) written.push(line);
  else process.stdout.write(`${line}\n`);
}

/** What is printed while `work` runs, instead of being printed. */
export async function captured(work: () => Promise<void>): Promise<string> {
  const lines: string[] = [];
  const outer = written;
  written = lines;
  try {
    await work();
  } finally {
    written = outer;
  }
  return lines.join("\n");
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2));
}

/** A message for the person in front of it. */
export function note(line: string): void {
  process.stderr.write(`${line}\n`);
}

const GAP = "   ";
/** a column that must be cut keeps as much */
const LEAST_COLUMN = 6;

/** What gives way when a table has no room, by heading. */
export interface Priorities {
  /** never cut: what one copies from there. One that stands last goes on in the terminal's next line */
  whole?: readonly string[];
  /** left out when cutting the others is not enough, the first one first */
  spare?: readonly string[];
}

/** of the terminal's width: what a last column that is never cut may keep from the others */
const LAST_SHARE = 0.6;

/** Columns as wide as their longest text; the last is not padded. `room`: the terminal's width, to which the widest columns are cut. */
export function table(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  room = terminalWidth(process.stdout),
  { whole = [], spare = [] }: Priorities = {},
): string {
  const all = headings.map((heading, at) => {
    const texts = [heading, ...rows.map((row) => row[at] ?? "")];
    return { texts, heading, wanted: Math.max(...texts.map(textWidth)), whole: whole.includes(heading) };
  });
  const columns = room === undefined ? all : withRoom(all, room, spare);
  const widths = room === undefined ? columns.map(({ wanted }) => wanted) : fit(columns, room - GAP.length * (columns.length - 1));
  const isLastWhole = columns.at(-1)?.whole ?? false;
  const line = (row: number): string => {
    const text = columns
      .map(({ texts, whole: isWhole }, at) => pad(isWhole ? (texts[row] ?? "") : cut(texts[row] ?? "", widths[at] ?? 0), widths[at] ?? 0))
      .join(GAP)
      .trimEnd();
    return room === undefined || isLastWhole ? text : cut(text, room);
  };
  return [style(line(0), "bold"), ...rows.map((_row, at) => line(at + 1))].join("\n");
}

interface Column {
  texts: readonly string[];
  heading: string;
  wanted: number;
  whole: boolean;
}

/** Without the spare ones for which there is no room beside what is never cut. */
function withRoom(all: readonly Column[], room: number, spare: readonly string[]): Column[] {
  let columns = all.map((column, at) =>
    column.whole && at === all.length - 1 ? { ...column, wanted: Math.min(column.wanted, Math.floor(room * LAST_SHARE)) } : column,
  );
  const least = (): number => columns.reduce((total, column) => total + leastOf(column) + GAP.length, -GAP.length);
  for (const heading of spare) {
    if (least() <= room) break;
    columns = columns.filter((column) => column.heading !== heading);
  }
  return columns;
}

const leastOf = ({ wanted, whole }: Column): number => (whole ? wanted : Math.min(wanted, LEAST_COLUMN));

/** The widest columns give way, all to the same width; the last one has what remains. */
function fit(columns: readonly Column[], room: number): number[] {
  const at = (level: number): number[] => columns.map(({ wanted, whole }) => (whole ? wanted : Math.min(wanted, level)));
  const sum = (widths: readonly number[]): number => widths.reduce((total, width) => total + width, 0);
  let level = Math.max(...columns.map(({ wanted }) => wanted));
  while (level > LEAST_COLUMN && sum(at(level)) > room) level--;
  const widths = at(level);
  const last = widths.length - 1;
  const rest = room - sum(widths.slice(0, last));
  return widths.map((width, column) => (column === last ? Math.max(width, Math.min(columns[last]?.wanted ?? 0, rest)) : width));
}

/** "name   value" lines, values under one another. */
export function pairs(rows: [string, string][]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows
    .map(([name, value]) => `${style(`${name}:`.padEnd(width + 1), "bold")}  ${value.replaceAll("\n", `\n${" ".repeat(width + 3)}`)}`)
    .join("\n");
}

/** `hvkit: E_CODE: what. hint`, or with --json the same as an object, on standard error. */
export function printError(error: unknown, json: boolean): void {
  if (json) {
    const { message, data } = toRpcError(error);
    note(JSON.stringify({ error: { code: data?.code, message, hint: data?.hint ?? null, values: data?.values ?? null } }));
    return;
  }
  const known = error instanceof HvkitError;
  const code = known ? error.code : "E_INTERNAL";
  const message = error instanceof Error ? error.message : String(error);
  const hint = known ? error.hint : "This is a defect of hvkit; set HVKIT_DEBUG=1 to see where.";
  note(`${style("hvkit:", "red", process.stderr)} ${code}: ${sentence(message)}${hint ? ` ${hint}` : ""}`);
  if (process.env.HVKIT_DEBUG && error instanceof Error) note(error.stack ?? "");
}

function sentence(text: string): string {
  return /[.!?:]$/.test(text) ? text : `${text}.`;
}

/** A line that is written over, on a terminal only. */
export class ProgressLine {
  #width = 0;
  #last = 0;

  show(text: string): void {
    const now = Date.now();
    if (!process.stderr.isTTY || now - this.#last < 50) return;
    this.#last = now;
    const line = cut(text, (terminalWidth(process.stderr) ?? text.length + 1) - 1); // a full line would go on in the next
    process.stderr.write(`\r${pad(line, this.#width)}`);
    this.#width = textWidth(line);
  }

  clear(): void {
    if (this.#width > 0) process.stderr.write(`\r${" ".repeat(this.#width)}\r`);
    this.#width = 0;
  }
}

/** "3 minutes", for ps and status. */
export function showAge(since: string, now = Date.now()): string {
  const seconds = Math.max(0, Math.floor((now - Date.parse(since)) / 1000));
  const [count, unit] =
    seconds < 120
      ? [seconds, "second"]
      : seconds < 7200
        ? [Math.floor(seconds / 60), "minute"]
        : seconds < 172800
          ? [Math.floor(seconds / 3600), "hour"]
          : [Math.floor(seconds / 86400), "day"];
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}
