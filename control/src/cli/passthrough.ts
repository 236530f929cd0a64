// `hvkit exec web ls -la /`: from the command's first word on, all is the guest's, as docker, kubectl and ssh have it. A "--" is put there,
// unless the caller did. (Commander's own way would have hvkit's options before `exec` alone, and no `hvkit exec web --instance two`.)
import type { CommandUnknownOpts } from "@commander-js/extra-typings";

/** How many operands come before the words that are somebody else's. */
const OPERANDS: Readonly<Record<string, number>> = { exec: 1 };

export function passedThrough(args: readonly string[], program: CommandUnknownOpts): string[] {
  let command: CommandUnknownOpts | undefined;
  let left = 0;
  for (let at = 0; at < args.length; at++) {
    const word = args[at] ?? "";
    if (word === "--") break;
    if (word.startsWith("-") && word !== "-") {
      if (takesNext(word, [...program.options, ...(command?.options ?? [])])) at++;
    } else if (!command) {
      command = program.commands.find((each) => each.name() === word);
      const operands = OPERANDS[word];
      if (!command || operands === undefined) break;
      left = operands;
    } else if (left-- === 0) {
      return [...args.slice(0, at), "--", ...args.slice(at)];
    }
  }
  return [...args];
}

/** hvkit's own words: what follows "--" is for somebody else. */
export function ownWords(args: readonly string[]): readonly string[] {
  const end = args.indexOf("--");
  return end < 0 ? args : args.slice(0, end);
}

/** Whether the value of this option is the next word: `--env A=1` and `-e A=1`, not `--env=A=1` or `-eA=1`; of `-ne` the last one's. */
function takesNext(word: string, options: CommandUnknownOpts["options"]): boolean {
  if (word.startsWith("--")) return options.some(({ long, required }) => required && long === word);
  for (let at = 1; at < word.length; at++) {
    const option = options.find(({ short }) => short === `-${word[at]}`);
    if (option?.required) return at === word.length - 1;
  }
  return false;
}
