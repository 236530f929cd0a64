// Work that takes many polls: store and digest. It goes on in pieces, leaves time to the rest, and ends right.
import { beforeEach, describe, expect, test } from "vitest";
import xxhash from "xxhash-wasm";
import { Channel, FrameType } from "../../../protocol/link.js";
import { GuestLimit, HostStatReply, Op, Status } from "../../../protocol/messages.js";
import { creation, message } from "./codec.js";
import { BLOCK } from "./physical.js";
import { Rig } from "./rig.js";

const MIB = 1 << 20;
const xxh = await xxhash();
const h64Raw = (bytes: Uint8Array): bigint => xxh.h64Raw(bytes);
let rig: Rig;

const bytesOf = (length: number, seed = 1): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => (index * 31 + (index >> 8) * 7 + seed) & 255);

beforeEach(() => {
  rig = Rig.open({ storeSectors: 2048 });
  rig.ok(Op.GuestCreate, creation(4 * MIB, 0));
});

describe("digest", () => {
  test.each([0, 1, 3, 4, 7, 8, 11, 12, 31, 32, 33, 63, 64, 16384, 16385, 65536, 65567, 200_001])("of %i bytes is XXH64", (length) => {
    const bytes = bytesOf(length);
    rig.host.ramWrite(0, BLOCK - 1000, bytes);
    expect(rig.ok(Op.GuestDigest, [0, BLOCK - 1000, length]).words).toEqual([h64Raw(bytes)]);
  });

  test("of much RAM is worked off in pieces, and a write to it waits", () => {
    const digest = rig.post(Op.GuestDigest, [0, 0, 4 * MIB]);
    const write = rig.post(Op.GuestWrite, [0, 0], Buffer.from("late"));
    let polls = 0;
    for (; !rig.replies.has(digest); polls++) {
      expect(rig.replies.has(write)).toBe(false);
      rig.poll(1);
    }
    expect(polls).toBe(16);
    expect(rig.replies.get(digest)?.words).toEqual([h64Raw(new Uint8Array(4 * MIB))]);
    rig.poll();
    expect(rig.replies.has(write)).toBe(true);
  });
});

describe("store", () => {
  test.each([0, 1, 511, 512, 513, 65536, 65537, 200_000, MIB])("%i bytes are loaded, and none beside them", (length) => {
    rig.host.store.set(bytesOf(MIB));
    const at = 2 * MIB - 100_001;
    const around = bytesOf(length + 1200, 99);
    rig.host.ramWrite(0, at - 600, around);
    rig.ok(Op.GuestLoad, [0, at, 3, Math.min(length, MIB - 3 * 512)]);
    const wanted = Uint8Array.from(around);
    wanted.set(bytesOf(MIB).subarray(3 * 512, 3 * 512 + length), 600);
    expect(Buffer.from(rig.host.ramRead(0, at - 600, wanted.length)).equals(wanted)).toBe(true);
  });

  test.each([0, 1, 511, 512, 513, 65536, 200_001])("%i bytes are saved, and the last sector ends with zeros", (length) => {
    rig.host.store.fill(0xee);
    rig.host.ramWrite(0, 4000, bytesOf(length + 600));
    rig.ok(Op.GuestSave, [0, 4000, 5, length]);
    const sectors = Math.ceil(length / 512) * 512;
    const wanted = Buffer.alloc(sectors + 1024, 0xee);
    wanted.fill(0, 512, 512 + sectors).set(bytesOf(length), 512);
    expect(Buffer.from(rig.host.store.subarray(4 * 512, 4 * 512 + wanted.length)).equals(wanted)).toBe(true);
    expect(Buffer.from(rig.host.ramRead(0, 4000, length + 600)).equals(bytesOf(length + 600))).toBe(true);
  });

  test("a part of a sector at the very end of RAM", () => {
    rig.host.store.set(bytesOf(1024));
    const before = bytesOf(600, 50);
    rig.host.ramWrite(0, 4 * MIB - 600, before);
    rig.ok(Op.GuestLoad, [0, 4 * MIB - 10, 1, 10]);
    const wanted = Buffer.from(before);
    wanted.set(bytesOf(1024).subarray(512, 522), 590);
    expect(Buffer.from(rig.host.ramRead(0, 4 * MIB - 600, 600)).equals(wanted)).toBe(true);
    rig.ok(Op.GuestSave, [0, 4 * MIB - 10, 0, 10]);
    expect(Buffer.from(rig.host.store.subarray(0, 512)).equals(Buffer.concat([wanted.subarray(590), Buffer.alloc(502)]))).toBe(true);
    expect(Buffer.from(rig.host.ramRead(0, 4 * MIB - 600, 600)).equals(wanted)).toBe(true);
  });

  test("sectors must be there", () => {
    const bad = (sector: bigint, bytes: bigint): void => {
      for (const op of [Op.GuestLoad, Op.GuestSave])
        expect(rig.call(op, [0, 0, sector, bytes])).toMatchObject({ status: Status.BadRequest });
    };
    bad(2048n, 1n);
    bad(2047n, 513n);
    bad((1n << 64n) - 1n, 512n);
    bad(0n, BigInt(GuestLimit.MaxSectors) * 512n + 1n);
    bad(0n, (1n << 64n) - 1n);
    rig.ok(Op.GuestLoad, [0, 0, 2048, 0]);
    rig.ok(Op.GuestLoad, [0, 0, 2047, 512]);
  });

  test("without a store disk there is none", () => {
    const bare = Rig.open();
    bare.ok(Op.GuestCreate, creation(2 * MIB, 0));
    expect(bare.call(Op.GuestLoad, [0, 0, 0, 512])).toMatchObject({ status: Status.NoStore });
    expect(bare.call(Op.GuestSave, [0, 0, 0, 512])).toMatchObject({ status: Status.NoStore });
  });

  test.each([Op.GuestLoad, Op.GuestSave])("operation %i says what the disk said", (op) => {
    rig.host.storeStatus = 0x0451;
    for (const bytes of [100, 512, 70_000])
      expect(rig.call(op, [0, 0, 0, bytes])).toMatchObject({ status: Status.StoreFailed, words: [0x451n] });
  });

  test.each(["guestRead", "guestWrite"])("a bounce survives a refused %s", (name) => {
    for (const after of [0, 1, 2]) {
      rig.host.refuse.set(name, after);
      for (const op of [Op.GuestLoad, Op.GuestSave]) rig.call(op, [0, 0, 0, 100]);
    }
    rig.host.refuse.clear();
    rig.ok(Op.GuestLoad, [0, 0, 0, 100]);
  });
});

