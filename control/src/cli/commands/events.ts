// hvkit events: what happened to guests and link, and what happens.
import { Command } from "@commander-js/extra-typings";
import type { HvkitEvent } from "../../api/events.js";
import { interruption } from "../../interrupts.js";
import { print, printJson, style } from "../output.js";
import { withClient } from "../session.js";

export const events = () =>
  new Command("events")
    .description("print what happened to the guests and to the link, and what happens")
    .argument("[guest]", "only what is of this guest: its name, or the beginning of its id")
    .option("-f, --follow", "go on with what comes, until ^C")
    .option("--json", "print as JSON; with -f one event a line")
    .addHelpText(
      "after",
      `
The daemon keeps the last 1,024. Guests are created, cloned, started, paused, unpaused, restarting, halted, trapped, ended, removed; the link to
the hypervisor is lost, back, or failed. docs/daemon.md has what each one tells.

Examples:
  hvkit events
  hvkit events web -f              what becomes of one guest
  hvkit events -f --json           one object a line, for jq and the like`,
    )
    .action(async (guest, { follow = false, json }) => {
      const { events: read } = await import("../../client/events.js");
      const stop = interruption();
      await withClient(async (client) => {
        const all: HvkitEvent[] = [];
        try {
          for await (const event of read(client, { from: 0, follow, signal: stop })) {
            if (guest !== undefined && !isOf(event, guest)) continue;
            if (!json) print(showEvent(event));
            else if (follow) print(JSON.stringify(event));
            else all.push(event);
          }
        } catch (error) {
          if (!stop.aborted) throw error;
        }
        if (json && !follow) printJson(all);
      });
    });

function isOf(event: HvkitEvent, reference: string): boolean {
  return "guest" in event && (event.guest.name === reference || event.guest.id.startsWith(reference));
}

/** "2026-01-01T00:00:00.000Z guest.ended web (0123456789ab, hello64): It was killed." */
export function showEvent(event: HvkitEvent): string {
  const guest = "guest" in event ? [` ${event.guest.name} (${event.guest.id}, ${event.guest.image})`] : [];
  return [`${style(event.at, "dim")} ${event.type}`, ...guest, detail(event)].join("");
}

function detail(event: HvkitEvent): string {
  switch (event.type) {
    case "guest.started":
      return event.state === "paused" ? ": it waits for unpause" : "";
    case "guest.cloned":
      return `: a copy of ${event.of ? `${event.of.name} (${event.of.id})` : "a snapshot"}, generation ${event.generation}`;
    case "guest.swapped":
      return `: on machine ${event.module} now, in place ${event.slot}`;
    case "guest.halted":
    case "guest.trapped":
    case "guest.ended":
      return `: ${event.end.text}`;
    case "console.lost":
      return `: ${event.count} bytes of port ${event.port}`;
    case "link.lost":
      return `: ${event.reason}${event.guests === "kept" ? " (the guests go on)" : ""}`;
    case "link.failed":
      return `: ${event.reason}`;
    case "link.back":
      if (event.guests === "kept") return ": the guests are kept";
      return `: started again, ${event.restarts} time${event.restarts === 1 ? "" : "s"} by now`;
    case "events.lost":
      return `: ${event.count} from number ${event.seq} on are not kept any more`;
    default:
      return "";
  }
}
