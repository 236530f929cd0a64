// The frames of protocol/agent.ts: bytes of a guest's second serial port to frames, and back. Used by the client's exec, and by the daemon for clones.
import { type AgentFrame, AgentLimit } from "../../../protocol/agent.js";
import { cobsDecode, cobsEncode, cobsMax } from "./cobs.js";
import { crc32c } from "./crc32c.js";

export interface AgentMessage {
  session: bigint;
  seq: number;
  /** what the sender expects next; in Hello and Ready, its version */
  ack: number;
  type: AgentFrame;
  payload: Uint8Array;
}

const FRAME_BYTES = AgentLimit.HeaderBytes + AgentLimit.MaxPayload + AgentLimit.CrcBytes;
const LINE_BYTES = cobsMax(FRAME_BYTES);

/** As it goes on the line; a 00h stands before it too, which ends whatever somebody else left there. */
export function encodeAgentFrame({ session, seq, ack, type, payload }: AgentMessage): Uint8Array {
  const frame = Buffer.alloc(AgentLimit.HeaderBytes + payload.length + AgentLimit.CrcBytes);
  frame.writeBigUInt64LE(session);
  frame.writeUInt32LE(seq, 8);
  frame.writeUInt8(type, 12);
  frame.writeUInt32LE(ack, 16);
  frame.set(payload, AgentLimit.HeaderBytes);
  const end = frame.length - AgentLimit.CrcBytes;
  frame.writeUInt32LE(crc32c(frame.subarray(0, end)), end);
  return Buffer.concat([new Uint8Array(1), cobsEncode(frame)]);
}

/** Whatever comes over the line; of frames, those that are whole. */
export class AgentDecoder {
  #line: number[] = [];

  constructor(private readonly onFrame: (message: AgentMessage) => void) {}

  push(bytes: Uint8Array): void {
    for (const byte of bytes) {
      if (byte !== 0) {
        // One more than any frame has: it will not be whole.
        if (this.#line.length <= LINE_BYTES) this.#line.push(byte);
      } else if (this.#line.length > 0) {
        const message = decode(Uint8Array.from(this.#line));
        this.#line = [];
        if (message) this.onFrame(message);
      }
    }
  }
}

function decode(line: Uint8Array): AgentMessage | undefined {
  const decoded = cobsDecode(line);
  if (!decoded) return undefined;
  const end = decoded.length - AgentLimit.CrcBytes;
  if (end < AgentLimit.HeaderBytes || decoded.length > FRAME_BYTES) return undefined;
  const frame = Buffer.from(decoded.buffer, decoded.byteOffset, decoded.length);
  if (crc32c(frame.subarray(0, end)) !== frame.readUInt32LE(end)) return undefined;
  return {
    session: frame.readBigUInt64LE(),
    seq: frame.readUInt32LE(8),
    ack: frame.readUInt32LE(16),
    type: frame.readUInt8(12),
    payload: frame.subarray(AgentLimit.HeaderBytes, end),
  };
}
