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
import { type Channel, FrameType, Link as Limit } from "../../../protocol/link.js";
import { HvkitError } from "../errors.js";
import type { Transport } from "../transport/transport.js";
import { encodeFrame, type Frame, FrameReader } from "./frame.js";
import { Inbox } from "./inbox.js";
import { Outbox, type Sending } from "./outbox.js";
import { RoundTrip } from "./roundtrip.js";

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

type State = "idle" | "syncing" | "open" | "resuming" | "closed";

const SYNC_BYTES = 8;
const EMPTY = new Uint8Array();
/** A frame too many costs less than a line that waits. */
const MIN_RETRANSMIT_MS = 30;
/** Closes whatever noise left on the line, so that it does not take the next frame with it; after a whole frame it means nothing. */
const FRESH_START = Uint8Array.of(0);

export class Link extends EventEmitter<LinkEvents> {
  readonly #transport: Transport;
  readonly #options: Required<LinkOptions>;
  readonly #reader: FrameReader;
  readonly #inbox = new Inbox();
  readonly #outbox: Outbox;
  readonly #roundTrip: RoundTrip;
  readonly #counters = { framesIn: 0, framesOut: 0, bytesIn: 0, bytesOut: 0, framesBad: 0 };
  #state: State = "idle";
  /** number of the peer's last probe */
  #probed = 0;
  #peerEpoch: number | undefined;
  #ackDue = false;
  /** data went one way or the other in this session */
  #talked = false;
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
    this.#outbox = new Outbox(this.#options.maxQueued);
    this.#roundTrip = new RoundTrip(this.#options);
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
    const { queued, inFlight, resent } = this.#outbox;
    return { ...this.#counters, framesOutOfTurn: this.#inbox.outOfTurn, framesResent: resent, queued, inFlight };
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
    const arrived = this.#outbox.put(channel, payload);
    this.#pump();
    return arrived;
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
    this.#transmit(FrameType.Ack, this.#inbox.heldBits, channel, EMPTY);
  }

  /** A frame that others have overtaken was asked for by their acknowledgements. If it does not come in the time that the line takes, counted
   *  from the last news, it was lost again: the peer's own clock is slower. */
  #watchGap(waitMs = this.#roundTrip.patienceMs): void {
    clearTimeout(this.#gapTimer);
    if (!this.#inbox.hasGap || this.#state !== "open") return;
    this.#gapTimer = setTimeout(() => {
      this.#acknowledge(Limit.Missing);
      this.#watchGap(this.#roundTrip.doubled(waitMs));
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

  #receiveData(frame: Frame): void {
    this.#ackDue = true;
    if (frame.channel >= Limit.Probe) {
      this.#probed = frame.channel;
      return;
    }
    if (!this.#inbox.put(frame)) return;
    this.#talked = true;
    for (let next = this.#inbox.take(); next && this.#state === "open"; next = this.#inbox.take()) {
      this.emit("message", next.channel, next.payload);
    }
  }

  #acknowledged(frame: Frame): void {
    const news = this.#outbox.acknowledged(frame);
    if (news.arrived) {
      this.#talked = true;
      this.#progressAt = performance.now();
    }
    if (news.sentAt !== undefined) this.#roundTrip.measured(performance.now() - news.sentAt);
    if (news.any) this.#restartTimer();
  }

  #pump(): void {
    if (this.#state !== "open") return;
    this.#transmitData(this.#outbox.ready());
    this.#schedule();
  }

  /** The timer runs while something waits for news: of a frame in flight, or of credit. */
  #schedule(): void {
    if (this.#timer || !this.#outbox.waits) return;
    this.#progressAt = performance.now();
    this.#restartTimer();
  }

  #restartTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = this.#outbox.waits ? setTimeout(() => this.#retransmit(), this.#roundTrip.waitMs) : undefined;
  }

  #isSilent(): boolean {
    const silent = performance.now() - this.#progressAt > this.#options.silenceMs;
    if (silent) this.#lose(`The hypervisor has not acknowledged anything for ${this.#options.silenceMs / 1000} s`);
    return silent;
  }

  #retransmit(): void {
    if (this.#isSilent()) return;
    this.#roundTrip.waitMs = this.#roundTrip.doubled(this.#roundTrip.waitMs);
    // What our own side has not got rid of yet need not be sent a second time.
    if (this.#transport.pending <= this.#options.maxPending) {
      this.#transport.write(FRESH_START);
      this.#transmitData(this.#outbox.asking());
    }
    this.#restartTimer();
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
    this.#outbox.lost();
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

  #transmitData(sendings: Iterable<Sending>): void {
    for (const { seq, channel, payload } of sendings) this.#transmit(FrameType.Data, seq, channel, payload);
  }

  #transmit(type: FrameType, seq: number, channel: number, payload: Uint8Array): void {
    const session = type !== FrameType.Data && type !== FrameType.Ack;
    // What is taken is handed on at once: there is always room for a window.
    const credit = session ? 0 : Limit.Window;
    const bytes = encodeFrame({ type, seq, ack: this.#inbox.expected, channel, credit, payload });
    // What came out of order only an Ack can tell.
    if (type === FrameType.Ack || (type === FrameType.Data && !this.#inbox.hasGap)) this.#ackDue = false;
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
    this.#outbox.reject(error);
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
