// Bytes to one block of LZ4 (block format description, lz4.org), close to the smallest that the format allows; hv/boot/unpack.asm unpacks
// it. The time is spent here, so that none is at boot: the parse is a shortest path.
//
//   1. the longest match of each position, among the positions before it that begin with the same four bytes
//   2. from the end to the beginning: what the rest costs from each position, as a literal or with a match of each length up to the longest
//   3. from the beginning: the sequences on the cheapest path are written
import { BuildError } from "./run.mjs";

const MIN_MATCH = 4;
/** unpack.asm copies up to this many bytes of a match at once: they have to be there, so a match this short does not begin nearer. */
const SHORT_MATCH = 8;
const MAX_DISTANCE = 0xffff;
/** "The last 5 bytes are always literals"; "the last match must start at least 12 bytes before the end of block". */
const LAST_LITERALS = 5;
const LAST_MATCH = 12;
/** A token's half holds a length up to this, which says that bytes follow: each adds to it, and after a 255 comes another. */
const MORE = 15;
/** A match that is this long is taken as it is: in a run of equal bytes there is a longer one at each step. */
const LONG_ENOUGH = 256;
const HASH_BITS = 16;

export function packLz4(bytes) {
  if (bytes.length === 0) throw new BuildError("lz4: nothing to pack");
  const matches = longestMatches(bytes);
  return written(bytes, matches, cheapest(bytes.length, matches));
}

/** How many bytes follow a token for a length. */
const bytesOfMore = (length) => (length < MORE ? 0 : 1 + Math.floor((length - MORE) / 255));

/** For each position: `lengths` of the longest match, 0 for none, and `distances`, how far back the nearest of that length begins. */
function longestMatches(bytes) {
  const lengths = new Int32Array(bytes.length);
  const distances = new Int32Array(bytes.length);
  const newest = new Int32Array(1 << HASH_BITS).fill(-1);
  const older = new Int32Array(bytes.length);
  const end = bytes.length - LAST_LITERALS;
  for (let at = 0; at <= bytes.length - LAST_MATCH; at++) {
    const four = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
    const slot = Math.imul(four, 0x9e3779b1) >>> (32 - HASH_BITS);
    older[at] = newest[slot];
    newest[slot] = at;
    let best = MIN_MATCH - 1;
    for (let from = older[at]; from >= 0 && at - from <= MAX_DISTANCE && best < LONG_ENOUGH; from = older[from]) {
      if (bytes[from + best] !== bytes[at + best]) continue;
      let length = 0;
      while (at + length < end && bytes[from + length] === bytes[at + length]) length++;
      if (length <= best) continue;
      best = length;
      lengths[at] = length;
      distances[at] = at - from;
    }
  }
  return { lengths, distances };
}

/** For each position: how long a match to take there, 0 for a literal. */
function cheapest(count, { lengths, distances }) {
  const costs = new Int32Array(count + 1);
  const literals = new Int32Array(count + 1); // how many come one after the other from here on
  const taken = new Int32Array(count);
  for (let at = count - 1; at >= 0; at--) {
    literals[at] = literals[at + 1] + 1;
    costs[at] = costs[at + 1] + 1 + bytesOfMore(literals[at]) - bytesOfMore(literals[at + 1]);
    const least = distances[at] < SHORT_MATCH ? SHORT_MATCH + 1 : MIN_MATCH;
    for (let length = least; length <= lengths[at]; length++) {
      const cost = costs[at + length] + 3 + bytesOfMore(length - MIN_MATCH);
      // Of two that cost the same, the match: fewer sequences are fewer instructions at boot.
      if (cost > costs[at]) continue;
      costs[at] = cost;
      taken[at] = length;
      literals[at] = 0;
    }
  }
  return taken;
}

function written(bytes, { distances }, taken) {
  const out = [];
  const more = (length) => {
    for (let left = length - MORE; left >= 0; left -= 255) out.push(Math.min(left, 255));
  };
  const sequence = (from, at, match) => {
    const literals = at - from;
    out.push((Math.min(literals, MORE) << 4) | Math.min(match, MORE));
    more(literals);
    for (const byte of bytes.subarray(from, at)) out.push(byte);
  };
  let from = 0;
  for (let at = 0; at < bytes.length; at++) {
    if (taken[at] === 0) continue;
    const match = taken[at] - MIN_MATCH;
    sequence(from, at, match);
    out.push(distances[at] & 0xff, distances[at] >> 8);
    more(match);
    from = at + taken[at];
    at = from - 1;
  }
  sequence(from, bytes.length, 0);
  return Uint8Array.from(out);
}
