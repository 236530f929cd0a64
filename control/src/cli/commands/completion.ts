// hvkit completion: a script that makes a shell complete hvkit's commands, options, guests, images and snapshots.
// The scripts are in control/src/cli/shells; each asks `hvkit complete` at a TAB.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Argument, Command } from "@commander-js/extra-typings";
import { projectRoot } from "../../api/root.js";
import { print } from "../output.js";

const shells = ["bash", "zsh", "fish"] as const;

export const completion = () =>
  new Command("completion")
    .description("print a script that completes commands, options and names in a shell")
    .addArgument(new Argument("<shell>", "which shell").choices(shells))
    .addHelpText(
      "after",
      `
Examples:
  hvkit completion bash
  hvkit completion fish

Where it goes:
  bash   source <(hvkit completion bash)                                     in ~/.bashrc
  zsh    hvkit completion zsh > "\${fpath[1]}/_hvkit"
  fish   hvkit completion fish > ~/.config/fish/completions/hvkit.fish

Names of guests come from the daemon, when the hypervisor is up.`,
    )
    .action((shell) => print(readFileSync(join(projectRoot(), "control/src/cli/shells", `hvkit.${shell}`), "utf8").trimEnd()));
