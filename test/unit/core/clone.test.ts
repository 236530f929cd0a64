// Copies of a guest: the frames that they take, in whatever order they go, the reserve beside them, and what is refused before anything changes.
import { beforeEach, expect, test } from "vitest";
import {
  GuestCloneReply,
  GuestFramesReply,
  GuestLimit,
  GuestStatReply,
  HostImport,
  Op,
  RunState,
  Status,
} from "../../../protocol/messages.js";
import { creation } from "./codec.js";
import { FrameState, Reserve } from "./facts.js";
import { BLOCK } from "./physical.js";
import { Rig } from "./rig.js";

const ENTROPY = Buffer.from(Array.from({ length: GuestLimit.EntropyBytes }, (_, index) => index + 1));
let rig: Rig;

const start = (guest: number): void => void rig.ok(Op.GuestStart, [guest, 2, 0, 16, 0]);
const clone = (source: number, paused = 0, affinity = 0): number =>
  Number(rig.ok(Op.GuestClone, [source, affinity, paused], ENTROPY).words[GuestCloneReply.Guest]);
const remove = (guest: number): void => {
  rig.ok(Op.GuestKill, [guest]);
  rig.ok(Op.GuestDestroy, [guest]);
};

beforeEach(() => {
  rig = Rig.open({ memoryMiB: 32 });
  rig.ok(Op.GuestCreate, creation(4 << 20, 0));
  start(0);
});

test("a copy has what its source has, and a generation of its own", () => {
  const { words } = rig.ok(Op.GuestClone, [0, 0, 0], ENTROPY);
  expect(words.slice(0, 2)).toEqual([1n, 1n]);
  expect(words[GuestCloneReply.ProtectTicks]).toBe(1234n);
  expect(words).toHaveLength(GuestCloneReply.Words);
  const [source, copy] = [rig.host.guest(0), rig.host.guest(1)];
  expect(copy).toMatchObject({ ram: source.ram, state: RunState.Runnable, affinity: source.affinity, generation: 1n });
  expect(Buffer.from(copy.entropy)).toEqual(ENTROPY);
  expect(rig.ok(Op.GuestState, [1]).words[3]).toBe(4n << 20n);
  expect(rig.ok(Op.GuestStat, [1, 0]).words[GuestStatReply.Generation]).toBe(1n);
});

test("it is paused, and has CPUs of its own, when that is asked for", () => {
  const copy = clone(0, 1, 4);
  expect(rig.host.guest(copy)).toMatchObject({ state: RunState.Paused, affinity: 4 });
  rig.settle();
  expect(rig.news).toContainEqual(expect.objectContaining({ guest: copy, words: [BigInt(RunState.Paused)] }));
});

test.each([
  ["the source first", [0, 1, 2]],
  ["the source last", [2, 1, 0]],
  ["the source in between", [1, 0, 2]],
])("all frames come back: %s", (_order, order) => {
  rig.settle();
  const before = rig.host.freeFrames;
  const blocks = rig.host.guest(0).ram.length * 512;
  expect(clone(0)).toBe(1);
  expect(clone(1)).toBe(2);
  rig.settle();
  expect(rig.host.reserve).toHaveLength(Reserve.Most);
  expect(rig.ok(Op.HostStat).words[2]).toBe(BigInt(rig.host.freeFrames * 4096));
  for (const guest of order) remove(guest);
  rig.settle();
  expect(rig.host.reserve).toEqual([]);
  expect(rig.host.physical.count(FrameState.Owned)).toBe(0);
  expect(rig.host.freeFrames).toBeGreaterThanOrEqual(before + blocks);
  // And all of it is one guest's again.
  rig.ok(Op.GuestCreate, creation(26 << 20, 0));
});

test("a block of a source that lives is nobody else's, though all of it is free", () => {
  clone(0);
  const { host } = rig;
  const [first = 0] = host.guest(0).ram;
  // As if both had copied all of it.
  host.physical.release(first * 512, 512);
  for (const guest of [0, 1]) host.guest(guest).ram.shift();
  remove(1);
  rig.settle();
  const { words } = rig.ok(Op.GuestCreate, creation(20 << 20, 0));
  expect(words.length).toBeGreaterThan(0);
  expect(host.guest(1).ram).not.toContain(first);
});

