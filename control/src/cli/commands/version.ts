// hvkit version: which hvkit this is, as docker and kubectl have it.
import { Command } from "@commander-js/extra-typings";
import { projectVersion } from "../../api/root.js";
import { print, printJson } from "../output.js";

export const version = () =>
  new Command("version")
    .description("print hvkit's version")
    .option("--json", "print as JSON")
    .addHelpText(
      "after",
      `
Examples:
  hvkit version

'hvkit status' names the build of the hypervisor that is up.`,
    )
    .action(({ json }) => {
      if (json) printJson({ version: projectVersion(), node: process.versions.node });
      else print(projectVersion());
    });
