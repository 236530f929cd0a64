// Which names guests and snapshots may have: also what a file's name and a terminal take as it is.
import { HvkitError } from "../errors.js";

export const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$/;

export function checkName(name: string, what: "guest" | "snapshot"): void {
  if (NAME.test(name)) return;
  throw new HvkitError("E_NAME", `${JSON.stringify(name)} cannot be a ${what}'s name`, {
    hint: "Use 1 to 63 letters, digits, '_', '.' and '-', a letter or digit first.",
    data: { name },
  });
}