describe("while it goes on", () => {
  test("the rest gets as much time as the work", () => {
    rig.host.cost = 5_000_000n;
    rig.post(Op.GuestLoad, [0, 0, 0, MIB]);
    rig.poll();
    const steps = (): number => rig.host.calls.get("storeRead") ?? 0;
    expect(steps()).toBe(1);
    rig.host.clock = rig.host.timer;
    rig.poll(0);
    expect(steps()).toBe(2);
    // 5 ms of work are due 5 ms later, if the CPU is not idle before.
    expect(rig.host.timer - rig.host.clock).toBeGreaterThan(4_000_000n);
    rig.poll(0);
    expect(steps()).toBe(2);
    expect(rig.poll(1)).toBe(1);
    expect(steps()).toBe(3);
  });

  test("consoles go on", () => {
    rig.post(Op.GuestLoad, [0, 0, 0, MIB]);
    rig.poll();
    rig.host.print(0, "still here");
    rig.poll();
    expect(rig.said(0)).toBe("still here");
  });

  test("a new session ends it without an answer", () => {
    rig.post(Op.GuestDigest, [0, 0, 4 * MIB]);
    rig.post(Op.GuestState, [0]);
    rig.poll();
    const replies = rig.replies.size;
    rig.synchronize(7);
    rig.settle();
    expect(rig.replies.size).toBe(replies);
    rig.ok(Op.Ping);
  });
});

describe("the bulk channel", () => {
  const bulk = (guest: number, address: number | bigint, bytes: Uint8Array): void =>
    rig.send(Channel.Bulk, message(guest, 0, [address], bytes));
  const bad = (): bigint | undefined => rig.ok(Op.HostStat).words[HostStatReply.FramesBad];

  test("writes into guest RAM, and answers nothing but that it came", () => {
    rig.frames = [];
    for (let at = 0; at < 20_000; at += 632) bulk(0, BLOCK - 10_000 + at, bytesOf(20_000).subarray(at, at + 632));
    rig.settle();
    expect(Buffer.from(rig.host.ramRead(0, BLOCK - 10_000, 20_000)).equals(bytesOf(20_000))).toBe(true);
    expect(new Set(rig.frames.map(({ type }) => type))).toEqual(new Set([FrameType.Ack]));
    expect(rig.acked).toBe(rig.seq);
  });

  test("waits for no job, and no request", () => {
    const digest = rig.post(Op.GuestDigest, [0, 0, 4 * MIB]);
    bulk(0, 3 * MIB, Buffer.from("at once"));
    rig.poll(1);
    expect(rig.replies.has(digest)).toBe(false);
    expect(Buffer.from(rig.host.ramRead(0, 3 * MIB, 7)).toString()).toBe("at once");
  });

  test.each<[string, number, number | bigint, number]>([
    ["a guest that is none", 1, 0, 8],
    ["a slot that cannot be", 0xffff_ffff, 0, 8],
    ["an address outside", 0, 4 * MIB - 7, 8],
    ["an address that goes round", 0, 0xffff_ffff_ffff_fff8n, 16],
    ["no bytes", 0, 0, 0],
  ])("for %s is counted as bad, and harms nothing", (_, guest, address, length) => {
    const before = rig.host.ramRead(0, 0, 4 * MIB);
    bulk(guest, address, bytesOf(length, 200));
    expect(bad()).toBe(1n);
    expect(Buffer.compare(rig.host.ramRead(0, 0, 4 * MIB), before)).toBe(0);
  });

  test("of less than a header is counted as bad", () => {
    rig.send(Channel.Bulk, Buffer.alloc(12));
    expect(bad()).toBe(1n);
  });
});
