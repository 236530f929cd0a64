// What the line takes there and back, and how long its peer is waited for because of it (RFC 6298). Used by link.
export interface Patience {
  /** milliseconds, as long as no round trip was measured */
  retransmitMs: number;
  minRetransmitMs: number;
  maxRetransmitMs: number;
}

/** of a round trip's time: what one that takes longer than most may take */
const FACTOR = 2;
/** part of a new round trip in the smoothed one (RFC 6298, 2.3) */
const SMOOTHING = 1 / 8;

export class RoundTrip {
  readonly #limits: Patience;
  /** milliseconds, smoothed; 0: none was measured */
  #ms = 0;
  /** milliseconds that the next answer is waited for */
  waitMs: number;

  constructor(limits: Patience) {
    this.#limits = limits;
    this.waitMs = limits.retransmitMs;
  }

  /** Milliseconds that an answer may take on this line. */
  get patienceMs(): number {
    if (this.#ms === 0) return this.#limits.retransmitMs;
    return Math.min(Math.max(this.#limits.minRetransmitMs, this.#ms * FACTOR), this.#limits.maxRetransmitMs);
  }

  measured(tookMs: number): void {
    this.#ms = this.#ms === 0 ? tookMs : this.#ms + (tookMs - this.#ms) * SMOOTHING;
    this.waitMs = this.patienceMs;
  }

  /** It was too short. */
  doubled(waitMs: number): number {
    return Math.min(waitMs * 2, this.#limits.maxRetransmitMs);
  }
}
