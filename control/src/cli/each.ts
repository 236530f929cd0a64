// The commands that do one thing to each guest that is named: pause, unpause, reset, stop, kill, rm. As docker does, each guest that
// it was done to is printed, in the order of the names; an error does not keep the others from their turn, and the exit code tells.
import type { GuestSummary } from "../api/schemas.js";
import type { Client } from "../client/client.js";
import { EXIT_FAILED, print, printError, printJson } from "./output.js";
import { withClient } from "./session.js";

/** Guests that it is done to at once: each takes several turns of the line. */
const AT_ONCE = 16;

export async function forEachGuest(
  guests: string[],
  json: boolean,
  act: (client: Client, guest: string) => Promise<GuestSummary>,
): Promise<void> {
  await withClient(async (client) => {
    const done: GuestSummary[] = [];
    const begun: Promise<GuestSummary>[] = [];
    for (let index = 0; index < guests.length; index++) {
      for (const guest of guests.slice(begun.length, index + AT_ONCE)) {
        const answer = act(client, guest);
        answer.catch(() => {}); // it is looked at by its turn
        begun.push(answer);
      }
      try {
        const summary = (await begun[index]) as GuestSummary;
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
