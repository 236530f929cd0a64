// hvkit logs: what a guest's console wrote, from the oldest byte that is kept.
import { Command } from "@commander-js/extra-typings";
import { note, printJson } from "../output.js";
import { withClient } from "../session.js";

export const logs = () =>
  new Command("logs")
    .description("print what a guest's console wrote")
    .argument("<guest>", "name or id")
    .option("-f, --follow", "go on until the guest ends")
    .option("--json", "print one object {guest, start, end, lost, text}; not with -f")
    .addHelpText(
      "after",
      `
Examples:
  hvkit logs web
  hvkit logs -f web

The last 16 MiB are kept (of all guests together 256 MiB: the largest give way), over resets too, until 'hvkit rm'.`,
    )
    .action(async (guest, { follow, json }, command) => {
      if (follow && json) command.error("error: --json prints one object, -f goes on: choose one");
      await withClient(async (client) => {
        if (follow) {
          const { attach } = await import("../attach.js");
          await attach(client, guest, { forwardInput: false });
          return;
        }
        const parts: Buffer[] = [];
        let end = Number.POSITIVE_INFINITY;
        let lost = 0;
        let start: number | undefined;
        for (let offset = 0; offset < end; ) {
          const part = await client.call("logs", { guest, offset });
          const bytes = Buffer.from(part.data, "base64");
          start ??= part.offset;
          lost = part.lost;
          if (end === Number.POSITIVE_INFINITY) end = part.end; // a guest that goes on writing has no end
          if (bytes.length === 0) break;
          offset = part.offset + bytes.length;
          if (json) parts.push(bytes);
          else if (!process.stdout.write(bytes)) await new Promise((resolve) => process.stdout.once("drain", resolve));
        }
        if (lost > 0) note(`hvkit: ${lost} bytes of this console are lost: there was no room for them`);
        if (json) printJson({ guest, start: start ?? 0, end, lost, text: Buffer.concat(parts).toString("utf8") });
      });
    });
