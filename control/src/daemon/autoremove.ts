// Guests that are removed when they have ended (`run --rm`). Whoever ran one can still ask how it ended, as long as its connection is open.
// One that went down with the hypervisor stays: that was not its end.
import type { Connection } from "./connection.js";
import type { Guest } from "./guest.js";
import type { Guests } from "./guests.js";
import type { Log } from "./log.js";

export class AutoRemove {
  /** by guest: forgets its connection. Undefined: that is closed */
  readonly #followed = new Map<Guest, (() => void) | undefined>();

  constructor(
    private readonly guests: Guests,
    private readonly log: Log,
  ) {
    guests.on("ended", (guest) => this.#remove(guest));
    guests.on("removed", (guest) => {
      this.#followed.get(guest)?.();
      this.#followed.delete(guest);
    });
  }

  follow(guest: Guest, connection: Connection): void {
    const letGo = (): void => {
      this.#followed.set(guest, undefined);
      this.#remove(guest);
    };
    this.#followed.set(guest, () => connection.onClose.delete(letGo));
    if (connection.closed) letGo();
    else connection.onClose.add(letGo);
  }

  #remove(guest: Guest): void {
    if (guest.state !== "exited" || !this.#followed.has(guest) || this.#followed.get(guest) !== undefined) return;
    this.guests.removeEnded(guest).catch((error: unknown) => this.log.warn({ err: error, guest: guest.name }, "removed by itself"));
  }
}
