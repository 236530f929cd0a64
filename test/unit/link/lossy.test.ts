// Two ends of the control plane's link over lines that spoil what they carry: all arrives, once, in order, and right.
import { describe, expect, test } from "vitest";
import { Link, type LinkOptions } from "../../../control/src/link/link.js";
import { bitErrors, bursts, byteErrors, cuts } from "../../../control/src/transport/faults.js";
import { type Fault, intact, MockTransport } from "../../../control/src/transport/mock.js";
import { Channel, Link as Limit } from "../../../protocol/link.js";
import { randomFrom, scaled, seedOf } from "../../support/scale.js";

const MIB = 1 << 20;
/** messages that wait for the line at once */
const LANES = 32;
const quick: LinkOptions = { retransmitMs: 5, maxRetransmitMs: 10, syncMs: 5 };
const seed = seedOf(5);

const noise = new Uint8Array(65_536);
const below = randomFrom(99);
for (let at = 0; at < noise.length; at++) noise[at] = below(4) === 0 ? 0 : below(256);

/** Message `index`: no two neighbours are alike, in length or content. */
function message(index: number): Uint8Array {
  const from = (index * 7919) % (noise.length - Limit.MaxPayload);
  const bytes = noise.slice(from, from + 4 + ((index * 131) % (Limit.MaxPayload - 3)));
  new DataView(bytes.buffer).setUint32(0, index, true);
  return bytes;
}

/** Sends messages until `bytes` of them have arrived, and checks each as it comes. Channels keep no order among each other, but each its own. */
async function send(from: Link, to: Link, channel: Channel, bytes: number): Promise<number> {
  let taken = 0;
  let wrong: number | undefined;
  to.on("message", (on, payload) => {
    if (on !== channel) return;
    if (Buffer.compare(payload, message(taken)) !== 0) wrong ??= taken;
    taken++;
  });
  let index = 0;
  let left = bytes;
  const lane = async (): Promise<void> => {
    while (left > 0 && wrong === undefined) {
      const payload = message(index++);
      left -= payload.length;
      await from.send(channel, payload);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  expect(wrong, `the message that was wrong; seed ${seed}`).toBeUndefined();
  expect(taken).toBe(index);
  return index;
}

async function exchange(there: Fault, back: Fault, bytes: number): Promise<Link> {
  const [left, right] = MockTransport.pair(there, back);
  const a = new Link(left, quick);
  const b = new Link(right, quick);
  try {
    await Promise.all([a.open(), b.open()]);
    // Mostly one way, as bulk is; requests and replies beside it.
    await Promise.all([
      send(a, b, Channel.Bulk, bytes),
      send(a, b, Channel.Request, bytes / 16),
      send(b, a, Channel.Reply, bytes / 16),
      send(b, a, Channel.Console, bytes / 16),
    ]);
    return a;
  } finally {
    a.close();
    b.close();
  }
}

const lines: [string, (seed: number) => Fault, number][] = [
  ["a bit-error rate of 1e-5", (from) => bitErrors(from, 1e-5), scaled(16 * MIB, 1024 * MIB)],
  ["a bit-error rate of 1e-4", (from) => bitErrors(from, 1e-4), scaled(MIB, 64 * MIB)],
  ["30% of frames dropped, three in a row", (from) => bursts(from, 0.3, 3), scaled(MIB, 64 * MIB)],
  ["bytes lost", (from) => byteErrors(from, { lose: 5e-4 }), scaled(MIB / 4, 4 * MIB)],
  ["bytes doubled", (from) => byteErrors(from, { double: 5e-4 }), scaled(MIB / 4, 4 * MIB)],
  ["bytes flipped", (from) => byteErrors(from, { flip: 5e-4 }), scaled(MIB / 4, 4 * MIB)],
  ["bytes inserted", (from) => byteErrors(from, { insert: 5e-4 }), scaled(MIB / 4, 4 * MIB)],
  ["cuts in mid-frame", (from) => cuts(from, 100, 20), scaled(MIB / 4, 16 * MIB)],
];

describe("over a line with", () => {
  test.each(lines)(
    "%s no byte is lost, doubled, reordered or wrong",
    async (_, fault, bytes) => {
      const link = await exchange(fault(seed), fault(seed + 1), bytes);
      expect(link.statistics.framesResent).toBeGreaterThan(0);
    },
    scaled(60_000, 3_600_000),
  );

  test("nothing the matter nothing is sent twice", async () => {
    const [left, right] = MockTransport.pair(intact, intact);
    const [a, b] = [left, right].map((end) => new Link(end, { ...quick, retransmitMs: 60_000, maxRetransmitMs: 60_000 })) as [Link, Link];
    await Promise.all([a.open(), b.open()]);
    await Promise.all([send(a, b, Channel.Bulk, MIB), send(b, a, Channel.Reply, MIB)]);
    expect([a.statistics.framesResent, b.statistics.framesResent, a.statistics.framesBad]).toEqual([0, 0, 0]);
    a.close();
    b.close();
  });
});
