// No frame is left for what copies write: who ends for the others, what is left of it, and what nobody may take before.
import { beforeEach, expect, test } from "vitest";
import { EndReason, Event, GuestCloneReply, GuestLimit, Op, RunState, Status } from "../../../protocol/messages.js";
import { creation } from "./codec.js";
import { FrameState, Reserve } from "./facts.js";
import { BLOCK_FRAMES } from "./physical.js";
import { Rig } from "./rig.js";

const MIB = 1 << 20;
const NOBODY = 99;
let rig: Rig;

const clone = (source: number): number =>
  Number(rig.ok(Op.GuestClone, [source, 0, 0], Buffer.alloc(GuestLimit.EntropyBytes)).words[GuestCloneReply.Guest]);
const states = (): string[] => [...rig.host.guests.values()].map(({ state }) => RunState[state]);

/** Frames that nobody has, but for `left` of them, are somebody else's. */
function crowd(left: number): void {
  const { physical } = rig.host;
  const clean = [...physical.state.keys()].filter((frame) => physical.state[frame] === FrameState.Clean);
  for (const frame of clean.slice(left)) physical.claim(frame, 1, NOBODY);
}

/** The guest writes until all these pages are its own, or it has ended: how many are. */
function write(slot: number, pages: number): number {
  let written = 0;
  // A guest that waits comes back as often as core lets it.
  for (let tries = 0; written < pages && rig.host.guest(slot).state === RunState.Runnable; tries++) {
    if (tries > 10) throw new Error(`guest ${slot} waits for ever`);
    written += rig.host.write(slot, pages - written);
    rig.settle();
  }
  return written;
}

beforeEach(() => {
  rig = Rig.open({ memoryMiB: 32 });
  rig.ok(Op.GuestCreate, creation(4 * MIB, 0));
  rig.ok(Op.GuestStart, [0, 2, 0, 16, 0]);
});

test("who had most copied ends, and gives all of it; the idle ones and the source go on", () => {
  for (let copy = 1; copy <= 3; copy++) expect(clone(0)).toBe(copy);
  rig.settle();
  write(2, 20);
  crowd(300);
  const { host } = rig;
  // What is in the reserve, and what it is filled with.
  expect(write(1, 2000)).toBe(Reserve.Most - 20 + 300 - Reserve.Floor);
  expect(states()).toEqual(["Runnable", "Ended", "Runnable", "Runnable"]);
  expect(host.guest(1)).toMatchObject({ reason: EndReason.OutOfMemory, value: 0n, ram: [], copied: [] });
  expect(host.reserve).toHaveLength(Reserve.Most);
  expect(rig.news.filter(({ event }) => event === Event.GuestEnded)).toEqual([expect.objectContaining({ guest: 1 })]);
  // What it gave is there for the others.
  expect(write(3, 200)).toBe(200);
  expect(write(0, 200)).toBe(200);
  expect(states()).toEqual(["Runnable", "Ended", "Runnable", "Runnable"]);
});

test("what is left of it can be looked at, and its RAM not; it goes as any guest does", () => {
  clone(0);
  rig.settle();
  rig.ok(Op.GuestDigest, [1, 0, 4 * MIB]);
  crowd(0);
  write(1, 1000);
  expect(rig.ok(Op.GuestState, [1]).words.slice(0, 4)).toEqual([RunState.Ended, EndReason.OutOfMemory, 0, 4 * MIB].map(BigInt));
  rig.ok(Op.GuestRegisters, [1]);
  rig.ok(Op.GuestPartRead, [1, 0, 0, 16]);
  const gone = { status: Status.MemoryGone, words: [BigInt(4 * MIB)] };
  expect(rig.call(Op.GuestRead, [1, 0, 16])).toMatchObject(gone);
  expect(rig.call(Op.GuestWrite, [1, 0], Buffer.from("x"))).toMatchObject(gone);
  expect(rig.call(Op.GuestDigest, [1, 0, 4096])).toMatchObject(gone);
  expect(rig.call(Op.GuestFrames, [1, 0])).toMatchObject(gone);
  // Its source's is there.
  rig.ok(Op.GuestRead, [0, 0, 16]);
  for (const guest of [1, 0]) {
    if (guest === 0) rig.ok(Op.GuestKill, [guest]);
    rig.ok(Op.GuestDestroy, [guest]);
  }
  const { physical } = rig.host;
  for (let frame = 0; frame < physical.state.length; frame++) if (physical.owner[frame] === NOBODY) physical.release(frame, 1);
  rig.settle();
  expect(physical.count(FrameState.Owned)).toBe(0);
});

test("a digest that was begun is told so", () => {
  clone(0);
  rig.settle();
  crowd(0);
  const id = rig.post(Op.GuestDigest, [1, 0, 4 * MIB]);
  rig.poll();
  expect(rig.replies.get(id)).toBeUndefined();
  rig.host.write(1, Reserve.Most);
  rig.settle();
  expect(rig.host.guest(1).state).toBe(RunState.Ended);
  expect(rig.replies.get(id)).toMatchObject({ status: Status.MemoryGone });
});

test("who has ended gives before anybody ends", () => {
  clone(0);
  clone(0);
  rig.settle();
  write(2, 100);
  rig.ok(Op.GuestKill, [2]);
  crowd(0);
  // The reserve's, and then what the other one had.
  expect(write(1, Reserve.Most - 100 - Reserve.Floor + 50)).toBe(Reserve.Most - 100 - Reserve.Floor + 50);
  expect(states()).toEqual(["Runnable", "Runnable", "Ended"]);
  expect(rig.host.guest(2)).toMatchObject({ reason: EndReason.Killed, copied: [] });
  expect(rig.call(Op.GuestRead, [2, 0, 16]).status).toBe(Status.MemoryGone);
});

test("what a source had copied before its last copy counts no more: it shares that, too", () => {
  const first = clone(0);
  rig.settle();
  write(0, 400);
  expect(clone(0)).toBe(2);
  rig.ok(Op.GuestKill, [first]);
  rig.ok(Op.GuestDestroy, [first]);
  rig.settle();
  crowd(0);
  write(2, 1000);
  expect(states()).toEqual(["Runnable", "Ended"]);
});

test("a new guest leaves 1 MiB free for each that shares", () => {
  for (let copy = 1; copy <= 3; copy++) clone(0);
  rig.settle();
  const kept = 4 * 256;
  const free = rig.host.freeFrames;
  const blocks = Math.floor((free - kept) / BLOCK_FRAMES);
  const refused = rig.call(Op.GuestCreate, creation((blocks + 1) * 2 * MIB, 0));
  expect(refused.status).toBe(Status.NoMemory);
  expect(refused.words[0]).toBe(BigInt((blocks + 1) * 2 * MIB));
  expect(refused.words[1]).toBeLessThanOrEqual(BigInt((free - kept) * 4096));
  expect(rig.host.freeFrames).toBe(free);
  const size = blocks - 1;
  rig.ok(Op.GuestCreate, creation(size * 2 * MIB, 0));
  expect(rig.host.freeFrames).toBeGreaterThanOrEqual(kept);
});
