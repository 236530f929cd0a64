// hvkit pause: guests are not entered any more, until unpause.
import { Command } from "@commander-js/extra-typings";
import { forEachGuest } from "../each.js";

export const pause = () =>
  new Command("pause")
    .description("stop entering guests; they keep all, and go on with 'unpause'")
    .argument("<guests...>", "names or ids")
    .option("--json", "print the guests as JSON")
    .addHelpText(
      "after",
      `
Examples:
  hvkit pause web
  hvkit pause web && hvkit regs web && hvkit unpause web`,
    )
    .action((guests, { json }) => forEachGuest(guests, json === true, (client, guest) => client.call("pause", { guest })));
