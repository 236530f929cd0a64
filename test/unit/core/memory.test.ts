// Frames: guests come and go and nothing is lost, RAM is in one piece where it can be, what a dead guest left is never seen again.
import { describe, expect, test } from "vitest";
import { EndReason, GuestCreateReply, GuestLimit, HostImport, HostStatReply, Op, Status } from "../../../protocol/messages.js";
import { creation } from "./codec.js";
import { FrameState } from "./facts.js";
import { NEVER, POOL_FRAMES } from "./host.js";
import { BLOCK, BLOCK_FRAMES } from "./physical.js";
import { Rig, TURN } from "./rig.js";

const MIB = 1 << 20;

interface Made {
  guest: number;
  runs: { guestPhysical: number; hostPhysical: number; bytes: number }[];
}

function create(rig: Rig, mib: number): Made {
  const { words } = rig.ok(Op.GuestCreate, creation(mib * MIB, 0));
  const numbers = words.map(Number);
  const runs = [];
  for (let at = GuestCreateReply.Words; at < numbers.length; at += 3) {
    const [guestPhysical, hostPhysical, bytes] = numbers.slice(at) as [number, number, number];
    runs.push({ guestPhysical, hostPhysical, bytes });
  }
  expect(runs).toHaveLength(numbers[GuestCreateReply.Runs]);
  return { guest: numbers[GuestCreateReply.Guest], runs };
}

const destroy = (rig: Rig, guest: number): void => void rig.ok(Op.GuestDestroy, [guest]);

/** The reply's runs are where the guest's RAM is. */
function check(rig: Rig, { guest, runs }: Made): void {
  const blocks = runs.flatMap(({ hostPhysical, bytes }) =>
    Array.from({ length: bytes / BLOCK }, (_, index) => hostPhysical / BLOCK + index),
  );
  expect(blocks).toEqual(rig.host.guest(guest).ram);
  let address = 0;
  for (const run of runs) {
    expect(run.guestPhysical).toBe(address);
    address += run.bytes;
  }
}

describe("placement", () => {
  test("RAM is one run", () => {
    const rig = Rig.open();
    const made = [create(rig, 8), create(rig, 2), create(rig, 16)];
    for (const each of made) check(rig, each);
    expect(made.map(({ runs }) => runs.length)).toEqual([1, 1, 1]);
    expect(made.map(({ guest }) => guest)).toEqual([0, 1, 2]);
  });

  test("single frames come from blocks that are not whole, then from the highest", () => {
    const rig = Rig.open({ hostFrames: BLOCK_FRAMES - POOL_FRAMES - 2 });
    create(rig, 2);
    expect(rig.host.guest(0).ram).toEqual([1]);
    expect([rig.host.guest(0).frame, ...rig.host.guest(0).pool].every((frame) => frame < BLOCK_FRAMES)).toBe(true);
    create(rig, 2);
    expect(rig.host.guest(1).ram).toEqual([2]);
    expect(rig.host.guest(1).pool.every((frame) => frame >= 31 * BLOCK_FRAMES)).toBe(true);
  });

  test("a hole splits RAM into runs, the longest first", () => {
    const rig = Rig.open({ memoryMiB: 32, holes: [[5 * BLOCK_FRAMES, 6 * BLOCK_FRAMES]] });
    const made = create(rig, 26);
    check(rig, made);
    expect(made.runs.map(({ bytes }) => bytes / BLOCK)).toEqual([10, 3]);
    expect(rig.call(Op.GuestCreate, creation(4 * MIB, 0))).toMatchObject({ status: Status.NoMemory, words: [4n << 20n, 2n << 20n] });
  });

  test("more runs than a reply can name are refused, and nothing is kept", () => {
    // Every second block is a hole: 31 runs of one block.
    const holes = Array.from({ length: 32 }, (_, index): [number, number] => [
      (2 * index + 1) * BLOCK_FRAMES,
      (2 * index + 2) * BLOCK_FRAMES,
    ]);
    const rig = Rig.open({ memoryMiB: 128, holes });
    const free = rig.host.freeFrames;
    expect(rig.call(Op.GuestCreate, creation(52 * MIB, 0)).status).toBe(Status.NoMemory);
    expect(rig.host.freeFrames).toBe(free);
    const made = create(rig, 50);
    check(rig, made);
    expect(made.runs).toHaveLength(25);
  });

  test("memory of more than a GiB is made in pieces, with a further pool frame for each GiB", () => {
    const rig = Rig.open({ memoryMiB: 1100 });
    rig.settle();
    const made = create(rig, 1026);
    check(rig, made);
    expect(rig.host.guest(made.guest).pool).toHaveLength(POOL_FRAMES + 2);
  });

  test("a common guest takes one poll and few calls", () => {
    const rig = Rig.open({ memoryMiB: 600 });
    rig.host.calls.clear();
    const id = rig.post(Op.GuestCreate, creation(256 * MIB, 0));
    rig.poll();
    expect(rig.replies.get(id)?.status).toBe(Status.Ok);
    const calls = [...rig.host.calls.values()].reduce((sum, count) => sum + count, 0);
    expect(calls).toBeLessThan(BLOCK_FRAMES);
  });
});

