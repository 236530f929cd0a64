// hvkit inspect: all that is known of guests, as JSON.
import { Command } from "@commander-js/extra-typings";
import { printJson } from "../output.js";
import { withClient } from "../session.js";
import { requireGuest } from "../subject.js";

export const inspect = () =>
  new Command("inspect")
    .description("print all that is known of guests, as a JSON array")
    .argument("<guests...>", "names or ids")
    .option("--json", "the same: inspect prints JSON in any case")
    .addHelpText(
      "after",
      `
Examples:
  hvkit inspect web
  hvkit inspect web clock`,
    )
    .action(async (guests) => {
      for (const guest of guests)
        requireGuest(guest, "guest of the hypervisor behind it", "`hvkit snapshot inspect` says all that is known of it.");
      await withClient(async (client) => {
        const details = [];
        for (const guest of guests) details.push(await client.call("inspect", { guest }));
        printJson(details);
      });
    });
