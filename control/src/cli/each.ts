// The commands that do one thing to each guest that is named: pause, unpause, reset, stop, kill, rm. As docker does, each guest that
// it was done to is printed, an error does not keep the others from their turn, and the exit code tells.
import type { GuestSummary } from "../api/schemas.js";
import type { Client } from "../client/client.js";
import { EXIT_FAILED, print, printError, printJson } from "./output.js";
import { withClient } from "./session.js";

export async function forEachGuest(
  guests: string[],
  json: boolean,
  act: (client: Client, guest: string) => Promise<GuestSummary>,
): Promise<void> {
  await withClient(async (client) => {
    const done: GuestSummary[] = [];
    for (const guest of guests) {
      try {
        const summary = await act(client, guest);
        done.push(summary);
        if (!json) print(summary.name);
      } catch (error) {
        printError(error, json);
        process.exitCode = EXIT_FAILED;
      }
    }
    if (json) printJson(done);
  });
}