test("64 GiB are used, and what is above is left alone", () => {
  const rig = Rig.open({ memoryMiB: (64 << 10) + 64, scrubbed: false });
  check(rig, create(rig, 16));
  const { words } = rig.ok(Op.HostStat);
  expect(words[HostStatReply.TotalBytes]).toBe((64n << 30n) - 300n * 4096n);
});

describe("refusals", () => {
  test.each([
    0n,
    1n,
    BigInt(MIB),
    BigInt(3 * MIB),
    BigInt(BLOCK + 4096),
    BigInt(GuestLimit.MaxMiB * MIB + BLOCK),
    (1n << 64n) - BigInt(BLOCK),
  ])("%i is no memory size", (size) => {
    expect(Rig.open().call(Op.GuestCreate, creation(size, 0))).toMatchObject({ status: Status.BadMemorySize, words: [size] });
  });

  test("more memory than there is", () => {
    const rig = Rig.open();
    expect(rig.call(Op.GuestCreate, creation(64 * MIB, 0))).toMatchObject({ status: Status.NoMemory, words: [64n << 20n, 62n << 20n] });
    create(rig, 60);
    expect(rig.call(Op.GuestCreate, creation(4 * MIB, 0))).toMatchObject({ status: Status.NoMemory, words: [4n << 20n, 2n << 20n] });
  });

  test("RAM that leaves no frames for the rest", () => {
    const rig = Rig.open({ hostFrames: BLOCK_FRAMES - 8 });
    const free = rig.host.freeFrames;
    expect(rig.call(Op.GuestCreate, creation(62 * MIB, 0)).status).toBe(Status.NoMemory);
    expect(rig.host.freeFrames).toBe(free);
    check(rig, create(rig, 60));
  });

  test("all slots taken", () => {
    const rig = Rig.open({ memoryMiB: 1200 });
    for (let guest = 0; guest < GuestLimit.Slots; guest++) expect(create(rig, 2).guest).toBe(guest);
    expect(rig.call(Op.GuestCreate, creation(2 * MIB, 0))).toMatchObject({ status: Status.NoSlot, words: [512n] });
    destroy(rig, 300);
    expect(create(rig, 2).guest).toBe(300);
  });

  test.each([
    ["guestNew", 0, HostImport.GuestNew],
    ["guestPool", 0, HostImport.GuestPool],
    ["guestPool", 17, HostImport.GuestPool],
    ["guestRam", 0, HostImport.GuestRam],
    ["guestRam", 3, HostImport.GuestRam],
    ["guestInit", 0, HostImport.GuestInit],
  ])("%s, after %i that went well, gives all back", (name, after, number) => {
    const rig = Rig.open();
    const free = rig.host.freeFrames;
    rig.host.refuse.set(name, after);
    expect(rig.call(Op.GuestCreate, creation(16 * MIB, 0))).toMatchObject({ status: Status.Refused, words: [BigInt(number)] });
    rig.host.refuse.clear();
    expect(rig.host.guests.size).toBe(0);
    expect(rig.host.freeFrames).toBe(free);
    rig.settle();
    expect(rig.ok(Op.HostStat).words[HostStatReply.FreeBytes]).toBe(BigInt(free) * 4096n);
    check(rig, create(rig, 60));
  });

  test("a machine that traps as it is made gives all back", () => {
    const rig = Rig.open();
    const free = rig.host.freeFrames;
    rig.host.trap = EndReason.TrapStackExhausted;
    expect(rig.call(Op.GuestCreate, creation(16 * MIB, 0))).toMatchObject({
      status: Status.Ended,
      words: [BigInt(EndReason.TrapStackExhausted), 0x66n],
    });
    expect(rig.host.freeFrames).toBe(free);
    expect(rig.news).toEqual([]);
  });

  test("frames that the host will not scrub are left alone", () => {
    const rig = new Rig();
    rig.host.refuse.set("frameScrub", 40);
    rig.synchronize();
    rig.settle();
    rig.host.refuse.clear();
    expect(rig.call(Op.GuestCreate, creation(32 * MIB, 0)).status).toBe(Status.NoMemory);
    rig.ok(Op.Ping);
  });
});

