// hvkit console: the terminal on a guest's first serial port.
import { Command } from "@commander-js/extra-typings";
import { note } from "../output.js";
import { withClient } from "../session.js";
import { requireGuest } from "../subject.js";

/** what was on the screen, about: enough to see where one is */
const TAIL_BYTES = 4096;

export const console = () =>
  new Command("console")
    .description("attach to a guest's console (^] leaves)")
    .argument("<guest>", "name or id")
    .addHelpText(
      "after",
      `
Examples:
  hvkit console web
  echo 'uname -a' | hvkit console web

The keys go to the guest as they are, ^C too; ^] leaves, and the guest goes on. First comes the end of what it wrote before.
Without a terminal, standard input is sent to the guest, and its console is printed until it ends.`,
    )
    .action(async (guest) => {
      requireGuest(guest, "console to type into");
      await withClient(async (client) => {
        if (process.stdin.isTTY) note("^] leaves");
        const { attach } = await import("../attach.js");
        await attach(client, guest, { forwardInput: true, tail: TAIL_BYTES });
      });
    });
