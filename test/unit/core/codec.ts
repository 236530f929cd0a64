// The line's frames, written for the tests from protocol/link.ts alone: neither end's code is used to judge the other.
import { type Channel, FrameType, Link } from "../../../protocol/link.js";
import { GuestCreateArgs } from "../../../protocol/messages.js";

export interface Frame {
  type: FrameType;
  seq: number;
  ack: number;
  channel: number;
  /** the upper half of the channel's byte; by default a whole window */
  credit?: number;
  payload: Uint8Array;
}

export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}

/** Splits at zeros, then at 254 bytes. */
export function stuff(bytes: Uint8Array): number[] {
  const out: number[] = [];
  let group: number[] = [];
  const flush = (): void => {
    out.push(group.length + 1, ...group);
    group = [];
  };
  for (const byte of bytes) {
    if (byte !== 0) group.push(byte);
    if (byte === 0 || group.length === 254) flush();
  }
  flush();
  return [...out, 0];
}

export function unstuff(bytes: readonly number[]): Uint8Array {
  const out: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    const code = bytes[at];
    out.push(...bytes.slice(at + 1, at + code));
    at += code;
    if (at > bytes.length) throw new Error("a frame of core's is cut short");
    if (code < 255 && at < bytes.length) out.push(0);
  }
  return Uint8Array.from(out);
}

export function encode({ type, seq, ack, channel, credit = Link.Window, payload }: Frame): number[] {
  const body = Buffer.from([type, seq, ack, channel | (credit << 4), ...payload]);
  const crc = Buffer.alloc(Link.CrcBytes);
  crc.writeUInt32LE(crc32c(body));
  return stuff(Buffer.concat([body, crc]));
}

export const data = (seq: number, ack: number, channel: Channel, payload: Uint8Array): number[] =>
  encode({ type: FrameType.Data, seq, ack, channel, payload });

export function sync(type: Exclude<FrameType, FrameType.Data | FrameType.Ack>, epoch: number, version: number = Link.Version): number[] {
  const payload = Buffer.alloc(8);
  payload.writeUInt32LE(version, 0);
  payload.writeUInt32LE(epoch, 4);
  return encode({ type, seq: 0, ack: 0, channel: 0, credit: 0, payload });
}

/** What core wrote: whole, sound frames. Anything else is a failure. */
export function decodeAll(bytes: readonly number[]): Frame[] {
  const frames: Frame[] = [];
  let from = 0;
  for (let at = bytes.indexOf(0); at >= 0; from = at + 1, at = bytes.indexOf(0, from)) {
    if (at === from) continue;
    const frame = Buffer.from(unstuff(bytes.slice(from, at)));
    const body = frame.subarray(0, -Link.CrcBytes);
    if (frame.readUInt32LE(body.length) !== crc32c(body)) throw new Error("a frame of core's has a wrong CRC");
    if (body.length - Link.HeaderBytes > Link.MaxPayload) throw new Error("a frame of core's is too long");
    const [type, seq, ack, channel] = body as unknown as number[];
    frames.push({
      type: type,
      seq: seq,
      ack: ack,
      channel: channel & 15,
      credit: channel >> 4,
      payload: body.subarray(Link.HeaderBytes),
    });
  }
  if (from !== bytes.length) throw new Error("core left half a frame on the line");
  return frames;
}

/** [first u32][second u32][words u64...][bytes] */
export function message(
  first: number,
  second: number,
  words: readonly (number | bigint)[] = [],
  bytes: Uint8Array = new Uint8Array(),
): Uint8Array {
  const head = Buffer.alloc(8 + 8 * words.length);
  head.writeUInt32LE(first, 0);
  head.writeUInt32LE(second, 4);
  for (const [index, word] of words.entries()) head.writeBigUInt64LE(BigInt.asUintN(64, BigInt(word)), 8 + 8 * index);
  return Buffer.concat([head, bytes]);
}

/** GuestCreate's words; 0, what is not said. */
export const creation = (memoryBytes: number | bigint, wallSeconds: number): (number | bigint)[] =>
  Object.assign(new Array<number | bigint>(GuestCreateArgs.Words).fill(0), [memoryBytes, wallSeconds]);
