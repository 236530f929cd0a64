// hvkit reset: guests are made anew, with the same names and options.
import { Command } from "@commander-js/extra-typings";
import { forEachGuest } from "../each.js";

export const reset = () =>
  new Command("reset")
    .description("make guests anew, with the same name and options")
    .argument("<guests...>", "names or ids")
    .option("--json", "print the guests as JSON")
    .addHelpText(
      "after",
      `
Examples:
  hvkit reset web

As a PC's reset button: RAM is new, the image is loaded as it is now; the console's log goes on, and RESTARTS of 'hvkit ps' counts.
A guest that resets itself is started again in the same way.`,
    )
    .action((guests, { json }) => forEachGuest(guests, json === true, (client, guest) => client.call("reset", { guest })));
