// A file of recorded exits (`hvkit trace -o`): JSON, an object a line. The first says what it is, each further one is an exit. A number that is
// missing between two lines was lost, unless the exits were chosen.
import { readFileSync } from "node:fs";
import { z } from "zod";
import { type Trace, type TracedExit, tracedExit } from "../api/trace.js";
import { HvkitError } from "../errors.js";
import { fileError } from "../files.js";

const VERSION = 1;

export const traceHeader = z.strictObject({
  hvkitTrace: z.literal(VERSION),
  guest: z.string(),
  vendor: z.string(),
  /** only some of the exits were written: numbers that are missing were not lost */
  filtered: z.boolean().optional(),
});
export type TraceHeader = z.infer<typeof traceHeader>;

export interface TraceFile {
  path: string;
  header: TraceHeader;
  exits: TracedExit[];
}

export const headerOf = ({ name, vendor }: Pick<Trace, "name" | "vendor">, filtered = false): TraceHeader => ({
  hvkitTrace: VERSION,
  guest: name,
  vendor,
  ...(filtered ? { filtered } : {}),
});

export const lineOf = (value: TraceHeader | TracedExit): string => `${JSON.stringify(value)}\n`;

export function readTrace(path: string): TraceFile {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const known = fileError(error, path);
    if (known instanceof HvkitError) throw known;
    throw new HvkitError("E_TRACE_FILE", `${path} cannot be read: ${(error as Error).message}`, { data: { path }, cause: error });
  }
  const [first = "", ...rest] = text.split("\n");
  const header = parse(traceHeader, first, path, 1);
  const exits: TracedExit[] = [];
  for (const [index, line] of rest.entries()) {
    // What ends without a line's end was cut off while it was written.
    if (line === "" && index === rest.length - 1) break;
    const exit = parse(tracedExit, line, path, index + 2);
    if (exit.index <= (exits.at(-1)?.index ?? -1)) throw bad(path, `line ${index + 2}: its exits are not in their order`);
    exits.push(exit);
  }
  return { path, header, exits };
}

function parse<T>(schema: z.ZodType<T>, line: string, path: string, number: number): T {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw bad(path, `line ${number} is not JSON: it is cut off, or something else`);
  }
  const checked = schema.safeParse(value);
  if (checked.success) return checked.data;
  const [issue] = checked.error.issues;
  throw bad(path, `line ${number}: ${issue?.path.join(".") || "it"}: ${issue?.message}`);
}

function bad(path: string, what: string): HvkitError {
  return new HvkitError("E_TRACE_FILE", `${path} is no recorded trace: ${what}`, {
    hint: "`hvkit trace GUEST -o FILE` makes one.",
    data: { path },
  });
}
