// A guest's exits, recorded: frames for the ring and back, records by their numbers, in as many replies as they need.
import { beforeEach, expect, test } from "vitest";
import { GuestStatReply, HostImport, HostStatReply, Op, Status } from "../../../protocol/messages.js";
import { GuestTracedReply, TraceMode, TraceRecord, TraceRing } from "../../../protocol/trace.js";
import { creation } from "./codec.js";
import { Rig } from "./rig.js";

const NONE = 0xffff_ffff_ffff_ffffn;
let rig: Rig;

beforeEach(() => {
  rig = Rig.open();
  rig.ok(Op.GuestCreate, creation(2 << 20, 0));
});

const free = (): bigint => rig.ok(Op.HostStat).words[HostStatReply.FreeBytes] ?? 0n;

/** First, count, and the numbers of the records that came. */
function traced(from: number | bigint): [first: bigint, count: bigint, bytes: number[]] {
  const { words, bytes } = rig.ok(Op.GuestTraced, [0, from]);
  const records = bytes.subarray(8 * GuestTracedReply.Words);
  expect(records.length % TraceRecord.End).toBe(0);
  const numbers = Array.from({ length: records.length / TraceRecord.End }, (_, index) => records[index * TraceRecord.End] ?? -1);
  return [words[GuestTracedReply.First] ?? -1n, words[GuestTracedReply.Count] ?? -1n, numbers];
}

test("a ring takes frames in a row, once, and gives them back", () => {
  const before = free();
  rig.ok(Op.GuestTrace, [0, TraceMode.Ring]);
  expect(before - free()).toBe(BigInt(TraceRing.Frames * 4096));
  rig.ok(Op.GuestTrace, [0, TraceMode.All]);
  expect(before - free()).toBe(BigInt(TraceRing.Frames * 4096));
  expect(rig.ok(Op.GuestStat, [0, 0]).words[GuestStatReply.TraceModes]).toBe(BigInt(TraceMode.All));
  rig.ok(Op.GuestTrace, [0, TraceMode.Time]);
  expect(free()).toBe(before);
  rig.settle();
  expect(rig.ok(Op.HostStat).words[HostStatReply.FreeBytes]).toBe(before);
});

test("two rings and a guest made after them do not share a frame", () => {
  rig.ok(Op.GuestCreate, creation(2 << 20, 0));
  for (const guest of [0, 1]) rig.ok(Op.GuestTrace, [guest, TraceMode.Ring]);
  rig.ok(Op.GuestCreate, creation(2 << 20, 0));
  expect(rig.host.guests.size).toBe(3);
});

test("a guest that goes takes its ring with it", () => {
  const before = free();
  rig.ok(Op.GuestCreate, creation(2 << 20, 0));
  rig.ok(Op.GuestTrace, [1, TraceMode.Ring]);
  rig.ok(Op.GuestDestroy, [1]);
  expect(free()).toBe(before);
});

test("records come by their numbers, as many as fit, up to the newest", () => {
  rig.ok(Op.GuestTrace, [0, TraceMode.Ring]);
  expect(traced(0)).toEqual([0n, 0n, []]);
  rig.host.tracing.counts.set(0, 13);
  const [first, count, some] = traced(0);
  expect([first, count]).toEqual([0n, 13n]);
  expect(some).toEqual(some.map((_, index) => index));
  expect(some.length).toBeGreaterThan(8);
  expect(traced(some.length)).toEqual([BigInt(some.length), 13n, Array.from({ length: 13 - some.length }, (_, at) => some.length + at)]);
  expect(traced(12)).toEqual([12n, 13n, [12]]);
  expect(traced(13)).toEqual([13n, 13n, []]);
  expect(traced(NONE)).toEqual([13n, 13n, []]);
});

test("what was overwritten is passed over", () => {
  rig.ok(Op.GuestTrace, [0, TraceMode.Ring]);
  rig.host.tracing.counts.set(0, TraceRing.Records + 5);
  const [first, count, some] = traced(2);
  expect([first, count, some[0]]).toEqual([5n, BigInt(TraceRing.Records + 5), 5]);
});

test("wrong requests", () => {
  expect(rig.call(Op.GuestTrace, [0, TraceMode.All + 1])).toMatchObject({ status: Status.BadRequest, words: [4n] });
  expect(rig.call(Op.GuestTrace, [0, 1n << 32n]).status).toBe(Status.BadRequest);
  expect(rig.call(Op.GuestTrace, [7, TraceMode.Ring]).status).toBe(Status.NoSuchGuest);
  expect(rig.call(Op.GuestTraced, [0, 0])).toMatchObject({ status: Status.NotTraced });
  rig.ok(Op.GuestTrace, [0, TraceMode.Time]);
  expect(rig.call(Op.GuestTraced, [0, 0])).toMatchObject({ status: Status.NotTraced, words: [BigInt(TraceMode.Time)] });
  rig.host.refuse.set("guestTrace", 0);
  expect(rig.call(Op.GuestTrace, [0, TraceMode.Time])).toMatchObject({ status: Status.Refused, words: [BigInt(HostImport.GuestTrace)] });
});

test("without frames in a row there is no ring", () => {
  // One whole block, for the guest's RAM; elsewhere every 16th frame is missing.
  const holes = Array.from({ length: 4 * 32 }, (_, index): [number, number] => [16 * index, 16 * index + 1]).filter(
    ([at]) => at < 512 || at >= 1024,
  );
  rig = Rig.open({ memoryMiB: 8, holes });
  rig.ok(Op.GuestCreate, creation(2 << 20, 0));
  expect(rig.call(Op.GuestTrace, [0, TraceMode.Ring])).toMatchObject({ status: Status.NoMemory, words: [65536n, free()] });
});
