// hvkit kill: ends guests at once.
import { Command } from "@commander-js/extra-typings";
import { forEachGuest } from "../each.js";

export const kill = () =>
  new Command("kill")
    .description("end guests at once")
    .argument("<guests...>", "names or ids")
    .option("--json", "print the guests as JSON")
    .addHelpText(
      "after",
      `
Examples:
  hvkit kill web
  hvkit kill web clock

They are kept for 'logs', 'regs', 'mem' and 'stats' until 'hvkit rm'.`,
    )
    .action((guests, { json }) => forEachGuest(guests, json === true, (client, guest) => client.call("kill", { guest })));
