// hvkit unpause: lets paused guests go on.
import { Command } from "@commander-js/extra-typings";
import { forEachGuest } from "../each.js";

export const unpause = () =>
  new Command("unpause")
    .description("let paused guests go on")
    .argument("<guests...>", "names or ids")
    .option("--json", "print the guests as JSON")
    .addHelpText("after", "\nExample:\n  hvkit unpause web")
    .action((guests, { json }) => forEachGuest(guests, json === true, (client, guest) => client.call("unpause", { guest })));
