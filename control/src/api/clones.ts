// How many clones one request makes, and what they are called. Both ends check it: the command line before anything is asked for.
import { GuestLimit } from "../../../protocol/messages.js";

/** all slots but that of the guest which they are clones of, and that of the first copy, from which several are made */
export const MAX_CLONES = GuestLimit.Slots - 2;
/** of a guest's name (name.ts) */
const NAME_LENGTH = 63;

/** web-1, web-2, ...: the next ones that nobody has. */
export function cloneNames(base: string, count: number, taken: (name: string) => boolean): string[] {
  const names: string[] = [];
  for (let number = 1; names.length < count; number++) {
    const end = `-${number}`;
    const name = `${base.slice(0, NAME_LENGTH - end.length)}${end}`;
    if (!taken(name)) names.push(name);
  }
  return names;
}
