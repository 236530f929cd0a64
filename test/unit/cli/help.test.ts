// Every command's help: it has examples, and each of them is a command line that hvkit takes.
import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { describe, expect, it } from "vitest";
import { helpText } from "../../../control/src/cli/helptext.js";
import { passedThrough } from "../../../control/src/cli/passthrough.js";
import { COMMANDS, makeProgram } from "../../../control/src/cli/program.js";

const leaves = (command: CommandUnknownOpts): CommandUnknownOpts[] =>
  command.commands.length === 0 ? [command] : command.commands.flatMap(leaves);
const pathOf = (command: CommandUnknownOpts): string => (command.parent ? `${pathOf(command.parent)} ${command.name()}`.trim() : "");

/** The lines below "Examples:", up to an empty one. */
function examplesOf(help: string): string[] {
  const lines = help.split("\n");
  const begin = lines.indexOf("Examples:");
  if (begin < 0) return [];
  const end = lines.indexOf("", begin);
  return lines.slice(begin + 1, end < 0 ? undefined : end).map((line) => line.trim());
}

/** The hvkit command lines in an example, in words; what stands after three spaces explains it. */
function commandLines(example: string): string[][] {
  const [text = ""] = example.split(/ {3,}/);
  return text
    .split(/ (?:\||&&) /)
    .map((part) => [...part.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? ""))
    .filter(([program]) => program === "hvkit")
    .map(([, ...words]) => words);
}

/** Throws what Commander throws on wrong usage. */
async function parse(words: string[]): Promise<void> {
  const program = await makeProgram();
  for (const command of leaves(program)) command.action(() => {});
  await program.parseAsync(passedThrough(words, program), { from: "user" });
}

describe("help", async () => {
  const program = await makeProgram();

  it.each(leaves(program).map((command) => [pathOf(command), helpText(command)]))(
    "of '%s' has examples that can be typed",
    async (path, help) => {
      const own = examplesOf(help).flatMap(commandLines);
      expect(own.filter((words) => words.join(" ").startsWith(path)).length).toBeGreaterThan(0);
      for (const words of own) await expect(parse(words), words.join(" ")).resolves.toBeUndefined();
    },
  );

  it("of a group and of hvkit itself has them, too", async () => {
    for (const command of [program, ...program.commands.filter(({ commands }) => commands.length > 0)]) {
      const lines = examplesOf(helpText(command)).flatMap(commandLines);
      expect(lines.length, command.name()).toBeGreaterThan(0);
      for (const words of lines) await parse(words);
    }
  });

  it("names every command but those that programs call", () => {
    const help = helpText(program);
    const named = Object.keys(COMMANDS).filter((name) => new RegExp(`^  ${name} `, "m").test(help));
    expect(Object.keys(COMMANDS).filter((name) => !named.includes(name))).toEqual(["complete"]);
  });

  it("would notice an example that cannot be typed", async () => {
    await expect(parse(["ps", "--no-such-option"])).rejects.toThrow("unknown option");
    expect(commandLines("hvkit a 'b c'   why | hvkit d")).toEqual([["a", "b c"]]);
    expect(commandLines("dmesg | hvkit explain - && hvkit ps")).toEqual([["explain", "-"], ["ps"]]);
  });
});
