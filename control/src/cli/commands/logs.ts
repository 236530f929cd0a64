// hvkit logs: what a guest's console wrote, from the oldest byte that is kept; or the daemon's own log.
import { Command, InvalidArgumentError } from "@commander-js/extra-typings";
import { note, printJson } from "../output.js";
import { withClient } from "../session.js";
import { requireGuest } from "../subject.js";
import { tailOf } from "../tail.js";

export const logs = () =>
  new Command("logs")
    .description("print what a guest's console wrote, or the daemon's log")
    .argument("[guest]", "name or id")
    .option("--daemon", "the daemon's log instead; with --json as it is in its file, one object a line")
    .option("-f, --follow", "go on until the guest ends")
    .option("-n, --tail <lines>", "only the last lines, so many; with -f from there on", lineCount)
    .option("--json", "print one object {guest, start, end, lost, text}; not with -f")
    .addHelpText(
      "after",
      `
Examples:
  hvkit logs web
  hvkit logs -f web
  hvkit logs -n 20 web

The last 16 MiB are kept (of all guests together 256 MiB: the largest give way), over resets too, until 'hvkit rm'.`,
    )
    .action(async (guest, { daemon, follow, tail: lines, json }, command) => {
      if (daemon) {
        if (guest !== undefined) command.error("error: --daemon is not a guest's: leave the guest out");
        if (process.env.HVKIT_URL) command.error("error: --daemon reads a file of this machine: leave --url out");
        const { showDaemonLog } = await import("../daemonlog.js");
        await showDaemonLog({ follow: follow === true, json: json === true, ...(lines === undefined ? {} : { lines }) });
        return;
      }
      if (guest === undefined) return command.error("error: missing required argument 'guest'");
      requireGuest(
        guest,
        "console log",
        `\`hvkit dmesg ${guest}\` reads a Linux' own log out of its memory; \`hvkit logs GUEST >FILE\` keeps a console's.`,
      );
      if (follow && json) command.error("error: --json prints one object, -f goes on: choose one");
      await withClient(async (client) => {
        const tail = lines === undefined ? undefined : await tailOf(client, guest, lines);
        if (follow) {
          const { attach } = await import("../attach.js");
          await attach(client, guest, { forwardInput: false, ...(tail ? { tail: tail.end - tail.offset } : {}) });
          return;
        }
        const parts: Buffer[] = [];
        let end = tail?.end ?? Number.POSITIVE_INFINITY;
        let lost = 0;
        let start: number | undefined;
        for (let offset = tail?.offset ?? 0; offset < end; ) {
          const part = await client.call("logs", { guest, offset });
          const bytes = Buffer.from(part.data, "base64").subarray(0, end - part.offset);
          start ??= part.offset;
          lost = part.lost;
          if (end === Number.POSITIVE_INFINITY) end = part.end; // a guest that goes on writing has no end
          if (bytes.length === 0) break;
          offset = part.offset + bytes.length;
          if (json) parts.push(bytes);
          else if (!process.stdout.write(bytes)) await new Promise((resolve) => process.stdout.once("drain", resolve));
        }
        if (!tail && start !== undefined && start > 0) note(`hvkit: the first ${start} bytes of this console are not kept any more`);
        if (lost > 0) note(`hvkit: ${lost} bytes of this console are lost: there was no room for them`);
        if (json) printJson({ guest, start: start ?? tail?.offset ?? 0, end, lost, text: Buffer.concat(parts).toString("utf8") });
      });
    });

/** Undefined: all of them. */
function lineCount(text: string): number | undefined {
  if (text === "all") return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("Expected a number of lines, or 'all'.");
}
