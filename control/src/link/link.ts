// The link: reliable, ordered messages on channels over one serial line. Selective repeat with a window and credit, acknowledgements that ride
// on data where they can, sessions by Sync and SyncAck (protocol/link.ts). Bulk goes when nothing else does. Above it: hypervisor/session;
// below: frame, then transport.
//
//   idle --open()--> syncing --SyncAck (ours) or Sync (theirs)--> open --close, silence, restart--> closed
//                                                                 |  ^
//                              the line breaks (transport/lasting) v  | SyncAck of the same session
//                                                                resuming --another session, silence, restart--> closed
import { randomInt } from "node:crypto";
import { EventEmitter } from "node:events";
import { Channel, FrameType, Link as Limit } from "../../../protocol/link.js";
import { HvkitError } from "../errors.js";
import type { Transport } from "../transport/transport.js";
import { encodeFrame, type Frame, FrameReader } from "./frame.js";

export interface LinkOptions {
  /** milliseconds without news before the first frame in flight is sent again, as long as the time that the line takes there and back is not
   *  known; then twice that, but no less than minRetransmitMs. It doubles, up to maxRetransmitMs, with each time that it was too short */
  retransmitMs?: number;
  /** by default retransmitMs, where that is said */
  minRetransmitMs?: number;
  maxRetransmitMs?: number;
  /** milliseconds between Syncs until the peer answers */
  syncMs?: number;
  /** milliseconds without progress, with frames in flight, that count as the end of the link */
  silenceMs?: number;
  /** messages that wait for the window at most */
  maxQueued?: number;
  /** bytes that the transport may hold before the link waits with sending again */
  maxPending?: number;
  /** this side's number for the session */
  epoch?: number;
}

export interface LinkStatistics {
  framesIn: number;
  framesOut: number;
  bytesIn: number;
  bytesOut: number;
  /** refused by the codec */
  framesBad: number;
  /** right frames out of turn: lost ones before them, sent twice, or more than was promised to be taken */
  framesOutOfTurn: number;
  framesResent: number;
  queued: number;
  inFlight: number;
}

export interface LinkEvents {
  message: [channel: Channel, payload: Uint8Array];
  text: [line: string];
  /** the line is away: what is sent waits */
  broken: [error: Error];
  /** and is there again, and the session goes on */
  back: [];
  /** once; not after close() */
  lost: [error: HvkitError];
}

export interface Peer {
  version: number;
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

type State = "idle" | "syncing" | "open" | "resuming" | "closed";

const SYNC_BYTES = 8;
const EMPTY = new Uint8Array();
const DUE = 0;
/** numbers that a probe may have */
const PROBES = 16 - Limit.Probe;
/** A frame too many costs less than a line that waits. */
const MIN_RETRANSMIT_MS = 30;
/** of a round trip's time: what one that takes longer than most may take */
const PATIENCE = 2;
/** part of a new round trip in the smoothed one (RFC 6298, 2.3) */
const SMOOTHING = 1 / 8;
/** Closes whatever noise left on the line, so that it does not take the next frame with it; after a whole frame it means nothing. */
const FRESH_START = Uint8Array.of(0);

export class Link extends EventEmitter<LinkEvents> {
  readonly #transport: Transport;
  readonly #options: Required<LinkOptions>;
  readonly #reader: FrameReader;
  readonly #queue: Outgoing[] = [];
  /** what goes when #queue is empty */
  readonly #bulk: Outgoing[] = [];
  readonly #counters = { framesIn: 0, framesOut: 0, bytesIn: 0, bytesOut: 0, framesBad: 0, framesOutOfTurn: 0, framesResent: 0 };
  #inFlight: Outgoing[] = [];
  #state: State = "idle";
  /** number of the first frame in flight, and of the next frame that is expected */
  #base = 0;
  #expected = 0;
  /** frames that came before one that is missing, by their number */
  readonly #held = new Map<number, Frame>();
  /** frames from #base on that the peer takes */
  #credit: number = Limit.Window;
  /** Data frames sent */
  #turn = 0;
  /** that are on their way, oldest first */
  #probes: { number: number; turn: number }[] = [];
  #probeNumber = 0;
  #probedTurn = 0;
  /** number of the peer's last probe */
  #probed = 0;
  #peerEpoch: number | undefined;
  #ackDue = false;
  /** data went one way or the other in this session */
  #talked = false;
  #retransmitMs: number;
  /** milliseconds there and back, smoothed; 0: none was measured */
  #roundTripMs = 0;
  #progressAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #gapTimer: NodeJS.Timeout | undefined;
  #opened: { resolve: (peer: Peer) => void; reject: (error: Error) => void } | undefined;

