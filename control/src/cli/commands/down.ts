// hvkit down: ends guests, hypervisor, engine and daemon; no process, socket or file stays.
import { Command } from "@commander-js/extra-typings";
import { print, printJson } from "../output.js";

export const down = () =>
  new Command("down")
    .description("end all guests, the hypervisor and its engine")
    .option("--json", "print what was done as JSON")
    .addHelpText(
      "after",
      `
Examples:
  hvkit down

What a daemon left that was killed is cleaned up too.`,
    )
    .action(async ({ json }) => {
      const { takeDown } = await import("../../client/takedown.js");
      const done = await takeDown();
      if (json) printJson({ was: done });
      else print({ up: "down", leftovers: "down (cleaned up what a dead daemon had left)", down: "already down" }[done]);
    });
