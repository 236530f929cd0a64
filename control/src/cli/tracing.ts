// What `hvkit trace` does with a guest: prints its last exits, follows it, or writes them to a file.
import { setTimeout as sleep } from "node:timers/promises";
import { TraceRing } from "../../../protocol/trace.js";
import type { Trace, TracedExit } from "../api/trace.js";
import type { Client } from "../client/client.js";
import { HvkitError } from "../errors.js";
import { Interrupts } from "../interrupts.js";
import { headerOf, lineOf } from "../trace/file.js";
import { isEmpty, passes, type TraceFilter } from "../trace/filter.js";
import { showExit } from "../trace/text.js";
import { note, print, printJson, style } from "./output.js";
import { writeOutput } from "./outputfile.js";

/** between two looks that found nothing new */
const PAUSE_MS = 100;
const LIVE: readonly string[] = ["created", "running", "paused"];

export interface Wanted {
  filter: TraceFilter;
  last: number;
  json: boolean;
}

export async function printTrace(client: Client, guest: string, { filter, last, json }: Wanted): Promise<void> {
  const found = await read(client, guest, filter, last);
  if (json) {
    printJson(found);
    return;
  }
  if (found.exits.length === 0)
    note(found.count === 0 ? `${found.name} had no exit since its exits are recorded` : "none of its exits is one of these");
  else print(HEADING());
  for (const line of withGaps(found.exits, isEmpty(filter))) print(line);
}

export async function saveTrace(
  client: Client,
  guest: string,
  { filter, last, json, output }: { filter: TraceFilter; last: number | undefined; json: boolean; output: string },
): Promise<void> {
  const found = await read(client, guest, filter, last ?? TraceRing.Records);
  async function* parts() {
    yield Buffer.from(lineOf(headerOf(found, !isEmpty(filter))) + found.exits.map(lineOf).join(""));
  }
  await writeOutput(output, parts());
  const { name, count, exits } = found;
  if (json) printJson({ name, count, written: exits.length, file: output });
  else note(`${exits.length} of ${count} exits of ${name} to ${output}`);
}

/** Until the guest ends, or ^C. What was not recorded before is recorded meanwhile. */
export async function followTrace(
  client: Client,
  guest: string,
  { filter, last, json, output }: Wanted & { output: string | undefined },
): Promise<void> {
  let left = false;
  const leave = (): void => {
    left = true;
  };
  const interrupts = new Interrupts(leave);
  process.stdout.on("error", leave); // nobody reads
  const { traced } = await client.call("stats", { guest });
  if (!traced) await client.call("trace.set", { guest, ring: true });
  let header: Trace | undefined;
  let lost = 0;

  /** A guest that is removed meanwhile is the end of its exits. */
  const removed = (error: unknown): undefined => {
    if (header && error instanceof HvkitError && ["E_NO_GUEST", "E_HV_NO_SUCH_GUEST"].includes(error.code)) return undefined;
    throw error;
  };

  async function* exits(): AsyncGenerator<TracedExit> {
    let next: number | undefined;
    for (let done = false; !done; ) {
      const part = await client
        .call("trace", next === undefined ? { guest, last: Math.max(1, last) } : { guest, from: next })
        .catch(removed);
      if (!part) return;
      header ??= part;
      next ??= Math.max(0, part.count - last);
      const fresh = part.exits.filter(({ index }) => index >= (next ?? 0));
      const first = fresh[0]?.index ?? next;
      lost += first - next;
      if (first > next && output === undefined && !json) print(lostLine(first - next));
      yield* fresh.filter((exit) => passes(exit, filter));
      next = (fresh.at(-1)?.index ?? next - 1) + 1;
      done = left || (next >= part.count && !LIVE.includes(part.state));
      if (!done && fresh.length === 0) await sleep(PAUSE_MS);
    }
  }
  try {
    if (output !== undefined) {
      let written = 0;
      async function* parts() {
        for await (const exit of exits()) {
          if (written++ === 0 && header) yield Buffer.from(lineOf(headerOf(header, !isEmpty(filter))));
          yield Buffer.from(lineOf(exit));
        }
        if (written === 0 && header) yield Buffer.from(lineOf(headerOf(header, !isEmpty(filter))));
      }
      await writeOutput(output, parts(), { endsAtInterrupt: true });
      if (json) printJson({ name: header?.name ?? guest, lost, written, file: output });
      else
        note(`${written} exits of ${header?.name ?? guest} to ${output}${lost > 0 ? `; ${lost} came faster than they could be read` : ""}`);
      return;
    }
    if (!json) print(HEADING());
    for await (const exit of exits()) print(json ? JSON.stringify(exit) : showExit(exit));
  } finally {
    interrupts.close();
    process.stdout.off("error", leave);
    if (!traced) await client.call("trace.set", { guest, ring: false }).catch(() => {}); // it may be gone
  }
}

/** The last ones that pass, of all that are there; and how many were recorded. */
async function read(client: Client, guest: string, filter: TraceFilter, last: number): Promise<Trace> {
  const found = await client.call("trace", { guest, last: isEmpty(filter) ? last : TraceRing.Records });
  // More than one reply carries, but no more than there were at the beginning.
  for (let next = found.exits.at(-1); next && next.index + 1 < found.count; ) {
    const part = await client.call("trace", { guest, from: next.index + 1 });
    const fresh = part.exits.filter(({ index }) => index < found.count);
    found.exits.push(...fresh);
    next = fresh.at(-1);
  }
  return { ...found, exits: found.exits.filter((exit) => passes(exit, filter)).slice(-last) };
}

const HEADING = (): string => style(`${"EXIT".padStart(6)}  ${"SECONDS".padStart(11)}  ${"RIP".padStart(16)}  WHAT`, "bold");

/** Lines, and one more where exits are missing between two: without a filter, they were lost. */
function withGaps(exits: readonly TracedExit[], gapless: boolean): string[] {
  return exits.flatMap((exit, place) => {
    const before = exits[place - 1];
    const missing = gapless && before ? exit.index - before.index - 1 : 0;
    return [...(missing > 0 ? [lostLine(missing)] : []), showExit(exit)];
  });
}

const lostLine = (count: number): string => style(`... ${count} exits are lost: they came faster than they could be read`, "yellow");
