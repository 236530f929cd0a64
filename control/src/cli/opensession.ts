// A line at the prompt of `hvkit open`, or of its script: a verb of openverbs.ts, or one of the commands that look inside, with all its options,
// for which the snapshot stands in the guest's place.
import { CommanderError } from "@commander-js/extra-typings";
import { didYouMean } from "../api/nearest.js";
import { projectRoot } from "../api/root.js";
import { HvkitError } from "../errors.js";
import { OfflineMachine } from "../offline/machine.js";
import type { SavedGuest } from "../offline/savedguest.js";
import { readLayout } from "../snapshot/layout.js";
import type { Tree } from "./completion.js";
import { type Answer, VERBS, withNews } from "./openverbs.js";
import { captured, pairs, print } from "./output.js";
import { type SavedSubject, savedSubject, withOpened } from "./subject.js";

/** Commands that read; what is opened is their first argument. */
const READING = ["inspect", "regs", "cpu", "mem", "machine", "disasm", "walk", "explain", "dmesg", "why", "dump"] as const;
/** stands for it */
const ITSELF = "snapshot:";

const OWN: readonly [usage: string, about: string][] = [
  ["reload", "take everything from the file again"],
  ["help", "these lines; with a verb that reads, its options: help mem"],
  ["quit", "leave; so does ^D"],
];

export class OpenSession {
  #machine: OfflineMachine | undefined;

  constructor(
    private readonly saved: SavedGuest,
    private readonly path: string,
    private readonly tree: Tree,
  ) {}

  /** False: it is time to leave. With `json` what is printed is an object on one line. */
  async run(line: string, json: boolean): Promise<boolean> {
    const [verb, ...words] = split(line);
    if (verb === undefined || verb.startsWith("#")) return true;
    if (verb === "quit" || verb === "exit") return false;
    if ((READING as readonly string[]).includes(verb)) {
      await this.#read([verb, ITSELF, ...words], line, json);
    } else if (verb === "help") {
      const topic = words[0];
      if (topic !== undefined && (READING as readonly string[]).includes(topic)) await this.#read([topic, "--help"], line, json);
      else this.#print(line, { json: { verbs: verbs() }, text: helpText() }, json);
    } else this.#print(line, await this.#drive(verb, words), json);
    return true;
  }

  /** What can be typed after `typed`. */
  complete(typed: string): [string[], string] {
    const found = verbs().filter((verb) => verb.startsWith(typed));
    return [found.map((verb) => `${verb} `), typed];
  }

  async #drive(name: string, words: readonly string[]): Promise<Answer> {
    if (name === "reload") {
      this.#machine = undefined;
      this.saved.memory.revert();
      return { json: {} };
    }
    const verb = Object.hasOwn(VERBS, name) ? VERBS[name] : undefined;
    if (!verb) {
      throw new HvkitError("E_USAGE", `there is no verb '${name}'`, { hint: `${didYouMean(name, verbs())}\`help\` lists them.` });
    }
    const [least, most] = verb.words;
    if (words.length < least || words.length > most) {
      throw new HvkitError("E_USAGE", `${name} was given ${words.length} words`, { hint: `It is: ${verb.usage}` });
    }
    this.#machine ??= OfflineMachine.of(this.saved, readLayout(projectRoot()));
    const machine = this.#machine;
    return withNews(machine, () => verb.run(machine, words));
  }

  /** A command, as it would be typed. */
  async #read(words: readonly string[], line: string, json: boolean): Promise<void> {
    const run = async (argv: readonly string[]): Promise<void> => {
      const program = await this.tree(words[0]);
      await withOpened(
        ITSELF,
        async () => this.#subject(),
        () => program.parseAsync([...argv], { from: "user" }),
      ).catch(ignoreHelp);
    };
    if (!json || words.includes("--help")) return run(words);
    const text = await captured(() => run([...words, "--json"]));
    print(JSON.stringify({ command: line, result: JSON.parse(text) as unknown }));
  }

  #subject(): SavedSubject {
    const saved = savedSubject(this.saved, this.path);
    return this.#machine ? { ...saved, view: this.#machine } : saved;
  }

  #print(line: string, { json: result, text }: Answer, json: boolean): void {
    if (json) print(JSON.stringify({ command: line, result }));
    else if (text !== undefined) print(text);
  }
}

const verbs = (): string[] => [...READING, ...Object.keys(VERBS), "reload", "help", "quit"];

function helpText(): string {
  const rows = [...Object.values(VERBS).map(({ usage, about }): [string, string] => [usage, about]), ...OWN];
  return [
    `These are hvkit's commands, without the guest: ${READING.join(", ")}.`,
    "These are a hand at the devices. What they change is in memory: the file stays as it is.",
    "",
    pairs(rows),
  ].join("\n");
}

/** Help that was asked for is no error. */
function ignoreHelp(error: unknown): void {
  if (!(error instanceof CommanderError) || error.code !== "commander.helpDisplayed") throw error;
}

/** Words, with quotes around what has spaces. */
function split(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(([, single, double, plain]) => single ?? double ?? plain ?? "");
}
