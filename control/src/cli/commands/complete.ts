// hvkit complete: what the scripts of `hvkit completion` ask at each TAB. Not in the help.
import { Command } from "@commander-js/extra-typings";
import { complete as candidates, FILES, type Tree } from "../completion.js";
import { print } from "../output.js";

export const complete = (tree: Tree) =>
  new Command("complete")
    .description("print what can stand in the place of the last word: a line each, with a tab and what it is")
    .argument("[words...]", "what was typed after 'hvkit', up to the cursor")
    .addHelpText(
      "after",
      `
Examples:
  hvkit complete -- run li

A last line ${FILES} says that files can stand there, too.`,
    )
    .action(async (words) => {
      const { values, files } = await candidates(words, tree);
      for (const { value, description } of values) print(description === "" ? value : `${value}\t${description}`);
      if (files) print(FILES);
    });
