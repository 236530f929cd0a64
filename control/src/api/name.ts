// Which names guests, snapshots and instances may have, and which descriptions: what a file's name and a terminal take as it is.
import { HvkitError } from "../errors.js";

export const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$/;

/** of a snapshot's description: characters as JavaScript counts them */
export const MAX_DESCRIPTION = 1024;
/** what is printed as it is: no control characters, which a terminal would obey */
export const PRINTABLE = /^\P{Cc}*$/u;

export function checkDescription(text: string): void {
  const isLong = text.length > MAX_DESCRIPTION;
  if (!isLong && PRINTABLE.test(text)) return;
  throw new HvkitError(
    "E_DESCRIPTION",
    isLong ? `the description has ${text.length} characters` : "the description has control characters",
    {
      hint: `Use at most ${MAX_DESCRIPTION} characters in one line, without tabs and escape sequences.`,
      data: { length: text.length },
    },
  );
}

export function checkName(name: string, what: "guest" | "snapshot" | "instance"): void {
  if (NAME.test(name)) return;
  throw new HvkitError("E_NAME", `${JSON.stringify(name)} cannot be ${what === "instance" ? "an" : "a"} ${what}'s name`, {
    hint: "Use 1 to 63 letters, digits, '_', '.' and '-', a letter or digit first.",
    data: { name },
  });
}
