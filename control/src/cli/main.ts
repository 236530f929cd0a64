#!/usr/bin/env node
// hvkit: parses the command line, runs one command, and ends with its exit code.
import { CommanderError } from "@commander-js/extra-typings";
import { EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, printError } from "./output.js";
import { ownWords, passedThrough } from "./passthrough.js";
import { COMMANDS, makeProgram } from "./program.js";

/** how errors are told */
let isJson = false;

async function main(given: string[]): Promise<void> {
  const isHelp = given[0] === "help" && given.length > 1;
  const name = given[isHelp ? 1 : 0];
  const known = name !== undefined && Object.hasOwn(COMMANDS, name);
  // `help NAME` is `NAME --help`; a name that there is not is answered as a command that there is not.
  const argv = isHelp ? [...given.slice(1), ...(known ? ["--help"] : [])] : given;
  const names = known ? { names: [name] } : {};
  const program = await makeProgram({ json: () => isJson, ...names });
  const words = passedThrough(argv, program);
  isJson = ownWords(words).includes("--json");
  await program.parseAsync(words, { from: "user" });
}

const args = process.argv.slice(2);
// A reader that goes away (`hvkit logs | head`) is no failure. A command that has something to take back first listens, too.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") process.exit(EXIT_FAILED);
  if (process.stdout.listenerCount("error") === 1) process.exit(0);
});
main(args).catch((error: unknown) => {
  if (error instanceof CommanderError) {
    // Help that was asked for is no error; help for want of a command is.
    const asked =
      error.code === "commander.helpDisplayed" ||
      error.code === "commander.version" ||
      (error.code === "commander.help" && error.exitCode === 0);
    process.exitCode = asked ? 0 : EXIT_USAGE;
    return;
  }
  printError(error, isJson);
  process.exitCode = exitCode(error);
});

function exitCode(error: unknown): number {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "E_USAGE") return EXIT_USAGE;
  return code === "E_INTERRUPTED" ? EXIT_INTERRUPTED : EXIT_FAILED;
}
