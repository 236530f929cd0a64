// One frame of the line (protocol/link.ts): header, payload, CRC. Sends a frame whole or not at all; says whether a received one
// is sound. Stands between link.ts, which gives frames their numbers, and cobs.ts.

import { Link } from "../../protocol/link";
import { encode, encodedBound } from "./cobs";
import * as host from "./host";
import { WIRE } from "./layout";

export const PAYLOAD: usize = Link.HeaderBytes;

export function frameType(frame: usize): u32 {
  return load<u8>(frame);
}

export function frameSeq(frame: usize): u32 {
  return load<u8>(frame, 1);
}

export function frameAck(frame: usize): u32 {
  return load<u8>(frame, 2);
}

export function frameChannel(frame: usize): u32 {
  return load<u8>(frame, 3) & ((1 << Link.CreditShift) - 1);
}

export function frameCredit(frame: usize): u32 {
  return load<u8>(frame, 3) >> Link.CreditShift;
}

/** Payload bytes of a received frame, or -1: its length or CRC is wrong. */
export function checkFrame(frame: usize, length: u32): i32 {
  if (length < <u32>(Link.HeaderBytes + Link.CrcBytes)) return -1;
  const covered = length - Link.CrcBytes;
  if (host.crc32c(<u32>frame, covered) != load<u32>(frame + covered)) return -1;
  return <i32>(covered - Link.HeaderBytes);
}

/** Sends the frame at `frame` (`channel`: the whole byte), which has room for a CRC after its payload. False: the line's ring has no room for all of it. */
export function sendFrame(frame: usize, type: u32, seq: u32, ack: u32, channel: u32, payloadBytes: u32): bool {
  const covered = Link.HeaderBytes + payloadBytes;
  if (host.serialRoom() < encodedBound(covered + Link.CrcBytes)) return false;
  store<u32>(frame, type | (seq << 8) | (ack << 16) | (channel << 24));
  store<u32>(frame + covered, host.crc32c(<u32>frame, covered));
  const bytes = encode(frame, covered + Link.CrcBytes, WIRE);
  host.serialWrite(<u32>WIRE, bytes);
  return true;
}
