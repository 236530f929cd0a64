// What can stand in the place of the word that is being typed, by the tree of commands: their names, options, choices, and the names of
// guests, images and snapshots that there are now. The same for every shell.
import type { CommandUnknownOpts, Option } from "@commander-js/extra-typings";
import type { Client } from "../client/client.js";
import { chooseDaemon, daemonWords } from "./whichdaemon.js";

export interface Candidate {
  value: string;
  description: string;
}

export interface Candidates {
  values: Candidate[];
  /** files can stand there, too: the shell knows them */
  files: boolean;
}

/** The program; with the name of a command it need have no other one. A name that there is not counts as none. */
export type Tree = (name?: string) => Promise<CommandUnknownOpts>;

/** how `hvkit complete` says so; the scripts know it */
export const FILES = ":files";

const NOTHING: Candidates = { values: [], files: false };

/** @param words what was typed after "hvkit"; the last one is not complete, and may be empty */
export async function complete(words: readonly string[], tree: Tree): Promise<Candidates> {
  const typed = withoutDaemon(joinEquals(words));
  const program = await tree(typed.length > 1 ? typed[0] : undefined);
  const found = await candidates(program, typed);
  const word = typed.at(-1) ?? "";
  return { ...found, values: found.values.filter(({ value }) => value.startsWith(word)) };
}

/** Bash takes "--engine=qemu" for three words. */
function joinEquals(words: readonly string[]): string[] {
  return words.flatMap((word, place) => {
    if (word === "=" && words[place - 1]?.startsWith("--")) return place === words.length - 1 ? [""] : [];
    return [word];
  });
}

/** The names are those of the daemon that the words before choose, wherever they stand. */
function withoutDaemon(words: readonly string[]): readonly string[] {
  const { chosen, rest } = daemonWords(words.slice(0, -1));
  try {
    chooseDaemon(chosen);
  } catch {
    return []; // no name at all: nothing can follow it
  }
  return [...rest, words.at(-1) ?? ""];
}

async function candidates(program: CommandUnknownOpts, typed: readonly string[]): Promise<Candidates> {
  let command = program;
  let wanting: Option | undefined;
  const given: string[] = [];
  let onlyArguments = false;
  for (const word of typed.slice(0, -1)) {
    if (wanting) {
      // One that takes several goes on until the next option.
      if (!wanting.variadic || word.startsWith("-")) wanting = undefined;
      if (!word.startsWith("-")) continue;
    }
    const below = given.length === 0 && !onlyArguments ? command.commands.find((each) => each.name() === word) : undefined;
    if (below) command = below;
    else if (word === "--") onlyArguments = true;
    else if (!onlyArguments && word.startsWith("-")) {
      const option = command.options.find(({ long, short }) => long === word || short === word);
      if (option && (option.required || option.optional)) wanting = option;
    } else given.push(word);
  }
  const word = typed.at(-1) ?? "";
  if (wanting) return ofOption(wanting, word);
  if (word.startsWith("-") && !onlyArguments) {
    return { values: [...ofOptions(command), ...(command === program ? [] : ofOptions(program))], files: false };
  }
  if (command.commands.length > 0 && given.length === 0) return { values: ofCommands(command), files: false };
  // `hvkit help COMMAND` has a command of Commander's own.
  if (command === program) return given[0] === "help" && given.length === 1 ? { values: ofCommands(program), files: false } : NOTHING;
  const { registeredArguments } = command;
  const last = registeredArguments.at(-1);
  const argument = registeredArguments[given.length] ?? (last?.variadic ? last : undefined);
  if (!argument) return NOTHING;
  if (argument.argChoices) return { values: argument.argChoices.map((value) => ({ value, description: "" })), files: false };
  const found = await ofName(argument.name(), word);
  return { ...found, values: found.values.filter(({ value }) => !given.includes(value)) };
}

function ofOptions(command: CommandUnknownOpts): Candidate[] {
  const options = command.createHelp().visibleOptions(command);
  return options.flatMap(({ long, short, description }) =>
    [long, short].filter((name) => name !== undefined).map((value) => ({ value, description })),
  );
}

function ofCommands(command: CommandUnknownOpts): Candidate[] {
  const commands = command.createHelp().visibleCommands(command);
  return commands.map((each) => ({ value: each.name(), description: each.description() }));
}

async function ofOption(option: Option, word: string): Promise<Candidates> {
  if (option.long === "--instance") return { values: await instances(), files: false };
  if (option.flags.endsWith("<snapshot>")) return ofName("snapshot", word);
  if (option.argChoices) return { values: option.argChoices.map((value) => ({ value, description: "" })), files: false };
  return { values: [], files: /[<[]files?\b/.test(option.flags) };
}

/** By what the argument is called in the help. */
async function ofName(name: string, word: string): Promise<Candidates> {
  const path = word.includes("/");
  switch (name) {
    case "guest":
    case "guests":
      return { values: await guests(), files: false };
    case "guest-or-file":
      return { values: path ? [] : [...(await guests()), ...(await snapshots("snapshot:"))], files: true };
    case "guest-or-snapshot":
    case "guests-or-snapshots":
      return { values: path ? [] : [...(await guests()), ...(await snapshots("snapshot:"))], files: path || word.includes(".") };
    case "image":
    case "images":
      return { values: path ? [] : await images(), files: path };
    case "snapshot":
    case "snapshots":
      return { values: path ? [] : await snapshots(), files: path };
    default:
      return NOTHING;
  }
}

async function instances(): Promise<Candidate[]> {
  const { instanceNames } = await import("../api/paths.js");
  return instanceNames().map((value) => ({ value, description: "" }));
}

const guests = (): Promise<Candidate[]> =>
  ask(async (client) =>
    (await client.call("ps", {})).map(({ name, image, state }) => ({ value: name, description: `${image}, ${state}` })),
  );

const images = (): Promise<Candidate[]> =>
  ask(async (client) =>
    (await client.call("images", {})).map(({ name, description }) => ({ value: name, description: description ?? "" })),
  );

const snapshots = (before = ""): Promise<Candidate[]> =>
  ask(async (client) =>
    (await client.call("snapshot.ls", {})).map(({ name, snapshot }) => ({
      value: before + name,
      description: snapshot?.description ?? "",
    })),
  );

/** When nothing is up, nothing can be named: at a TAB that is no error. */
async function ask(names: (client: Client) => Promise<Candidate[]>): Promise<Candidate[]> {
  const { withClient } = await import("./session.js");
  try {
    return await withClient(names);
  } catch {
    return [];
  }
}
