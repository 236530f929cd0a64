// A hostile peer: random bytes, sound frames of random content, requests of random operations and arguments. Core must not trap, must not
// ask the host for what does not fit (the mock throws), must answer each request once, and must be as good as new for the next session.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Channel, FrameType, Link } from "../../../protocol/link.js";
import { GuestLimit, Op, RunState, Status } from "../../../protocol/messages.js";
import { data, encode, message } from "./codec.js";
import { FrameState } from "./facts.js";
import { POOL_FRAMES } from "./host.js";
import { BLOCK_FRAMES } from "./physical.js";
import { Rig } from "./rig.js";

const open = (): Rig => Rig.open({ memoryMiB: 32, storeSectors: 300, scrubbed: false });

/** Still alive, and every frame accounted for. */
function check(rig: Rig): void {
  rig.synchronize(0x5eed);
  rig.ok(Op.Ping);
  rig.settle();
  const owned = [...rig.host.guests.values()].reduce((sum, { ram }) => sum + ram.length * BLOCK_FRAMES + POOL_FRAMES + 2, 0);
  expect(rig.host.physical.count(FrameState.Owned)).toBe(owned);
  expect(rig.host.physical.count(FrameState.Dirty)).toBe(0);
}

test("random bytes", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.uint8Array({ maxLength: 900 }), fc.constant(Uint8Array.of(0))), { maxLength: 20 }), (chunks) => {
      const rig = open();
      for (const chunk of chunks) {
        rig.give([...chunk]);
        rig.poll();
      }
      // Whatever was begun is closed.
      rig.give([0]);
      check(rig);
    }),
    { numRuns: 60 },
  );
});

test("sound frames of any type, number and content", () => {
  const frame = fc.record({
    type: fc.oneof(fc.constantFrom(FrameType.Data, FrameType.Ack, FrameType.Sync, FrameType.SyncAck), fc.integer({ min: 0, max: 255 })),
    seq: fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 255 })),
    ack: fc.integer({ min: 0, max: 255 }),
    channel: fc.integer({ min: 0, max: 5 }),
    payload: fc.uint8Array({ maxLength: Link.MaxPayload }),
  });
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 60 }), (frames) => {
      const rig = open();
      for (const each of frames) {
        rig.give(encode(each));
        rig.core.poll(0);
        rig.host.fromCore = [];
      }
      check(rig);
    }),
    { numRuns: 60 },
  );
});

const MIB = 1n << 20n;
const word = fc.oneof(
  fc.constantFrom(
    0n,
    1n,
    2n,
    3n,
    511n,
    512n,
    513n,
    4096n,
    2n * MIB,
    4n * MIB,
    8n * MIB,
    8n * MIB - 1n,
    28n * MIB,
    1n << 32n,
    1n << 63n,
    (1n << 64n) - 1n,
  ),
  fc.bigInt({ min: 0n, max: 4n }),
  fc.bigInt({ min: 0n, max: 10n * MIB }),
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
);
const op = fc.oneof(
  fc.constantFrom(...Object.values(Op).filter((value): value is Op => typeof value === "number" && value !== Op.Shutdown)),
  fc.constant(Op.GuestCreate),
  fc.integer({ min: 32, max: 0xffff_ffff }),
);
const request = fc.record({
  op,
  words: fc.array(word, { maxLength: 5 }),
  bytes: fc.oneof({ weight: 3, arbitrary: fc.constant(new Uint8Array()) }, fc.uint8Array({ maxLength: 500 })),
  /** what happens meanwhile */
  meanwhile: fc.constantFrom("poll", "idle", "nothing", "print", "end", "input", "late"),
});

const OVERTAKING: number[] = [Op.Hello, Op.Ping, Op.HostStat, Op.CpuStat, Op.GuestState, Op.GuestRegisters, Op.GuestStat, Op.GuestRead];
OVERTAKING.push(Op.GuestPause, Op.GuestResume, Op.GuestKill, Op.GuestNmi);

test("requests of any operation and arguments are each answered once, those of a guest in order", () => {
  fc.assert(
    fc.property(fc.array(request, { minLength: 1, maxLength: 60 }), (requests) => {
      const rig = open();
      const ids: number[] = [];
      for (const { op, words, bytes, meanwhile } of requests) {
        ids.push(rig.post(op, words, bytes));
        const guest = [...rig.host.guests.values()].find(({ state }) => state === RunState.Runnable);
        if (meanwhile === "poll") rig.poll(0);
        if (meanwhile === "idle") rig.poll(1);
        if (meanwhile === "late") rig.host.clock += 300_000_000n;
        if (meanwhile === "print" && guest) rig.host.print(guest.slot, bytes, ids.length & 1);
        if (meanwhile === "end" && guest) rig.host.end(guest.slot, 1);
        if (meanwhile === "input") rig.send(Channel.Console, message(Number(words[0] ?? 0n) >>> 0, ids.length & 3, [], bytes));
        // An honest peer has no more open than the inbox holds.
        if (ids.length % 30 === 0) rig.settle();
      }
      rig.settle();
      const answered = [...rig.replies.keys()];
      expect(answered.toSorted((a, b) => a - b)).toEqual(ids);
      const inOrder = (which: (request: { op: number; words: bigint[] }) => boolean): void => {
        const chosen = new Set(ids.filter((_, index) => which(requests[index])));
        expect(answered.filter((id) => chosen.has(id))).toEqual([...chosen]);
      };
      inOrder(({ op }) => !OVERTAKING.includes(op));
      for (let guest = 0n; guest < 5n; guest++) inOrder(({ op, words }) => op > Op.GuestCreate && words[0] === guest);
      for (const { status } of rig.replies.values()) expect(Status[status]).toBeDefined();
      expect([...rig.replies.values()].map(({ status }) => status)).not.toContain(Status.Refused);
      check(rig);
    }),
    { numRuns: 150 },
  );
});

test("a host that refuses at random never gets core out of step", () => {
  const names = [
    "guestNew",
    "guestPool",
    "guestRam",
    "guestInit",
    "guestRun",
    "guestResume",
    "guestPause",
    "guestKill",
    "guestRead",
    "guestWrite",
    "storeRead",
    "storeWrite",
  ];
  fc.assert(
    fc.property(fc.array(fc.tuple(request, fc.constantFrom(...names, ""), fc.nat(40)), { maxLength: 40 }), (steps) => {
      const rig = Rig.open({ memoryMiB: 32, storeSectors: 300 });
      for (const [{ op, words, bytes }, name, after] of steps) {
        rig.host.refuse.clear();
        if (name) rig.host.refuse.set(name, after);
        rig.call(op, words, bytes);
      }
      rig.host.refuse.clear();
      check(rig);
    }),
    { numRuns: 60 },
  );
});

test("slots beyond the table are nobody's", () => {
  const rig = open();
  for (const guest of [GuestLimit.Slots, 0x7fff_ffff, 0xffff_ffff]) {
    rig.give(data(rig.seq++, rig.expected, Channel.Console, message(guest, 0, [], Buffer.from("x"))));
  }
  check(rig);
});
