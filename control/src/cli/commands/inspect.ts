// hvkit inspect: all that is known of guests, as JSON; of those in files, all that the file says.
import { Command } from "@commander-js/extra-typings";
import type { SavedDetail } from "../../api/schemas.js";
import { printJson } from "../output.js";
import { call } from "../session.js";
import { isSaved, SUBJECT, withSavedSubject } from "../subject.js";

export const inspect = () =>
  new Command("inspect")
    .description("print all that is known of guests, as a JSON array")
    .argument("<guests-or-snapshots...>", SUBJECT)
    .option("--json", "the same: inspect prints JSON in any case")
    .addHelpText(
      "after",
      `
Examples:
  hvkit inspect web
  hvkit inspect web clock
  hvkit inspect ./web.hvsnap

Of a snapshot it is what 'hvkit snapshot inspect' prints, and how the guest stands in it: all of the file is read and checked.`,
    )
    .action(async (guests) => {
      const details = [];
      for (const guest of guests) details.push(isSaved(guest) ? await savedGuest(guest) : await call("inspect", { guest }));
      printJson(details);
    });

const savedGuest = (reference: string): Promise<SavedDetail> =>
  withSavedSubject(reference, async ({ file: { saved, path } }) => {
    const { savedDetailOf } = await import("../../snapshot/info.js");
    return savedDetailOf(saved.snapshot, path);
  });
