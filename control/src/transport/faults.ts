// What bad lines do to bytes, seeded, so that a failing run can be repeated: for tests and the figures of the link. A Fault gets what was
// written in one piece, which is a frame.
import { type Fault, mulberry32 } from "./mock.js";

/** Flips each bit with the probability `rate`. From one error to the next it skips: good bits cost nothing. */
export function bitErrors(seed: number, rate: number): Fault {
  const random = mulberry32(seed);
  const gap = (): number => (rate > 0 ? Math.floor(Math.log(1 - random()) / Math.log1p(-rate)) : Number.POSITIVE_INFINITY);
  let next = gap();
  return (bytes) => {
    const bits = bytes.length * 8;
    if (next >= bits) {
      next -= bits;
      return [bytes];
    }
    const damaged = bytes.slice();
    for (; next < bits; next += 1 + gap()) damaged[next >> 3] ^= 1 << (next & 7);
    next -= bits;
    return [damaged];
  };
}

/** Drops `share` of all pieces, `length` in a row. */
export function bursts(seed: number, share: number, length: number): Fault {
  const random = mulberry32(seed);
  const start = share / (length - share * (length - 1));
  let left = 0;
  return (bytes) => {
    if (left === 0 && random() < start) left = length;
    if (left === 0) return [bytes];
    left--;
    return [];
  };
}

export interface ByteRates {
  lose?: number;
  double?: number;
  flip?: number;
  insert?: number;
}

/** Byte by byte: lost, doubled, flipped in one bit, another one before it. */
export function byteErrors(seed: number, { lose = 0, double = 0, flip = 0, insert = 0 }: ByteRates): Fault {
  const random = mulberry32(seed);
  const byte = (): number => Math.floor(random() * 256);
  return (bytes) => {
    const out: number[] = [];
    for (const good of bytes) {
      if (random() < insert) out.push(byte());
      if (random() < lose) continue;
      const sent = random() < flip ? good ^ (1 << (byte() & 7)) : good;
      out.push(sent);
      if (random() < double) out.push(sent);
    }
    return [Uint8Array.from(out)];
  };
}

/** The line is dead for `silent` pieces in mid-piece, every `every` pieces or so. */
export function cuts(seed: number, every: number, silent: number): Fault {
  const random = mulberry32(seed);
  let left = 0;
  return (bytes) => {
    if (left > 0) {
      left--;
      return [];
    }
    if (random() >= 1 / every) return [bytes];
    left = silent;
    return [bytes.subarray(0, Math.floor(random() * bytes.length))];
  };
}
