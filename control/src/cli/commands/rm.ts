// hvkit rm: removes guests and what was kept of them.
import { Command } from "@commander-js/extra-typings";
import { forEachGuest } from "../each.js";

export const rm = () =>
  new Command("rm")
    .description("remove guests that have ended, with their logs")
    .argument("<guests...>", "names or ids")
    .option("-f, --force", "those that run too")
    .option("--json", "print the guests as JSON")
    .addHelpText(
      "after",
      `
Examples:
  hvkit rm web
  hvkit rm -f web clock     those that run too

Their memory is scrubbed and free again.`,
    )
    .action((guests, { force, json }) =>
      forEachGuest(guests, json === true, (client, guest) => client.call("rm", { guest, force: force === true })),
    );
