// hvkit clone: copies of a guest that go on from where it is.
import { Command } from "@commander-js/extra-typings";
import { parseCloneCount } from "../clonecount.js";
import { print, printJson } from "../output.js";
import { withProgress } from "../progress.js";
import { withClient } from "../session.js";
import { requireGuest } from "../subject.js";

export const clone = () =>
  new Command("clone")
    .description("make copies of a guest, which go on from where it is")
    .argument("<guest>", "a name or id")
    .argument("[name]", "the copy's name; of several the beginning, to which a number comes. By default the guest's")
    .option("--count <number>", "how many, all of the same moment", parseCloneCount, 1)
    .option("--paused", "they go on at 'hvkit unpause'")
    .option("--json", "print the copies as JSON")
    .addHelpText(
      "after",
      `
Examples:
  hvkit clone web                          web-1
  hvkit clone web two
  hvkit clone web --count 50               web-1 to web-50
  hvkit clone web test --count 2           test-1 and test-2
  hvkit clone web --count 3 | xargs hvkit rm -f

The guest runs on, or stays paused. It and the copies share their memory until one of them writes to a page. Their names are printed; numbers
that are taken are passed over. All of them are made, or none: when memory is short, or at ^C, those that were made are taken back, which the
command waits for; a second ^C does not.
A copy can tell that it is one: in it 'generation' prints another number, its host name is its own, and its kernel has fresh entropy.
Its console's log is empty at first; commands that 'hvkit exec' runs in the guest are not in the copy.

Exit codes: 0 all were made, 1 none was, 130 broken off by ^C.`,
    )
    .action(async (guest, name, { count, paused, json }) => {
      requireGuest(guest, "guest behind it that could be copied");
      await withClient(async (client) => {
        const params = { guest, count, paused: paused === true, ...(name === undefined ? {} : { name }) };
        const made = await withProgress(client, "the cloning", () => client.call("clone", params));
        if (json) printJson(made);
        else for (const each of made) print(each.name);
      });
    });
