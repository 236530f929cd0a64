// The codec of the serial line: frames (protocol/link.ts) to bytes and back, and the raw text lines between them.
// Stands between link and transport. What comes in is hostile: every refusal has a stable code, every length a limit.
//
//             'h'            "hvkit: " complete
//   Start ----------> Prefix --------------------> Text --00h--> Start             (a line)
//     |                 | another byte               +--LF--> Lines                (a line)
//     | another byte    v
//     +--------------> Frame --00h--> Start                                        (a frame, or refused)
//                       +--too long--> Skip --00h--> Start                         (refused)
//
// Lines is Start where another line may follow: there CR and LF mean nothing. In Start they are a frame's first code.
// No frame starts like text: the byte after a first code of 68h ('h') is its type, and 76h ('v') is none.
import { Channel, FrameType, Link } from "../../../protocol/link.js";
import { cobsDecode, cobsEncode, cobsMax } from "./cobs.js";
import { crc32c } from "./crc32c.js";

export interface Frame {
  type: FrameType;
  /** Data: its number. Ack: the bits of what has arrived after `ack` */
  seq: number;
  ack: number;
  /** Data: where it belongs; from Link.Probe on it is a probe. Ack: the last probe that came */
  channel: Channel | number;
  /** Data and Ack: frames from `ack` on that its sender takes */
  credit: number;
  payload: Uint8Array;
}

/** Why bytes between two 00h are no frame: stable, counted by link, seen in traces and tests. */
export type FrameFault =
  | "FRAME_TOO_LONG"
  | "FRAME_TOO_SHORT"
  | "FRAME_COBS"
  | "FRAME_CRC"
  | "FRAME_TYPE"
  | "FRAME_CHANNEL"
  | "FRAME_PAYLOAD";

const MIN_BYTES = Link.HeaderBytes + Link.CrcBytes;
const MAX_BYTES = MIN_BYTES + Link.MaxPayload;
const MAX_ENCODED = cobsMax(MAX_BYTES);
const MAX_LINE = 512;
const SYNC_BYTES = 8;
const CHANNEL_MASK = (1 << Link.CreditShift) - 1;
const PREFIX = Buffer.from("hvkit: ");
const LF = 0x0a;
const CR = 0x0d;

/** The frame as it goes on the line, with the closing 00h. */
export function encodeFrame(frame: Frame): Uint8Array {
  const bytes = new Uint8Array(MIN_BYTES + frame.payload.length);
  bytes.set([frame.type, frame.seq, frame.ack, frame.channel | (frame.credit << Link.CreditShift)]);
  bytes.set(frame.payload, Link.HeaderBytes);
  const crcAt = bytes.length - Link.CrcBytes;
  new DataView(bytes.buffer).setUint32(crcAt, crc32c(bytes.subarray(0, crcAt)), true);
  return cobsEncode(bytes);
}

/** What stood between two 00h. */
export function decodeFrame(encoded: Uint8Array): Frame | FrameFault {
  if (encoded.length > MAX_ENCODED) return "FRAME_TOO_LONG";
  const bytes = cobsDecode(encoded);
  if (!bytes) return "FRAME_COBS";
  if (bytes.length < MIN_BYTES) return "FRAME_TOO_SHORT";
  if (bytes.length > MAX_BYTES) return "FRAME_TOO_LONG";
  const crcAt = bytes.length - Link.CrcBytes;
  const crc = new DataView(bytes.buffer, bytes.byteOffset + crcAt).getUint32(0, true);
  if (crc !== crc32c(bytes.subarray(0, crcAt))) return "FRAME_CRC";
  const [type, seq, ack, last] = bytes as unknown as [FrameType, number, number, number];
  const channel = last & CHANNEL_MASK;
  const credit = last >> Link.CreditShift;
  if (FrameType[type] === undefined) return "FRAME_TYPE";
  const payload = bytes.subarray(Link.HeaderBytes, crcAt);
  if (type === FrameType.Data && channel < Link.Probe && Channel[channel] === undefined) return "FRAME_CHANNEL";
  if (type === FrameType.Ack && payload.length !== 0) return "FRAME_PAYLOAD";
  if (type !== FrameType.Data && type !== FrameType.Ack && payload.length !== SYNC_BYTES) return "FRAME_PAYLOAD";
  return { type, seq, ack, channel, credit, payload };
}

