// When a guest that reset itself is started again: at once, or after a while when it does so again and again. Used by guests.
import type { Guest } from "./guest.js";

/** Twice as long each time, up to the last. */
const DELAYS_MS = [0, 100, 200, 400, 800, 1600, 3200];
/** A guest that ran longer before its reset is no quick one. */
const QUICK_MS = 1000;

export class Resets {
  readonly #timers = new Map<Guest, NodeJS.Timeout>();
  readonly #quick = new Map<Guest, number>();

  schedule(guest: Guest, restart: () => void): void {
    const ran = Date.now() - (guest.startedAt?.getTime() ?? 0);
    const quick = ran < QUICK_MS ? (this.#quick.get(guest) ?? -1) + 1 : 0;
    this.#quick.set(guest, quick);
    const delay = DELAYS_MS[Math.min(quick, DELAYS_MS.length - 1)] ?? 0;
    const due = (): void => {
      this.#timers.delete(guest);
      restart();
    };
    this.#timers.set(guest, setTimeout(due, delay));
  }

  /** It is not started again. */
  cancel(guest: Guest): void {
    clearTimeout(this.#timers.get(guest));
    this.#timers.delete(guest);
  }

  /** The guest is removed. */
  forget(guest: Guest): void {
    this.cancel(guest);
    this.#quick.delete(guest);
  }
}
