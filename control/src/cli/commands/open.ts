// hvkit open: a saved machine on the desk. A prompt, or a script, at which all of it can be read, and its devices be driven by hand.
import { createInterface } from "node:readline";
import { Command, CommanderError } from "@commander-js/extra-typings";
import { showSize } from "../../api/size.js";
import type { SavedGuest } from "../../offline/savedguest.js";
import type { Tree } from "../completion.js";
import { OpenSession } from "../opensession.js";
import { note, printError, showAge } from "../output.js";
import { withSaved } from "../subject.js";

export const open = (tree: Tree) =>
  new Command("open")
    .description("look at a saved machine, and drive its devices by hand, without a hypervisor")
    .argument("<snapshot>", "a name (see 'hvkit snapshot ls'), or the path of a file")
    .option(
      "-c, --command <line>",
      "run this line instead of asking for some; may be given more than once",
      (line, before: string[]) => [...before, line],
      [],
    )
    .option("--json", "print one object {command, result} a line")
    .addHelpText(
      "after",
      `
Lines are regs, cpu, mem, machine, disasm, walk, dmesg, why and dump, as on the command line but without the guest; and in, out, tick, type,
nmi, irq, take and cpuid, which the machine module handles that ran the guest. 'help' lists them. What they change is in memory alone: the
file is never written. Without a terminal, lines come from standard input; the first that fails ends it.

Examples:
  hvkit open before-upgrade
  hvkit open ./web.hvsnap -c machine -c 'tick 10ms' -c irq
  hvkit open ./web.hvsnap --json -c 'in 3fd'`,
    )
    .action(async (snapshot, { command, json = false }) => {
      await withSaved(snapshot, async (saved, path) => {
        const session = new OpenSession(saved, path, tree);
        if (command.length > 0) await script(session, command, json);
        else if (process.stdin.isTTY) await ask(session, saved, path, json);
        else await script(session, createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY }), json);
      });
    });

async function script(session: OpenSession, lines: AsyncIterable<string> | readonly string[], json: boolean): Promise<void> {
  for await (const line of lines) if (!(await session.run(line, json))) return;
}

async function ask(session: OpenSession, saved: SavedGuest, path: string, json: boolean): Promise<void> {
  const { createdAt, image, memoryBytes } = saved.header;
  note(`${path}: guest ${saved.name}, image ${image.name}, ${showSize(memoryBytes)}, saved ${showAge(createdAt)} ago`);
  note("The file is never written: what is changed here is gone at the end. 'help' lists what can be typed, ^D leaves.");
  const prompt = createInterface({
    input: process.stdin,
    output: process.stdout,
    prompt: `${saved.name}> `,
    completer: (typed: string) => session.complete(typed),
  });
  prompt.on("SIGINT", () => {
    process.stdout.write("\n");
    prompt.prompt();
  });
  prompt.prompt();
  for await (const line of prompt) {
    try {
      if (!(await session.run(line, json))) break;
    } catch (error) {
      // Commander has said what is wrong with its words.
      if (!(error instanceof CommanderError)) printError(error, json);
    }
    prompt.prompt();
  }
  prompt.close();
}
