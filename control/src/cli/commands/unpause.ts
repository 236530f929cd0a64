// hvkit unpause: lets paused guests go on.
import { Command, Option } from "@commander-js/extra-typings";
import { resumeClocks } from "../../api/clock.js";
import { forEachGuest } from "../each.js";

export const unpause = () =>
  new Command("unpause")
    .description("let paused guests go on")
    .argument("<guests...>", "names or ids")
    .option("--json", "print the guests as JSON")
    .addOption(
      new Option("--clock <policy>", "the guest's clocks stood still, or catch up with the time that passed")
        .choices(resumeClocks)
        .default("frozen" as const),
    )
    .addHelpText(
      "after",
      `
Examples:
  hvkit unpause web
  hvkit unpause web --clock catch-up

A guest that was restored or reverted with --paused catches up with the time since it was saved.`,
    )
    .action((guests, { json, clock }) => forEachGuest(guests, json === true, (client, guest) => client.call("unpause", { guest, clock })));
