// The guests that there are, by name and by id. Used by guests, which makes and removes them.
import { didYouMean } from "../api/nearest.js";
import { HvkitError } from "../errors.js";
import type { Guest } from "./guest.js";
import { generateName } from "./names.js";

const LISTED = "`hvkit ps` lists the guests.";

export class Roster {
  readonly #guests = new Map<string, Guest>();

  all(): Guest[] {
    return [...this.#guests.values()];
  }

  /** By name, id, or a beginning of an id that only one has. @throws E_NO_GUEST, E_GUEST_AMBIGUOUS */
  find(reference: string): Guest {
    const exact = this.all().find(({ name, id }) => name === reference || id === reference);
    if (exact) return exact;
    const close = /^[0-9a-f]+$/.test(reference) ? this.all().filter(({ id }) => id.startsWith(reference)) : [];
    if (close.length === 1 && close[0]) return close[0];
    if (close.length === 0) throw noGuest(reference, this.#guests.keys());
    throw new HvkitError("E_GUEST_AMBIGUOUS", `'${reference}' begins the ids of ${close.length} guests`, {
      hint: LISTED,
      data: { guest: reference },
    });
  }

  isTaken(name: string): boolean {
    return this.#guests.has(name);
  }

  /** The name, if it is free, or a new one. @throws E_NAME_TAKEN */
  free(name: string | undefined): string {
    if (name === undefined) return generateName((candidate) => this.isTaken(candidate));
    if (!this.isTaken(name)) return name;
    throw new HvkitError("E_NAME_TAKEN", `there is a guest '${name}' already`, {
      hint: `Choose another name, or remove it: hvkit rm -f ${name}`,
      data: { name },
    });
  }

  /** The guest is still the one of its name: another may have it by now. */
  has(guest: Guest): boolean {
    return this.#guests.get(guest.name) === guest;
  }

  /** @throws E_NO_GUEST the guest is gone */
  require(guest: Guest): void {
    if (!this.has(guest)) throw noGuest(guest.name);
  }

  add(guest: Guest): void {
    this.#guests.set(guest.name, guest);
  }

  remove(guest: Guest): void {
    this.#guests.delete(guest.name);
  }
}

function noGuest(reference: string, names: Iterable<string> = []): HvkitError {
  const hint = `${didYouMean(reference, names)}${LISTED}`;
  return new HvkitError("E_NO_GUEST", `there is no guest '${reference}'`, { hint, data: { guest: reference } });
}
