// The control plane's link against core's, over lines that spoil what they carry: bulk into a guest's RAM and out again by requests, the
// guest's console beside it. All arrives, once, in order, and right.
import { describe, expect, test } from "vitest";
import { Link } from "../../../control/src/link/link.js";
import { bitErrors, bursts, byteErrors, cuts } from "../../../control/src/transport/faults.js";
import type { Fault } from "../../../control/src/transport/mock.js";
import { Channel } from "../../../protocol/link.js";
import { GuestKind, Op } from "../../../protocol/messages.js";
import { randomFrom, scaled, seedOf } from "../../support/scale.js";
import { BareMetal } from "./bare.js";
import { creation, message } from "./codec.js";
import { Rig } from "./rig.js";

const MIB = 1 << 20;
const KIB = 1024;
/** bytes of a message in and of one out */
const PIECE = 632;
const READ = 512;
const RAM = 16 * MIB;
const LANES = 32;
const seed = seedOf(7);

/** The hypervisor behind a link: calls with replies, bulk, what its guest says. */
class Peer {
  readonly line = new BareMetal(new Rig({ memoryMiB: 64 }));
  readonly link = new Link(this.line, { retransmitMs: 5, maxRetransmitMs: 10, syncMs: 5 });
  readonly console: Uint8Array[] = [];
  readonly #waiting = new Map<number, (reply: Buffer) => void>();
  #id = 1;

  constructor() {
    this.link.on("message", (channel, payload) => {
      const bytes = Buffer.from(payload);
      if (channel === Channel.Console) this.console.push(payload.slice(8));
      if (channel !== Channel.Reply) return;
      const answer = this.#waiting.get(bytes.readUInt32LE(0));
      expect(answer, "a reply to nobody").toBeDefined();
      this.#waiting.delete(bytes.readUInt32LE(0));
      answer?.(bytes);
    });
  }

  async call(op: Op, words: readonly (number | bigint)[]): Promise<Buffer> {
    const id = this.#id++;
    const replied = new Promise<Buffer>((resolve) => this.#waiting.set(id, resolve));
    await this.link.send(Channel.Request, message(id, op, words));
    const reply = await replied;
    expect(reply.readUInt32LE(4)).toBe(0);
    return reply.subarray(8);
  }

  bulk(address: number, bytes: Uint8Array): Promise<void> {
    return this.link.send(Channel.Bulk, message(0, 0, [address], bytes));
  }
}

async function inLanes(length: number, piece: number, work: (at: number, size: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < length) {
      const at = next;
      next += piece;
      await work(at, Math.min(piece, length - at));
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}

async function inAndOut(peer: Peer, round: number, bytes: number): Promise<void> {
  const random = randomFrom(seed + round);
  const content = Uint8Array.from({ length: bytes }, () => (random(4) === 0 ? 0 : random(256)));
  await inLanes(bytes, PIECE, (at, size) => peer.bulk(at, content.subarray(at, at + size)));
  const back = new Uint8Array(bytes);
  const said = `round ${round}: ${"the guest speaks meanwhile, ".repeat(40)}`;
  peer.line.rig.host.print(0, said);
  await inLanes(bytes, READ, async (at, size) => back.set(await peer.call(Op.GuestRead, [0, at, size]), at));
  expect(Buffer.compare(back, content), `round ${round}, seed ${seed}`).toBe(0);
  await peer.call(Op.Ping, []);
  const heard = Buffer.concat(peer.console.splice(0)).toString();
  expect(heard).toBe(said);
}

const lines: [string, (seed: number) => Fault, number][] = [
  ["a bit-error rate of 1e-5", (from) => bitErrors(from, 1e-5), scaled(8 * MIB, 512 * MIB)],
  ["a bit-error rate of 1e-4", (from) => bitErrors(from, 1e-4), scaled(512 * KIB, 32 * MIB)],
  ["30% of frames dropped, three in a row", (from) => bursts(from, 0.3, 3), scaled(512 * KIB, 8 * MIB)],
  [
    "bytes lost, doubled, flipped and inserted",
    (from) => byteErrors(from, { lose: 1e-4, double: 1e-4, flip: 1e-4, insert: 1e-4 }),
    scaled(256 * KIB, 4 * MIB),
  ],
  ["cuts in mid-frame", (from) => cuts(from, 100, 20), scaled(256 * KIB, 8 * MIB)],
];

describe("between the control plane and core, over a line with", () => {
  // Half of the bytes go there, and the same come back.
  test.each(lines)(
    "%s no byte is lost, doubled, reordered or wrong",
    async (_, fault, half) => {
      const peer = new Peer();
      try {
        await peer.link.open();
        await peer.call(Op.GuestCreate, creation(RAM, 0));
        await peer.call(Op.GuestStart, [0, GuestKind.Linux, 0, 64, 0]);
        [peer.line.there, peer.line.back] = [fault(seed), fault(seed + 1)];
        const round = Math.min(half, RAM / 2);
        for (let done = 0; done < half; done += round) await inAndOut(peer, done / round, round);
        expect(peer.link.statistics.framesResent).toBeGreaterThan(0);
      } finally {
        peer.link.close();
      }
    },
    scaled(60_000, 7_200_000),
  );
});
