// What JavaScript takes without a word, and TypeScript would not: options that there are not, and other things in their place.
import { didYouMean } from "../api/nearest.js";
import { HvkitError } from "../errors.js";

/** An option that is mistyped would be another hypervisor than is meant. Throws E_OPTION. */
export function checkOptions(given: object, names: readonly string[]): void {
  checkObject(given, `{ ${names[0] ?? ""}: ... }`);
  const wrong = Object.keys(given).find((name) => !names.includes(name));
  if (wrong === undefined) return;
  throw new HvkitError("E_OPTION", `there is no option '${wrong}'`, {
    hint: `${didYouMean(wrong, names)}There are ${names.join(", ")}.`,
    data: { option: wrong },
  });
}

/** A text in place of options would be spread into its letters. `example`: what is meant instead. */
export function checkObject(given: unknown, example: string): void {
  if (typeof given === "object" && given !== null && !Array.isArray(given)) return;
  throw new HvkitError("E_OPTION", `options are an object, not ${JSON.stringify(given) ?? String(given)}`, {
    hint: `Write ${example}.`,
    data: { given: String(given) },
  });
}

/** Of a command for a guest: a text has no words until a shell has read it. Throws E_EXEC_COMMAND. */
export function checkWords(words: readonly string[]): void {
  const given: unknown = words;
  if (Array.isArray(given) && given.every((word) => typeof word === "string")) return;
  const example = typeof given === "string" ? given.trim().split(/\s+/) : ["uname", "-a"];
  throw new HvkitError("E_EXEC_COMMAND", `a command is a list of words, not ${JSON.stringify(given) ?? String(given)}`, {
    hint: `Write exec(${JSON.stringify(example)}), or exec(["sh", "-c", "..."]) for a shell's line.`,
  });
}
