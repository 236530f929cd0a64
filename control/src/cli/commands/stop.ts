// hvkit stop: ends guests that had time to end by themselves.
import { Command, InvalidArgumentError } from "@commander-js/extra-typings";
import { forEachGuest } from "../each.js";

export const stop = () =>
  new Command("stop")
    .description("end guests, after giving them time to end by themselves")
    .argument("<guests...>", "names or ids")
    .option("-t, --time <seconds>", "how long a guest may go on to end by itself", seconds, 0)
    .option("--json", "print the guests as JSON")
    .addHelpText(
      "after",
      `
Examples:
  hvkit stop web
  hvkit stop web clock --time 10

The guest's machine has no ACPI: there is no button that would tell a guest to shut down. So stop waits --time seconds for a guest
that is about to end (you typed 'poweroff' on its console), then pauses it and ends it.`,
    )
    .action((guests, { time, json }) => forEachGuest(guests, json === true, (client, guest) => client.call("stop", { guest, time })));

function seconds(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0 || value > 86400 || text.trim() === "")
    throw new InvalidArgumentError("Expected seconds, 0 to 86400.");
  return value;
}