  constructor(transport: Transport, options: LinkOptions = {}) {
    super();
    this.#transport = transport;
    this.#options = {
      retransmitMs: Limit.RetransmitMs,
      minRetransmitMs: options.retransmitMs ?? MIN_RETRANSMIT_MS,
      maxRetransmitMs: 4000,
      syncMs: Limit.RetransmitMs,
      silenceMs: 60_000,
      maxQueued: 4096,
      maxPending: 65_536,
      epoch: randomInt(1, 2 ** 32),
      ...options,
    };
    this.#retransmitMs = this.#options.retransmitMs;
    this.#reader = new FrameReader({
      onFrame: (frame) => this.#receive(frame),
      onText: (line) => this.emit("text", line),
      onBad: () => this.#counters.framesBad++,
    });
    transport.onData((bytes) => this.#data(bytes));
    transport.onClose((error) => this.#lose("The line to the hypervisor was closed", error));
    transport.onBroken?.((error) => this.#lineBroken(error));
    transport.onBack?.(() => this.#lineBack());
  }

  get state(): State {
    return this.#state;
  }

  get statistics(): LinkStatistics {
    const queued = this.#queue.length + this.#bulk.length;
    return { ...this.#counters, queued, inFlight: this.#inFlight.length };
  }

  /** Sends Sync until the peer answers. */
  open(): Promise<Peer> {
    if (this.#state !== "idle") return Promise.reject(new HvkitError("E_LINK_LOST", `The link is ${this.#state} already.`));
    this.#state = "syncing";
    const peer = new Promise<Peer>((resolve, reject) => {
      this.#opened = { resolve, reject };
    });
    this.#sync();
    return peer;
  }

  /** Resolves when the peer has acknowledged the message. */
  send(channel: Channel, payload: Uint8Array): Promise<void> {
    if (this.#state === "closed") return Promise.reject(new HvkitError("E_LINK_LOST", "The link is closed."));
    if (payload.length > Limit.MaxPayload) {
      return Promise.reject(new HvkitError("E_LINK_TOO_LONG", `A message of ${payload.length} bytes; the line takes ${Limit.MaxPayload}.`));
    }
    const queue = channel === Channel.Bulk ? this.#bulk : this.#queue;
    if (queue.length >= this.#options.maxQueued) {
      return Promise.reject(new HvkitError("E_LINK_FULL", `${queue.length} messages wait for the line already.`));
    }
    return new Promise<void>((resolve, reject) => {
      queue.push({ channel, payload, sentAt: 0, times: 0, turn: DUE, arrived: false, resolve, reject });
      this.#pump();
    });
  }

  /** Ends the link and the transport; all that waits is rejected. */
  close(): void {
    this.#end(new HvkitError("E_LINK_LOST", "The link was closed."));
  }

  #data(bytes: Uint8Array): void {
    if (this.#state === "closed") return;
    this.#counters.bytesIn += bytes.length;
    this.#reader.push(bytes);
    // One acknowledgement for all that came at once, unless data carried it.
    this.#pump();
    if (this.#ackDue) this.#acknowledge(this.#probed);
    this.#watchGap();
  }

  /** @param channel number of a probe, or Missing */
  #acknowledge(channel: number): void {
    this.#transmit(FrameType.Ack, this.#heldBits(), channel, EMPTY);
  }

  /** A frame that others have overtaken was asked for by their acknowledgements. If it does not come in the time that the line takes, counted
   *  from the last news, it was lost again: the peer's own clock is slower. */
  #watchGap(waitMs = this.#patienceMs()): void {
    clearTimeout(this.#gapTimer);
    if (this.#held.size === 0 || this.#state !== "open") return;
    this.#gapTimer = setTimeout(() => {
      this.#acknowledge(Limit.Missing);
      this.#watchGap(Math.min(waitMs * 2, this.#options.maxRetransmitMs));
    }, waitMs);
  }

  #receive(frame: Frame): void {
    if (this.#state === "closed" || this.#state === "idle") return;
    this.#counters.framesIn++;
    if (frame.type === FrameType.Sync) this.#receiveSync(frame.payload);
    else if (frame.type === FrameType.SyncAck) this.#receiveSyncAck(frame.payload);
    else if (frame.type === FrameType.Resume) this.#receiveResume();
    else if (this.#state === "open") {
      this.#acknowledged(frame);
      if (frame.type === FrameType.Data) this.#receiveData(frame);
    }
  }

  /** What comes out of order waits for what is missing. */
  #receiveData(frame: Frame): void {
    this.#ackDue = true;
    if (frame.channel >= Limit.Probe) {
      this.#probed = frame.channel;
      return;
    }
    const ahead = (frame.seq - this.#expected) & 0xff;
    if (ahead !== 0) this.#counters.framesOutOfTurn++;
    if (ahead >= Limit.Window) return;
    this.#held.set(frame.seq, frame);
    this.#talked = true;
    for (let next = this.#takeHeld(); next && this.#state === "open"; next = this.#takeHeld()) {
      this.emit("message", next.channel, next.payload);
    }
  }

  #takeHeld(): Frame | undefined {
    const frame = this.#held.get(this.#expected);
    if (!this.#held.delete(this.#expected)) return undefined;
    this.#expected = (this.#expected + 1) & 0xff;
    return frame;
  }

  /** A bit for each frame that is held after the one that is missing. */
  #heldBits(): number {
    let bits = 0;
    for (const seq of this.#held.keys()) bits |= 1 << ((seq - this.#expected - 1) & 0xff);
    return bits;
  }

  /** The line keeps its order: what was sent before a frame that has arrived, and has not arrived itself, is lost. */
  #acknowledged({ type, seq, ack, channel, credit }: Frame): void {
    const count = (ack - this.#base) & 0xff;
    // More than what is in flight: an acknowledgement from before the last Sync, or nonsense.
    if (count > this.#inFlight.length) return;
    this.#credit = credit;
    const bits = type === FrameType.Ack ? seq << (count + 1) : 0;
    const news = this.#inFlight.filter((frame, index) => !frame.arrived && (index < count || (bits >> index) & 1));
    for (const frame of news) frame.arrived = true;
    this.#base = ack;
    const done = this.#inFlight.splice(0, count);
    if (news.length > 0) {
      this.#talked = true;
      this.#progressAt = performance.now();
      this.#overtaken(Math.max(...news.map(({ turn }) => turn)));
      this.#measure(news);
      this.#restartTimer();
    }
    const probe = type === FrameType.Ack ? this.#probes.find((each) => each.number === channel) : undefined;
    if (probe) {
      this.#overtaken(probe.turn);
      this.#restartTimer();
    }
    for (const { resolve } of done) resolve();
  }

  /** What was sent in turn `latest` is known to have come, so that what was sent before it has come or is lost. */
  #overtaken(latest: number): void {
    for (const frame of this.#inFlight) if (!frame.arrived && frame.turn < latest) frame.turn = DUE;
    this.#probes = this.#probes.filter(({ turn }) => turn > latest);
  }

  /** Sends what is to be sent again, then fills the window, as far as there is credit. */
  #pump(): void {
    if (this.#state !== "open") return;
    for (const [index, frame] of this.#inFlight.entries()) {
      if (index >= this.#credit) break;
      if (frame.turn !== DUE || frame.arrived) continue;
      this.#counters.framesResent++;
      this.#transmitData(frame, index);
    }
    while (this.#inFlight.length < Math.min(Limit.Window, this.#credit)) {
      const next = this.#queue.shift() ?? this.#bulk.shift();
      if (!next) break;
      this.#launch(next);
    }
    if (this.#inFlight.some(({ arrived, times }) => !arrived && times > 1)) this.#probe();
    this.#schedule();
  }

  /** What is sent again may be lost again, with nothing after it that would tell. A few bytes follow, whose number comes back. */
  #probe(): void {
    // Once for what was sent: an answer that brings no news must not be asked for again and again.
    if (this.#probedTurn === this.#turn) return;
    if (this.#probes.length === PROBES - 1) this.#probes.shift();
    this.#probeNumber = (this.#probeNumber + 1) % PROBES;
    this.#probes.push({ number: Limit.Probe + this.#probeNumber, turn: ++this.#turn });
    this.#probedTurn = this.#turn;
    this.#transmit(FrameType.Data, (this.#base - 1) & 0xff, Limit.Probe + this.#probeNumber, EMPTY);
  }

  #launch(next: Outgoing): void {
    this.#inFlight.push(next);
    this.#transmitData(next, this.#inFlight.length - 1);
  }

  /** A frame that was sent more than once does not say which one was answered, so that it measures nothing, and the longer wait stays: a
   *  line that is only slow would be filled with repetitions (Karn's algorithm; RFC 6298, 3). */
  #measure(news: readonly Outgoing[]): void {
    const last = news.filter(({ times }) => times === 1).at(-1);
    if (!last) return;
    const took = performance.now() - last.sentAt;
    this.#roundTripMs = this.#roundTripMs === 0 ? took : this.#roundTripMs + (took - this.#roundTripMs) * SMOOTHING;
    this.#retransmitMs = this.#patienceMs();
  }

  /** What an answer may take on this line. */
  #patienceMs(): number {
    if (this.#roundTripMs === 0) return this.#options.retransmitMs;
    return Math.min(Math.max(this.#options.minRetransmitMs, this.#roundTripMs * PATIENCE), this.#options.maxRetransmitMs);
  }

  /** The timer runs while something waits for news: of a frame in flight, or of credit. */
  #schedule(): void {
    if (this.#timer || !this.#waits) return;
    this.#progressAt = performance.now();
    this.#restartTimer();
  }

  #restartTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = this.#waits ? setTimeout(() => this.#retransmit(), this.#retransmitMs) : undefined;
  }

  get #waits(): boolean {
    return this.#inFlight.length > 0 || this.#queue.length > 0 || this.#bulk.length > 0;
  }

  #isSilent(): boolean {
    const silent = performance.now() - this.#progressAt > this.#options.silenceMs;
    if (silent) this.#lose(`The hypervisor has not acknowledged anything for ${this.#options.silenceMs / 1000} s`);
    return silent;
  }

  #retransmit(): void {
    if (this.#isSilent()) return;
    this.#retransmitMs = Math.min(this.#retransmitMs * 2, this.#options.maxRetransmitMs);
    // What our own side has not got rid of yet need not be sent a second time.
    if (this.#transport.pending <= this.#options.maxPending) this.#ask();
    this.#restartTimer();
  }

  /** Sends the first frame that has not arrived, or the first that waits for credit: the answers to it, and to the probe after it, tell the rest. */
  #ask(): void {
    this.#transport.write(FRESH_START);
    const [first] = this.#inFlight;
    if (first) {
      this.#counters.framesResent++;
      const { turn } = first;
      this.#transmitData(first, 0);
      // It may only be late: its arrival says nothing of what was sent after the first time.
      if (turn !== DUE) first.turn = turn;
      this.#probe();
      return;
    }
    const next = this.#queue.shift() ?? this.#bulk.shift();
    if (next) this.#launch(next);
  }

  #sync(): void {
    this.#transport.write(FRESH_START);
    this.#transmit(FrameType.Sync, 0, 0, syncPayload(this.#options.epoch));
    this.#timer = setTimeout(() => this.#sync(), this.#options.syncMs);
  }

  /** The peer starts. A repeated Sync of this session means that it has not seen our answer; a new one, that it started again. */
  #receiveSync(payload: Uint8Array): void {
    const { version, epoch } = readSync(payload);
    const again = this.#peerEpoch === undefined ? this.#talked : this.#peerEpoch !== epoch;
    if ((this.#state === "open" || this.#state === "resuming") && again) {
      this.#lose("The hypervisor has started again");
      return;
    }
    this.#peerEpoch = epoch;
    this.#transmit(FrameType.SyncAck, 0, 0, syncPayload(epoch));
    if (this.#state === "resuming") this.#resumed();
    else this.#established(version);
  }

  #receiveSyncAck(payload: Uint8Array): void {
    const { version, epoch } = readSync(payload);
    const isOurs = epoch === this.#options.epoch;
    if (this.#state !== "resuming") {
      if (isOurs) this.#established(version);
    } else if (isOurs || epoch === this.#peerEpoch) this.#resumed();
    else this.#lose("Another control plane has had the hypervisor while the line was away");
  }

  /** The peer's line was away: it is told which session is open. */
  #receiveResume(): void {
    if (this.#state === "open") this.#transmit(FrameType.SyncAck, 0, 0, syncPayload(this.#peerEpoch ?? this.#options.epoch));
  }

  /** Frames on their way are gone, and nothing is to be asked until it is there again. */
  #lineBroken(error: Error): void {
    // Without a session there is nothing to be kept.
    if (this.#state === "syncing") this.#lose("The line to the hypervisor broke", error);
    if (this.#state !== "open" && this.#state !== "resuming") return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#state === "resuming") return;
    clearTimeout(this.#gapTimer);
    this.#state = "resuming";
    this.emit("broken", error);
  }

  #lineBack(): void {
    if (this.#state !== "resuming") return;
    // The rest of a frame that was under way never comes.
    this.#reader.push(FRESH_START);
    this.#progressAt = performance.now();
    this.#askForSession();
  }

  #askForSession(): void {
    if (this.#isSilent()) return;
    this.#transport.write(FRESH_START);
    this.#transmit(FrameType.Resume, 0, 0, syncPayload(this.#options.epoch));
    this.#timer = setTimeout(() => this.#askForSession(), this.#options.syncMs);
  }

  /** What was in flight and is not known to have arrived goes again; what has come in is told. */
  #resumed(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#state = "open";
    for (const frame of this.#inFlight) if (!frame.arrived) frame.turn = DUE;
    this.#ackDue = true;
    this.emit("back");
  }

  #established(version: number): void {
    if (this.#state !== "syncing") return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#state = "open";
    this.#opened?.resolve({ version });
    this.#pump();
  }

  /** The frame at `index` of those in flight. */
  #transmitData(frame: Outgoing, index: number): void {
    frame.sentAt = performance.now();
    frame.times++;
    frame.turn = ++this.#turn;
    this.#transmit(FrameType.Data, (this.#base + index) & 0xff, frame.channel, frame.payload);
  }

  #transmit(type: FrameType, seq: number, channel: number, payload: Uint8Array): void {
    const session = type !== FrameType.Data && type !== FrameType.Ack;
    // What is taken is handed on at once: there is always room for a window.
    const credit = session ? 0 : Limit.Window;
    const bytes = encodeFrame({ type, seq, ack: this.#expected, channel, credit, payload });
    // What came out of order only an Ack can tell.
    if (type === FrameType.Ack || (type === FrameType.Data && this.#held.size === 0)) this.#ackDue = false;
    this.#counters.framesOut++;
    this.#counters.bytesOut += bytes.length;
    this.#transport.write(bytes);
  }

  #lose(what: string, cause?: Error): void {
    if (this.#state === "closed") return;
    const error = new HvkitError("E_LINK_LOST", cause ? `${what}: ${cause.message}` : `${what}.`, { cause });
    this.#end(error);
    this.emit("lost", error);
  }

  #end(error: HvkitError): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    clearTimeout(this.#timer);
    clearTimeout(this.#gapTimer);
    this.#opened?.reject(error);
    for (const waiting of [...this.#inFlight.splice(0), ...this.#queue.splice(0), ...this.#bulk.splice(0)]) waiting.reject(error);
    this.#transport.close();
  }
}

function syncPayload(epoch: number): Uint8Array {
  const payload = new Uint8Array(SYNC_BYTES);
  const view = new DataView(payload.buffer);
  view.setUint32(0, Limit.Version, true);
  view.setUint32(4, epoch, true);
  return payload;
}

function readSync(payload: Uint8Array): { version: number; epoch: number } {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  return { version: view.getUint32(0, true), epoch: view.getUint32(4, true) };
}