type State = "Start" | "Lines" | "Prefix" | "Text" | "Frame" | "Skip";

export interface FrameReaderOptions {
  onFrame: (frame: Frame) => void;
  onText: (line: string) => void;
  onBad: (fault: FrameFault) => void;
}

/** Takes the line's bytes as they come, in pieces of any size. */
export class FrameReader {
  readonly #options: FrameReaderOptions;
  readonly #buffer = Buffer.alloc(MAX_ENCODED);
  #size = 0;
  #state: State = "Start";

  constructor(options: FrameReaderOptions) {
    this.#options = options;
  }

  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      if (this.#state === "Frame") at = this.#inFrame(bytes, at);
      else this.#byte(bytes[at++]);
    }
  }

  /** All of a frame that is there, in one piece: where it goes on after that. */
  #inFrame(bytes: Uint8Array, from: number): number {
    const end = bytes.indexOf(0, from);
    const piece = bytes.subarray(from, end < 0 ? bytes.length : end);
    const room = MAX_ENCODED - this.#size;
    this.#buffer.set(piece.length > room ? piece.subarray(0, room) : piece, this.#size);
    this.#size += Math.min(piece.length, room);
    if (piece.length > room) {
      this.#refuse("FRAME_TOO_LONG");
      this.#state = "Skip";
      return from + room;
    }
    if (end < 0) return bytes.length;
    this.#endFrame();
    return end + 1;
  }

  #byte(byte: number): void {
    switch (this.#state) {
      case "Start":
      case "Lines":
        if (this.#state === "Lines" && (byte === LF || byte === CR)) return;
        if (byte === 0) {
          this.#state = "Start";
          return;
        }
        this.#state = byte === PREFIX[0] ? "Prefix" : "Frame";
        this.#keep(byte);
        return;
      case "Prefix":
        if (byte === 0) {
          this.#endFrame();
          return;
        }
        this.#keep(byte);
        if (byte !== PREFIX[this.#size - 1]) this.#state = "Frame";
        else if (this.#size === PREFIX.length) this.#state = "Text";
        return;
      case "Text":
        // Of an endless line the start is what matters.
        if (byte === 0 || byte === LF) this.#endText(byte === 0 ? "Start" : "Lines");
        else if (this.#size < MAX_LINE) this.#keep(byte);
        return;
      case "Skip":
        if (byte === 0) this.#restart();
        return;
      case "Frame":
      // #inFrame's
    }
  }

  #keep(byte: number): void {
    this.#buffer[this.#size++] = byte;
  }

  #restart(next: State = "Start"): void {
    this.#size = 0;
    this.#state = next;
  }

  #endText(next: State): void {
    const line = printable(this.#buffer.toString("latin1", 0, this.#size));
    this.#restart(next);
    this.#options.onText(line);
  }

  #endFrame(): void {
    const result = decodeFrame(this.#buffer.subarray(0, this.#size));
    if (typeof result === "string") this.#refuse(result);
    this.#restart();
    if (typeof result !== "string") this.#options.onFrame(result);
  }

  /** Counts what is no frame, and saves the hypervisor's lines in it: firmware prints before it, a panic cuts a frame short. */
  #refuse(fault: FrameFault): void {
    this.#options.onBad(fault);
    const lines = this.#buffer.toString("latin1", 0, this.#size).split("\n");
    for (const line of lines) {
      const at = line.indexOf(PREFIX.toString());
      if (at >= 0) this.#options.onText(printable(line.slice(at)));
    }
  }
}

/** Text from the line goes to terminals: no control characters, so no escape sequences. */
const printable = (line: string): string => line.replace(/\r$/, "").replace(/[^\x20-\x7e]/g, "?");
