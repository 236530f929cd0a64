// What is no frame is taken by neither end: random bytes, and every flip of up to three bits of a frame of 64 bytes. The decoder of the
// control plane, and that of core, on the same bytes.
import { describe, expect, test } from "vitest";
import { encodeFrame, FrameReader } from "../../../control/src/link/frame.js";
import { Channel, FrameType, Link } from "../../../protocol/link.js";
import { HostStatReply, Op } from "../../../protocol/messages.js";
import { randomFrom, scaled, seedOf } from "../../support/scale.js";
import { Rig } from "../core/rig.js";

const seed = seedOf(11);
const FRAME_BYTES = 64;
/** How many random bytes each end gets at once. */
const CHUNK = 1 << 16;

interface Decoder {
  /** Takes bytes, closed by a 00h: frames that it took. */
  push: (bytes: Uint8Array) => number;
}

function reader(): Decoder {
  let frames = 0;
  const ignore = (): void => undefined;
  const decoder = new FrameReader({ onFrame: () => frames++, onText: ignore, onBad: ignore });
  return {
    push(bytes) {
      frames = 0;
      decoder.push(bytes);
      return frames;
    },
  };
}

/** Core with a session, fed through its serial ring. It tells how many frames it took. */
function core(): Decoder {
  const rig = Rig.open({ memoryMiB: 8, hostFrames: 512 });
  let epoch = 1;
  const taken = (): number => {
    rig.expected = 0;
    rig.synchronize(++epoch);
    return Number(rig.ok(Op.HostStat).words[HostStatReply.FramesIn]);
  };
  // What the question itself costs.
  const first = taken();
  let before = taken();
  const asked = before - first;
  return {
    push(bytes) {
      for (let at = 0; at < bytes.length; at += CHUNK) {
        rig.give([...bytes.subarray(at, at + CHUNK)]);
        while (rig.host.toCore.length > 0) rig.core.poll(0);
        rig.host.fromCore.length = 0;
      }
      const now = taken();
      const frames = now - before - asked;
      before = now;
      return frames;
    },
  };
}

/** A frame whose header, payload and CRC are 64 bytes, with zeros in it, as it goes on the line. */
const good = encodeFrame({
  type: FrameType.Data,
  seq: 3,
  ack: 7,
  channel: Channel.Request,
  credit: Link.Window,
  payload: Uint8Array.from({ length: FRAME_BYTES - Link.HeaderBytes - Link.CrcBytes }, (_, index) => (index % 5 === 0 ? 0 : index * 37)),
});
const BITS = good.length * 8;

/** Good frames with these bits flipped, one after the other; each is closed even where a flip takes its 00h. */
function flipped(sets: readonly (readonly number[])[]): Uint8Array {
  const out = new Uint8Array(sets.length * (good.length + 1));
  for (const [index, bits] of sets.entries()) {
    const at = index * (good.length + 1);
    out.set(good, at);
    for (const bit of bits) out[at + (bit >> 3)] ^= 1 << (bit & 7);
  }
  return out;
}

/** All sets of `count` bits, from bit `from` on. */
function* choices(count: number, from: number): Generator<number[]> {
  if (count === 0) yield [];
  else for (let bit = from; bit < BITS; bit++) for (const rest of choices(count - 1, bit + 1)) yield [bit, ...rest];
}

function accepted(decoder: Decoder, sets: Iterable<number[]>): number {
  let frames = 0;
  let batch: number[][] = [];
  for (const bits of sets) {
    batch.push(bits);
    if (batch.length < 4096) continue;
    frames += decoder.push(flipped(batch));
    batch = [];
  }
  return frames + decoder.push(flipped(batch));
}

function* some(count: number, bits: number): Generator<number[]> {
  const below = randomFrom(seed);
  for (let index = 0; index < count; index++) {
    const set = new Set<number>();
    while (set.size < bits) set.add(below(BITS));
    yield [...set];
  }
}

describe.each<[string, () => Decoder, number]>([
  ["the control plane's decoder", reader, scaled(1_000_000, 100_000_000)],
  ["core's decoder", core, scaled(1_000_000, 100_000_000)],
])("%s", (name, make, random) => {
  test("takes the good frame", () => {
    expect(make().push(Uint8Array.from([...good, ...good]))).toBe(2);
  });

  test(
    "takes none of random bytes",
    () => {
      const decoder = make();
      const below = randomFrom(seed);
      let frames = 0;
      for (let left = random; left > 0; left -= CHUNK) {
        // Half of the chunks have many zeros: short frames are the likelier ones.
        const zeros = below(2) === 0;
        const bytes = Uint8Array.from({ length: Math.min(CHUNK, left) }, () => (zeros && below(12) === 0 ? 0 : below(256)));
        bytes[bytes.length - 1] = 0;
        frames += decoder.push(bytes);
      }
      expect(frames, `seed ${seed}`).toBe(0);
    },
    scaled(60_000, 3_600_000),
  );

  test.each([1, 2])("takes none with %i bits flipped", (count) => {
    expect(accepted(make(), choices(count, 0))).toBe(0);
  });

  test(
    "takes none with 3 bits flipped",
    () => {
      const every = scaled(0, 1) === 1;
      expect(accepted(make(), every ? choices(3, 0) : some(100_000, 3)), `${name}, seed ${seed}`).toBe(0);
    },
    scaled(60_000, 4 * 3_600_000),
  );
});
