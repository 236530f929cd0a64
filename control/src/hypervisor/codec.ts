// Messages as bytes: a header of two u32, then u64 words, then bytes (protocol/link.ts, Channel). Used by requests for what goes
// out and by client for what comes in. Everything that comes in is checked for length before it is read.
import { Link } from "../../../protocol/link.js";
import { HvkitError } from "../errors.js";

const WORD_BYTES = 8;

/** Bytes that still fit into one message beside `words` words. */
export const roomBeside = (words: number): number => Link.MaxPayload - Link.MessageHeaderBytes - WORD_BYTES * words;

/** [first u32][second u32][words u64...][bytes] */
export function encodeMessage(first: number, second: number, words: readonly (bigint | number)[], bytes?: Uint8Array): Uint8Array {
  const size = Link.MessageHeaderBytes + WORD_BYTES * words.length + (bytes?.length ?? 0);
  if (size > Link.MaxPayload) {
    throw new HvkitError("E_LINK_TOO_LONG", `A message of ${size} bytes was to be sent; the line takes ${Link.MaxPayload}.`);
  }
  const message = new Uint8Array(size);
  const view = new DataView(message.buffer);
  view.setUint32(0, first, true);
  view.setUint32(4, second, true);
  for (const [index, word] of words.entries()) view.setBigUint64(Link.MessageHeaderBytes + WORD_BYTES * index, BigInt(word), true);
  if (bytes) message.set(bytes, Link.MessageHeaderBytes + WORD_BYTES * words.length);
  return message;
}

/** A message that came in, taken apart: the two header words at once, the rest on demand. */
export class Message {
  readonly first: number;
  readonly second: number;
  readonly #body: Uint8Array;
  readonly #view: DataView;

  constructor(payload: Uint8Array) {
    if (payload.length < Link.MessageHeaderBytes) throw short(payload.length, Link.MessageHeaderBytes);
    const header = new DataView(payload.buffer, payload.byteOffset, Link.MessageHeaderBytes);
    this.first = header.getUint32(0, true);
    this.second = header.getUint32(4, true);
    this.#body = payload.subarray(Link.MessageHeaderBytes);
    this.#view = new DataView(this.#body.buffer, this.#body.byteOffset, this.#body.length);
  }

  /** Whole words that the body has room for. */
  get wordCount(): number {
    return Math.floor(this.#body.length / WORD_BYTES);
  }

  word(index: number): bigint {
    if ((index + 1) * WORD_BYTES > this.#body.length) throw short(this.#body.length, (index + 1) * WORD_BYTES);
    return this.#view.getBigUint64(index * WORD_BYTES, true);
  }

  /** A word that must be a safe integer: sizes, counts, enum members. */
  number(index: number): number {
    const value = this.word(index);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new HvkitError("E_LINK_MESSAGE", `The hypervisor sent ${value} where a size or a number below 2^53 was expected.`);
    }
    return Number(value);
  }

  words(): bigint[] {
    return Array.from({ length: this.wordCount }, (_, index) => this.word(index));
  }

  /** What follows `words` words. */
  bytes(words: number): Uint8Array {
    if (words * WORD_BYTES > this.#body.length) throw short(this.#body.length, words * WORD_BYTES);
    return this.#body.subarray(words * WORD_BYTES);
  }
}

function short(got: number, wanted: number): HvkitError {
  return new HvkitError("E_LINK_MESSAGE", `The hypervisor sent a message of ${got} bytes where at least ${wanted} were expected.`);
}
