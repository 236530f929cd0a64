// The sending end of a session: messages that wait, frames in flight, the peer's credit, and which of them are lost: selective repeat. It
// decides what goes next and sends nothing itself. Used by link.
import { type Channel, Channel as Channels, FrameType, Link as Limit } from "../../../protocol/link.js";
import { HvkitError } from "../errors.js";
import type { Frame } from "./frame.js";

/** What goes on the line. */
export interface Sending {
  seq: number;
  channel: number;
  payload: Uint8Array;
}

/** What an acknowledgement told. */
export interface News {
  /** frames that are now known to have arrived, or a probe that came back */
  any: boolean;
  arrived: boolean;
  /** when the last frame was sent that has arrived and was sent once; one that was sent more often does not say which was answered (Karn's
   *  algorithm; RFC 6298, 3) */
  sentAt: number | undefined;
}

interface Outgoing {
  channel: Channel;
  payload: Uint8Array;
  /** when it was sent, and how often */
  sentAt: number;
  times: number;
  /** when it was sent last, as a count of frames; DUE: it is to be sent */
  turn: number;
  arrived: boolean;
  resolve: () => void;
  reject: (error: Error) => void;
}

const EMPTY = new Uint8Array();
const DUE = 0;
const NONE: News = { any: false, arrived: false, sentAt: undefined };
/** numbers that a probe may have */
const PROBES = 16 - Limit.Probe;

export class Outbox {
  readonly #maxQueued: number;
  readonly #queue: Outgoing[] = [];
  /** what goes when #queue is empty */
  readonly #bulk: Outgoing[] = [];
  #inFlight: Outgoing[] = [];
  /** number of the first frame in flight */
  #base = 0;
  /** frames from #base on that the peer takes */
  #credit: number = Limit.Window;
  /** Data frames sent */
  #turn = 0;
  /** that are on their way, oldest first */
  #probes: { number: number; turn: number }[] = [];
  #probeNumber = 0;
  #probedTurn = 0;
  /** frames sent again */
  resent = 0;

  /** @param maxQueued messages that wait for the window at most */
  constructor(maxQueued: number) {
    this.#maxQueued = maxQueued;
  }

  get queued(): number {
    return this.#queue.length + this.#bulk.length;
  }

  get inFlight(): number {
    return this.#inFlight.length;
  }

  /** Something waits for news: of a frame in flight, or of credit. */
  get waits(): boolean {
    return this.inFlight + this.queued > 0;
  }

  /** Resolves when the peer has acknowledged the message. */
  put(channel: Channel, payload: Uint8Array): Promise<void> {
    if (payload.length > Limit.MaxPayload) {
      return Promise.reject(new HvkitError("E_LINK_TOO_LONG", `A message of ${payload.length} bytes; the line takes ${Limit.MaxPayload}.`));
    }
    const queue = channel === Channels.Bulk ? this.#bulk : this.#queue;
    if (queue.length >= this.#maxQueued) {
      return Promise.reject(new HvkitError("E_LINK_FULL", `${queue.length} messages wait for the line already.`));
    }
    return new Promise<void>((resolve, reject) => {
      queue.push({ channel, payload, sentAt: 0, times: 0, turn: DUE, arrived: false, resolve, reject });
    });
  }

  /** What may go now: what is to be sent again, then what fills the window, as far as there is credit. */
  *ready(): Generator<Sending> {
    for (const [index, frame] of this.#inFlight.entries()) {
      if (index >= this.#credit) break;
      if (frame.turn === DUE && !frame.arrived) yield this.#sent(frame, index);
    }
    while (this.#inFlight.length < Math.min(Limit.Window, this.#credit)) {
      const next = this.#launch();
      if (!next) break;
      yield next;
    }
    if (this.#inFlight.some(({ arrived, times }) => !arrived && times > 1)) yield* this.#probe();
  }

  /** For a peer that is silent: the first frame that has not arrived, or the first that waits for credit. The answers to it, and to the probe
   *  after it, tell the rest. */
  *asking(): Generator<Sending> {
    const [first] = this.#inFlight;
    if (!first) {
      const next = this.#launch();
      if (next) yield next;
      return;
    }
    const { turn } = first;
    yield this.#sent(first, 0);
    // It may only be late: its arrival says nothing of what was sent after the first time.
    if (turn !== DUE) first.turn = turn;
    yield* this.#probe();
  }

  /** The line keeps its order: what was sent before a frame that has arrived, and has not arrived itself, is lost. */
  acknowledged({ type, seq, ack, channel, credit }: Frame): News {
    const count = (ack - this.#base) & 0xff;
    // More than what is in flight: an acknowledgement from before the last Sync, or nonsense.
    if (count > this.#inFlight.length) return NONE;
    this.#credit = credit;
    const bits = type === FrameType.Ack ? seq << (count + 1) : 0;
    const news = this.#inFlight.filter((frame, index) => !frame.arrived && (index < count || (bits >> index) & 1));
    for (const frame of news) frame.arrived = true;
    this.#base = ack;
    const done = this.#inFlight.splice(0, count);
    const probe = type === FrameType.Ack ? this.#probes.find((each) => each.number === channel) : undefined;
    if (news.length > 0 || probe) this.#overtaken(Math.max(probe?.turn ?? 0, ...news.map(({ turn }) => turn)));
    for (const { resolve } of done) resolve();
    return {
      any: news.length > 0 || probe !== undefined,
      arrived: news.length > 0,
      sentAt: news.filter(({ times }) => times === 1).at(-1)?.sentAt,
    };
  }

  /** The line was away, with all that was on it. */
  lost(): void {
    for (const frame of this.#inFlight) if (!frame.arrived) frame.turn = DUE;
  }

  /** The session is over. */
  reject(error: Error): void {
    for (const waiting of [...this.#inFlight.splice(0), ...this.#queue.splice(0), ...this.#bulk.splice(0)]) waiting.reject(error);
  }

  #launch(): Sending | undefined {
    const next = this.#queue.shift() ?? this.#bulk.shift();
    return next && this.#sent(next, this.#inFlight.push(next) - 1);
  }

  /** @param index of those in flight */
  #sent(frame: Outgoing, index: number): Sending {
    if (frame.times > 0) this.resent++;
    frame.sentAt = performance.now();
    frame.times++;
    frame.turn = ++this.#turn;
    return { seq: (this.#base + index) & 0xff, channel: frame.channel, payload: frame.payload };
  }

  /** What was sent in turn `latest` is known to have come, so that what was sent before it has come or is lost. */
  #overtaken(latest: number): void {
    for (const frame of this.#inFlight) if (!frame.arrived && frame.turn < latest) frame.turn = DUE;
    this.#probes = this.#probes.filter(({ turn }) => turn > latest);
  }

  /** What is sent again may be lost again, with nothing after it that would tell. A few bytes follow, whose number comes back. */
  *#probe(): Generator<Sending> {
    // Once for what was sent: an answer that brings no news must not be asked for again and again.
    if (this.#probedTurn === this.#turn) return;
    if (this.#probes.length === PROBES - 1) this.#probes.shift();
    this.#probeNumber = (this.#probeNumber + 1) % PROBES;
    this.#probedTurn = ++this.#turn;
    this.#probes.push({ number: Limit.Probe + this.#probeNumber, turn: this.#turn });
    yield { seq: (this.#base - 1) & 0xff, channel: Limit.Probe + this.#probeNumber, payload: EMPTY };
  }
}