describe("scrubbing", () => {
  test("idle time cleans all memory, 64 KiB a poll", () => {
    const rig = Rig.open({ scrubbed: false });
    const dirty = rig.host.physical.count(FrameState.Dirty);
    let before = rig.host.physical.scrubbed;
    let polls = 0;
    for (; rig.poll(1) === 1; polls++) {
      expect(rig.host.physical.scrubbed - before).toBeLessThanOrEqual(16);
      before = rig.host.physical.scrubbed;
    }
    expect(rig.host.physical.count(FrameState.Dirty)).toBe(0);
    expect(polls).toBeLessThan(dirty / 16 + 40);
    expect(rig.ok(Op.HostStat).words[HostStatReply.DirtyBytes]).toBe(0n);
  });

  test.each([
    [10_000n, 2_000_000n],
    [300_000n, 60_000_000n],
  ])("a busy CPU has little to do with it: after a piece of %i ns a pause of %i ns", (cost, pause) => {
    const rig = Rig.open({ scrubbed: false });
    const { host } = rig;
    host.scrubCost = cost;
    host.clock = host.timer;
    for (let piece = 0; piece < 5; piece++) {
      const before = host.physical.scrubbed;
      expect(host.timer).toBeLessThanOrEqual(host.clock);
      rig.poll(0);
      const end = host.clock - TURN;
      expect(host.physical.scrubbed - before).toBe(16);
      expect(host.timer).toBe(end + pause);
      rig.poll(0);
      host.clock = end + pause - 1n;
      rig.poll(0);
      expect(host.physical.scrubbed - before).toBe(16);
    }
  });

  test("a CPU that was idle within a second leaves it to the next idle time", () => {
    const rig = Rig.open({ scrubbed: false });
    rig.poll(1);
    const { host } = rig;
    const before = host.physical.scrubbed;
    const idle = host.clock - TURN;
    expect(host.timer - idle).toBe(1_000_000_000n);
    host.clock = idle + 999_999_999n;
    rig.poll(0);
    expect(host.physical.scrubbed).toBe(before);
    host.clock = idle + 1_000_000_000n;
    rig.poll(0);
    expect(host.physical.scrubbed).toBe(before + 16);
  });

  test("guests that never halt do not keep memory dirty for ever", () => {
    const rig = Rig.open({ scrubbed: false, memoryMiB: 8 });
    for (let turn = 0; turn < 1000 && rig.host.timer !== NEVER; turn++) {
      rig.poll(0);
      if (rig.host.timer !== NEVER && rig.host.timer > rig.host.clock) rig.host.clock = rig.host.timer;
    }
    expect(rig.host.physical.count(FrameState.Dirty)).toBe(0);
    expect(rig.host.timer).toBe(NEVER);
  });

  test("a guest that finds too little clean memory waits for it, and the line goes on", () => {
    const rig = Rig.open({ scrubbed: false });
    const id = rig.post(Op.GuestCreate, creation(32 * MIB, 0));
    let polls = 0;
    for (; !rig.replies.has(id) && polls < 1000; polls++) {
      const before = rig.host.physical.scrubbed;
      rig.poll(0);
      // No guest has the CPU for long, and none is kept from it.
      if (!rig.replies.has(id)) expect(rig.host.timer).toBeLessThanOrEqual(rig.host.clock);
      expect(rig.host.physical.scrubbed - before).toBeLessThanOrEqual(64);
    }
    expect(rig.replies.get(id)?.status).toBe(Status.Ok);
    expect(polls).toBeGreaterThan(100);
  });

  test("all memory but what is not there can be had, dirty or not", () => {
    const rig = Rig.open({ scrubbed: false });
    check(rig, create(rig, 62));
    destroy(rig, 0);
    check(rig, create(rig, 62));
    expect(rig.call(Op.GuestCreate, creation(2 * MIB, 0)).status).toBe(Status.NoMemory);
  });

  test("what a guest left is gone before another one gets its frames", () => {
    const rig = Rig.open();
    const { guest } = create(rig, 60);
    const secret = Buffer.from("a dead guest's secret");
    const used = [...rig.host.guest(guest).ram].map((block) => block * BLOCK_FRAMES);
    for (let at = 0; at < 60 * MIB; at += BLOCK) rig.ok(Op.GuestWrite, [guest, at + 777], secret);
    destroy(rig, guest);
    create(rig, 60);
    for (const frame of used) expect(rig.host.physical.peek(frame)).toBeUndefined();
  });

  test("a new session in the middle of a creation gives all back", () => {
    const rig = Rig.open({ scrubbed: false, memoryMiB: 700 });
    const free = rig.host.freeFrames;
    rig.post(Op.GuestCreate, creation(600 * MIB, 0));
    rig.poll();
    rig.synchronize(1);
    expect(rig.host.freeFrames).toBe(free);
    rig.settle();
    // Clean by now: this time it is cut off between two pieces of RAM.
    rig.post(Op.GuestCreate, creation(600 * MIB, 0));
    rig.poll();
    expect(rig.host.guests.size).toBe(1);
    rig.synchronize(2);
    expect(rig.host.guests.size).toBe(0);
    expect(rig.host.freeFrames).toBe(free);
    rig.settle();
    expect(rig.replies.size).toBe(0);
    check(rig, create(rig, 600));
  });
});

