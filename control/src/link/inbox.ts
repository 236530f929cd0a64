// The receiving end of a session: frames in their order, and what is known of those that are missing. Used by link.
import { Link as Limit } from "../../../protocol/link.js";
import type { Frame } from "./frame.js";

export class Inbox {
  /** number of the next frame that is expected */
  expected = 0;
  /** frames that came before one that is missing, by their number */
  readonly #held = new Map<number, Frame>();
  /** right frames out of turn: lost ones before them, sent twice, or more than was promised to be taken */
  outOfTurn = 0;

  /** A frame is missing that later ones have overtaken. */
  get hasGap(): boolean {
    return this.#held.size > 0;
  }

  /** A bit for each frame that is held after the one that is missing: the sequence number of an Ack (protocol/link.ts). */
  get heldBits(): number {
    let bits = 0;
    for (const seq of this.#held.keys()) bits |= 1 << ((seq - this.expected - 1) & 0xff);
    return bits;
  }

  /** What comes out of order waits for what is missing. False: it lies outside the window. */
  put(frame: Frame): boolean {
    const ahead = (frame.seq - this.expected) & 0xff;
    if (ahead !== 0) this.outOfTurn++;
    if (ahead >= Limit.Window) return false;
    this.#held.set(frame.seq, frame);
    return true;
  }

  /** The next frame in turn, if it is here. */
  take(): Frame | undefined {
    const frame = this.#held.get(this.expected);
    if (!this.#held.delete(this.expected)) return undefined;
    this.expected = (this.expected + 1) & 0xff;
    return frame;
  }
}
