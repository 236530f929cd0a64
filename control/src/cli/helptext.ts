// A command's help as a text, the same on every terminal: for the documents, and for tests.
import type { CommandUnknownOpts } from "@commander-js/extra-typings";

const WIDTH = 120;

export function helpText(command: CommandUnknownOpts): string {
  let text = "";
  command.configureOutput({
    writeOut: (part) => {
      text += part;
    },
    getOutHelpWidth: () => WIDTH,
    getOutHasColors: () => false,
  });
  command.outputHelp();
  return `${text.trimEnd()}\n`;
}