test("1500 guests come and go, and no frame is missing", () => {
  const rig = Rig.open();
  const free = rig.host.freeFrames;
  const alive: number[] = [];
  let random = 12345;
  const next = (limit: number): number => {
    random = (Math.imul(random, 1103515245) + 12345) >>> 0;
    return (random >>> 8) % limit;
  };
  for (let round = 0; round < 1500; round++) {
    const reply = rig.call(Op.GuestCreate, creation((1 + next(6)) * BLOCK, 0));
    if (reply.status === Status.Ok) alive.push(Number(reply.words[0]));
    else expect(reply.status).toBe(Status.NoMemory);
    while (alive.length > 6 || (alive.length > 0 && (reply.status !== Status.Ok || next(3) === 0))) {
      destroy(rig, alive.splice(next(alive.length), 1)[0]);
      if (reply.status !== Status.Ok) break;
    }
  }
  for (const guest of alive) destroy(rig, guest);
  expect(rig.host.freeFrames).toBe(free);
  rig.settle();
  expect(rig.host.physical.count(FrameState.Clean)).toBe(free);
  expect(rig.ok(Op.HostStat).words[HostStatReply.FreeBytes]).toBe(BigInt(free) * 4096n);
  expect(rig.ok(Op.HostStat).words[HostStatReply.Guests]).toBe(0n);
  check(rig, create(rig, 62));
});
