// hvkit revert: a guest goes back to a snapshot of it.
import { Command } from "@commander-js/extra-typings";
import { print, printJson } from "../output.js";
import { withProgress } from "../progress.js";
import { withClient } from "../session.js";
import { snapshotReference } from "../snapshots.js";

export const revert = () =>
  new Command("revert")
    .description("take a guest back to a snapshot of it, whatever it is doing; its id, name and log stay")
    .argument("<guest>", "name or id")
    .argument("<snapshot>", "a name (see 'hvkit snapshot ls'), or the path of a file")
    .option("--paused", "it goes on at 'hvkit unpause'")
    .option("--json", "print the guest as JSON")
    .addHelpText(
      "after",
      `
Examples:
  hvkit revert web before-upgrade

What the guest is now is lost; a snapshot that cannot be restored here is refused before that. A guest that has ended goes back too.`,
    )
    .action(async (guest, snapshot, { paused, json }) => {
      await withClient(async (client) => {
        const params = { guest, snapshot: snapshotReference(snapshot), paused: paused === true };
        // Half of it would be the guest's end.
        const goesOn = "The daemon goes on with it: `hvkit ps` shows the guest.";
        const reverted = await withProgress(client, "watching the revert", () => client.call("revert", params), { goesOn });
        if (json) printJson(reverted);
        else print(reverted.name);
      });
    });
