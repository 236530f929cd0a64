// hvkit ps: the guests.
import { Command, Option } from "@commander-js/extra-typings";
import type { GuestSummary } from "../../api/schemas.js";
import { showSize } from "../../api/size.js";
import { note, type Priorities, print, printJson, showAge, style, table } from "../output.js";
import { call } from "../session.js";

export const ps = () =>
  new Command("ps")
    .description("list the guests, those that ended too")
    .option("-q, --quiet", "print ids alone, one a line")
    .addOption(new Option("-a, --all", "as docker has it: those that ended are listed in any case").hideHelp())
    .addOption(new Option("--json", "print as JSON").conflicts("quiet"))
    .addHelpText(
      "after",
      `
Examples:
  hvkit ps
  hvkit ps --json
  hvkit ps -q | xargs hvkit rm -f

States: created, running (idle: halted until an interrupt), paused, restarting, exited (with why), lost (went down with the hypervisor). While the link to a machine
elsewhere is lost, guests are shown as they were before, and a line on standard error (with --json: staleSince) says since when.`,
    )
    .action(async ({ json, quiet }) => {
      const guests = await call("ps", {});
      const stale = json ? undefined : showStale(guests);
      if (stale !== undefined) note(style(stale, "yellow", process.stderr));
      if (json) printJson(guests);
      else if (quiet) for (const { id } of guests) print(id);
      else print(showGuests(guests));
    });

const PRIORITIES: Priorities = { whole: ["ID", "NAME", "STATE"], spare: ["RESTARTS", "CREATED", "MEMORY", "IMAGE"] };

export function showGuests(guests: GuestSummary[], now = Date.now(), room?: number): string {
  const rows = guests.map((guest) => [
    guest.id,
    guest.name,
    guest.image,
    showSize(guest.memoryBytes),
    String(guest.restarts),
    `${showAge(guest.createdAt, now)} ago`,
    showState(guest, now),
  ]);
  return table(["ID", "NAME", "IMAGE", "MEMORY", "RESTARTS", "CREATED", "STATE"], rows, room, PRIORITIES);
}

/** A line for those who read the table; undefined: all is as it is shown. */
export function showStale(guests: GuestSummary[], now = Date.now()): string | undefined {
  const since = guests.find(({ staleSince }) => staleSince !== null)?.staleSince;
  if (!since) return undefined;
  return `hvkit: the link is lost since ${showAge(since, now)}: running and paused guests are shown as they were then (\`hvkit status\` says why)`;
}

function showState({ state, idle, startedAt, endedAt, end }: GuestSummary, now: number): string {
  if (state === "running" && startedAt) return `running${idle ? " (idle)" : ""} for ${showAge(startedAt, now)}`;
  if (end && endedAt && (state === "exited" || state === "lost")) {
    const value = end.value === "0x0" ? "" : ` ${end.value}`;
    const why = end.why === undefined ? "" : `: ${end.why}`;
    return `${state} (${end.code}${value}) ${showAge(endedAt, now)} ago${why}`;
  }
  return state;
}