test("without frames it is refused, and nothing is changed", () => {
  rig.ok(Op.GuestCreate, creation(24 << 20, 0));
  let size = 4 << 20;
  for (; size >= 2 << 20; size -= 2 << 20) if (rig.call(Op.GuestCreate, creation(size, 0)).status === Status.Ok) break;
  const { host } = rig;
  // What is left goes, but for a few.
  const clean = [...host.physical.state.keys()].filter((frame) => host.physical.state[frame] === FrameState.Clean);
  for (const frame of clean.slice(5)) host.physical.claim(frame, 1, 99);
  const before = [...host.physical.state];
  const { status, words } = rig.call(Op.GuestClone, [0, 0, 0], ENTROPY);
  expect(status).toBe(Status.NoMemory);
  expect(words).toEqual([(12n + 256n) * 4096n, 5n * 4096n]);
  expect([...host.physical.state]).toEqual(before);
});

test("what the host refuses is given back", () => {
  const free = rig.host.freeFrames;
  for (const name of ["guestNew", "guestPool", "guestClone"]) {
    rig.host.refuse.set(name, 0);
    expect(rig.call(Op.GuestClone, [0, 0, 0], ENTROPY).status).toBe(Status.Refused);
    rig.host.refuse.delete(name);
    rig.settle();
    expect([name, rig.host.freeFrames]).toEqual([name, free]);
  }
  expect(rig.call(Op.GuestClone, [0, 0, 0], ENTROPY)).toMatchObject({ status: Status.Ok });
  expect(HostImport.GuestClone).toBe(17);
});

test("who was not started, or has ended, has no copies; nor has one that a request does not describe", () => {
  rig.ok(Op.GuestCreate, creation(2 << 20, 0));
  expect(rig.call(Op.GuestClone, [1, 0, 0], ENTROPY)).toMatchObject({ status: Status.BadState, words: [BigInt(RunState.Created)] });
  rig.ok(Op.GuestKill, [0]);
  expect(rig.call(Op.GuestClone, [0, 0, 0], ENTROPY)).toMatchObject({ status: Status.BadState, words: [BigInt(RunState.Ended)] });
  expect(rig.call(Op.GuestClone, [7, 0, 0], ENTROPY).status).toBe(Status.NoSuchGuest);
  expect(rig.call(Op.GuestClone, [0, 0, 0]).status).toBe(Status.BadRequest);
  expect(rig.call(Op.GuestClone, [0, 8, 0], ENTROPY).status).toBe(Status.NoSuchCpu);
});

test("the reserve is filled anew when it runs low, from what was scrubbed for it; when there is no more, nobody ends before one must wait", () => {
  clone(0);
  rig.settle();
  const { host } = rig;
  const take = (count: number): void => {
    for (const frame of host.reserve.splice(0, count)) host.physical.state[frame] = FrameState.Owned;
  };
  take(Reserve.Most - Reserve.Low - 1);
  rig.settle();
  expect(host.reserve).toHaveLength(Reserve.Low + 1);
  take(1);
  rig.settle();
  expect(host.reserve).toHaveLength(Reserve.Most);
  for (let frame = 0; frame < host.physical.state.length; frame++) {
    if (host.physical.state[frame] === FrameState.Clean) host.physical.claim(frame, 1, 99);
  }
  take(Reserve.Most - Reserve.Floor - 1);
  rig.settle();
  expect(host.reserve).toHaveLength(Reserve.Floor + 1);
  expect([host.guest(0).state, host.guest(1).state]).toEqual([RunState.Runnable, RunState.Runnable]);
});

test("where its RAM lies, in as few runs as there are", () => {
  const [first = 0] = rig.host.guest(0).ram;
  const { words } = rig.ok(Op.GuestFrames, [0, 0x3000]);
  expect(words).toEqual([4n << 20n, BigInt(first * BLOCK + 0x3000), BigInt((4 << 20) - 0x3000)]);
  expect(words[GuestFramesReply.Next]).toBe(4n << 20n);
  expect(rig.call(Op.GuestFrames, [0, 4 << 20]).status).toBe(Status.BadAddress);
  expect(rig.call(Op.GuestFrames, [0, 1]).status).toBe(Status.BadAddress);
});
