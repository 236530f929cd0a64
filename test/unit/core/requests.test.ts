// Every operation, and every way to be refused.
import { beforeEach, describe, expect, test } from "vitest";
import { GuestDebugArgs } from "../../../protocol/debug.js";
import { Channel, Link } from "../../../protocol/link.js";
import {
  CpuStatReply,
  CpuStatWord,
  EndReason,
  GuestCreateArgs,
  GuestDigestArgs,
  GuestKind,
  GuestLimit,
  GuestNestedArgs,
  GuestPartArgs,
  GuestPartReadArgs,
  GuestReadArgs,
  GuestRestoreArgs,
  GuestStartArgs,
  GuestStatArgs,
  GuestStateReply,
  GuestStatReply,
  GuestStoreArgs,
  GuestWriteArgs,
  HelloReply,
  HostImport,
  HostStatReply,
  Op,
  ResumeClock,
  RunState,
  Status,
} from "../../../protocol/messages.js";
import { ExitField, ExitReason, Register } from "../../../protocol/state.js";
import { creation, message } from "./codec.js";
import { HostFact } from "./facts.js";
import { POOL_FRAMES, ShutDown } from "./host.js";
import { BLOCK } from "./physical.js";
import { Rig } from "./rig.js";

const MIB = 1 << 20;
let rig: Rig;

beforeEach(() => {
  rig = Rig.open({ storeSectors: 64 });
});

const create = (mib = 4): number => Number(rig.ok(Op.GuestCreate, creation(mib * MIB, 1_700_000_000)).words[0]);
const started = (): number => {
  const guest = create();
  rig.ok(Op.GuestStart, [guest, GuestKind.Linux, 0, 64, 0]);
  return guest;
};

describe("the hypervisor as a whole", () => {
  test("hello says what it is", () => {
    const { words, bytes } = rig.ok(Op.Hello);
    expect(words.slice(0, HelloReply.Words)).toEqual([BigInt(Link.Version), 2n, 2n, 62n << 20n, 1_000_000n, 123_456n, 64n, 5n]);
    expect(bytes.subarray(8 * HelloReply.Words).toString()).toBe("hvkit test 1.2.3");
  });

  test("ping echoes within one poll", () => {
    const id = rig.post(Op.Ping, [], Buffer.from("are you there"));
    rig.poll();
    expect(rig.replies.get(id)?.bytes.toString()).toBe("are you there");
  });

  test("ping echoes all that fits a frame", () => {
    const bytes = Buffer.alloc(640, 7);
    expect(rig.ok(Op.Ping, [], bytes).bytes).toEqual(bytes);
  });

  test("hostStat counts memory, guests and frames", () => {
    create(8);
    const { words } = rig.ok(Op.HostStat);
    expect(words).toHaveLength(HostStatReply.Words);
    const total = BigInt(rig.host.physical.state.length - 300) * 4096n;
    expect(words[HostStatReply.TotalBytes]).toBe(total);
    expect(words[HostStatReply.FreeBytes]).toBe(total - BigInt(8 * MIB + (POOL_FRAMES + 2) * 4096));
    expect(words[HostStatReply.DirtyBytes]).toBe(0n);
    expect(words[HostStatReply.Guests]).toBe(1n);
    expect(words[HostStatReply.IdleNs]).toBe(77n);
    expect(words[HostStatReply.SerialOverruns]).toBe(3n);
    expect(words[HostStatReply.FramesBad]).toBe(0n);
    expect(words[HostStatReply.FramesIn]).toBeGreaterThan(2n);
  });

  test("shutdown ends every guest, answers, and stops once the answer has arrived", () => {
    const guest = started();
    rig.acks = false;
    const id = rig.post(Op.Shutdown);
    rig.poll();
    expect(rig.replies.get(id)?.status).toBe(Status.Ok);
    expect(rig.host.guest(guest).reason).toBe(EndReason.Killed);
    rig.poll();
    expect(rig.host.stopped).toBe(false);
    rig.acknowledge();
    expect(() => rig.poll()).toThrow(ShutDown);
  });

  test("shutdown does not wait for ever", () => {
    rig.acks = false;
    rig.post(Op.Shutdown);
    rig.poll();
    rig.expected = 0;
    rig.post(Op.Ping);
    rig.poll();
    rig.host.clock += 500_000_000n;
    expect(rig.host.timer).toBeLessThanOrEqual(rig.host.clock);
    expect(() => rig.poll()).toThrow(ShutDown);
    expect(rig.replies.size).toBe(1);
  });
});

describe("form", () => {
  test.each([0, 6, 15, 37, 0xffff_ffff])("operation %i is unknown", (op) => {
    expect(rig.call(op)).toMatchObject({ status: Status.UnknownOp, words: [BigInt(op)] });
  });

  const shapes: [Op, number, boolean][] = [
    [Op.Hello, 0, false],
    [Op.Shutdown, 0, false],
    [Op.HostStat, 0, false],
    [Op.CpuStat, 0, false],
    [Op.GuestCreate, GuestCreateArgs.Words, false],
    [Op.GuestEntry, 1, false],
    [Op.GuestPartRead, GuestPartReadArgs.Words, false],
    [Op.GuestPartWrite, GuestPartArgs.Words, true],
    [Op.GuestRegistersWrite, 1, true],
    [Op.GuestRestore, GuestRestoreArgs.Words, false],
    [Op.GuestWrite, GuestWriteArgs.Words, true],
    [Op.GuestRead, GuestReadArgs.Words, false],
    [Op.GuestLoad, GuestStoreArgs.Words, false],
    [Op.GuestSave, GuestStoreArgs.Words, false],
    [Op.GuestDigest, GuestDigestArgs.Words, false],
    [Op.GuestStart, GuestStartArgs.Words, false],
    [Op.GuestPause, 1, false],
    [Op.GuestResume, 3, false],
    [Op.GuestKill, 1, false],
    [Op.GuestDestroy, 1, false],
    [Op.GuestState, 1, false],
    [Op.GuestRegisters, 1, false],
    [Op.GuestStat, GuestStatArgs.Words, false],
    [Op.GuestNmi, 1, false],
    [Op.GuestNested, GuestNestedArgs.Words, false],
    [Op.GuestExit, 1, false],
    [Op.GuestDebug, GuestDebugArgs.Words, false],
  ];

  test.each(shapes)("operation %i takes %i words", (op, words, bytes) => {
    const given = (count: number): number[] => Array.from({ length: count }, () => 0);
    if (words > 0) expect(rig.call(op, given(words - 1)).status).toBe(Status.BadRequest);
    if (words > 0) expect(rig.call(op, given(words - 1), Buffer.alloc(7)).status).toBe(Status.BadRequest);
    if (!bytes)
      expect(rig.call(op, given(words), Buffer.alloc(1))).toMatchObject({ status: Status.BadRequest, words: [BigInt(8 * words + 1)] });
    expect(rig.host.stopped).toBe(false);
  });

  test.each(shapes.filter(([op]) => op > Op.GuestCreate))("operation %i needs a guest", (op, words) => {
    create();
    for (const guest of [1n, 511n, 512n, 1n << 32n, (1n << 64n) - 1n]) {
      const args = [guest, ...Array.from({ length: words - 1 }, () => 0n)];
      expect(rig.call(op, args)).toMatchObject({ status: Status.NoSuchGuest, words: [guest] });
    }
  });

  test("a request without an id is dropped and counted", () => {
    rig.send(Channel.Request, Buffer.alloc(7));
    rig.settle();
    expect(rig.replies.size).toBe(0);
    expect(rig.ok(Op.HostStat).words[HostStatReply.FramesBad]).toBe(1n);
  });

  test("console input without a header is dropped and counted", () => {
    rig.send(Channel.Console, Buffer.alloc(7));
    expect(rig.ok(Op.HostStat).words[HostStatReply.FramesBad]).toBe(1n);
  });

  test("a channel that is not the peer's is dropped and counted", () => {
    rig.send(Channel.Reply, message(1, 0));
    rig.send(77 as Channel, message(1, 0));
    expect(rig.ok(Op.HostStat).words[HostStatReply.FramesBad]).toBe(2n);
  });
});

describe("CPUs", () => {
  test("the figures of each that works", () => {
    const { words } = rig.ok(Op.CpuStat);
    expect(words).toHaveLength(CpuStatReply.Words + 2 * CpuStatWord.Words);
    expect(words[CpuStatReply.Cpus]).toBe(0b101n);
    expect(words.slice(CpuStatReply.Words)).toEqual([0n, 1n, 2n, 3n, 4n, 200n, 201n, 202n, 203n, 204n]);
  });

  test("a guest gets those that it is to have, if they work", () => {
    const guest = Number(rig.ok(Op.GuestCreate, [4 * MIB, 0, 0, 0, 0b100]).words[0]);
    expect(rig.host.guest(guest).affinity).toBe(0b100);
    expect(rig.ok(Op.GuestState, [guest]).words[GuestStateReply.Affinity]).toBe(0b100n);
    for (const affinity of [0b10n, 0b111n, 1n << 32n]) {
      expect(rig.call(Op.GuestCreate, [4 * MIB, 0, 0, 0, affinity])).toMatchObject({ status: Status.NoSuchCpu, words: [affinity, 0b101n] });
    }
    expect(rig.host.guests.size).toBe(1);
  });
});

describe("a guest's life", () => {
  test("start, pause, resume, kill, destroy", () => {
    const guest = create();
    const state = (): bigint | undefined => rig.ok(Op.GuestState, [guest]).words[0];
    expect(state()).toBe(BigInt(RunState.Created));
    rig.ok(Op.GuestStart, [guest, GuestKind.Multiboot, 0x1000, 256, 0]);
    expect(rig.host.guest(guest).boots).toEqual([{ kind: GuestKind.Multiboot, block: 0x1000n, bytes: 256 }]);
    expect(state()).toBe(BigInt(RunState.Runnable));
    rig.ok(Op.GuestPause, [guest]);
    expect(state()).toBe(BigInt(RunState.Paused));
    rig.ok(Op.GuestResume, [guest, ResumeClock.Frozen, 0n]);
    expect(state()).toBe(BigInt(RunState.Runnable));
    rig.ok(Op.GuestPause, [guest]);
    expect(rig.call(Op.GuestResume, [guest, 2, 0n])).toMatchObject({ status: Status.BadRequest, words: [2n] });
    rig.ok(Op.GuestResume, [guest, ResumeClock.CatchUp, 7n]);
    expect(rig.host.guest(guest).resumes).toEqual([
      [0, 0n],
      [1, 7n],
    ]);
    rig.ok(Op.GuestNmi, [guest]);
    expect(rig.host.guest(guest).nmis).toBe(1);
    rig.ok(Op.GuestKill, [guest]);
    expect(rig.ok(Op.GuestState, [guest]).words).toEqual([
      BigInt(RunState.Ended),
      BigInt(EndReason.Killed),
      0n,
      4n << 20n,
      BigInt(Register.Rip),
      3n,
      0n,
    ]);
    rig.ok(Op.GuestDestroy, [guest]);
    expect(rig.call(Op.GuestState, [guest]).status).toBe(Status.NoSuchGuest);
  });

  test("each needs its state", () => {
    const guest = create();
    const refused = (op: Op, state: RunState, args: number[] = []): void => {
      expect(rig.call(op, [guest, ...args])).toMatchObject({ status: Status.BadState, words: [BigInt(state)] });
    };
    for (const op of [Op.GuestPause, Op.GuestNmi]) refused(op, RunState.Created);
    refused(Op.GuestResume, RunState.Created, [ResumeClock.Frozen, 0]);
    rig.ok(Op.GuestStart, [guest, GuestKind.Linux, 0, 64, 0]);
    refused(Op.GuestStart, RunState.Runnable, [GuestKind.Linux, 0, 64, 0]);
    refused(Op.GuestResume, RunState.Runnable, [ResumeClock.Frozen, 0]);
    refused(Op.GuestDestroy, RunState.Runnable);
    rig.ok(Op.GuestPause, [guest]);
    refused(Op.GuestPause, RunState.Paused);
    refused(Op.GuestDestroy, RunState.Paused);
    rig.ok(Op.GuestKill, [guest]);
    for (const op of [Op.GuestPause, Op.GuestNmi, Op.GuestKill]) refused(op, RunState.Ended);
    refused(Op.GuestResume, RunState.Ended, [ResumeClock.Frozen, 0]);
  });

  test("a guest that was never started can be killed, and destroyed", () => {
    const [first, second] = [create(), create()];
    rig.ok(Op.GuestKill, [first]);
    rig.ok(Op.GuestDestroy, [first]);
    rig.ok(Op.GuestDestroy, [second]);
    expect(rig.host.guests.size).toBe(0);
  });

  test("what the machine finds wrong with an image comes back with its value", () => {
    const guest = create();
    rig.host.bootStatus = Status.ElfOverlap;
    rig.host.bootValue = 0x123456789an;
    expect(rig.call(Op.GuestStart, [guest, GuestKind.Multiboot, 0, 64, 0])).toMatchObject({
      status: Status.ElfOverlap,
      words: [0x123456789an],
    });
    expect(rig.ok(Op.GuestState, [guest]).words[0]).toBe(BigInt(RunState.Created));
  });

  test("a machine's answer is not taken for core's own", () => {
    const guest = create();
    rig.host.bootStatus = -1;
    expect(rig.call(Op.GuestStart, [guest, GuestKind.Linux, 0, 64, 0]).status).toBe(0xffff);
    rig.ok(Op.Ping);
  });

  test("a machine that traps while booting has ended", () => {
    const guest = create();
    rig.host.trap = EndReason.TrapUnreachable;
    expect(rig.call(Op.GuestStart, [guest, GuestKind.Linux, 0, 64, 0])).toMatchObject({
      status: Status.Ended,
      words: [BigInt(EndReason.TrapUnreachable), 0x77n],
    });
    rig.ok(Op.GuestDestroy, [guest]);
  });

  test("a boot block must lie in RAM, a kind must be a number", () => {
    const guest = create();
    const at = 4n << 20n;
    for (const [block, bytes] of [
      [at, 1n],
      [at - 8n, 9n],
      [(1n << 64n) - 1n, 2n],
      [0n, (1n << 64n) - 1n],
    ] as const) {
      expect(rig.call(Op.GuestStart, [guest, 1, block, bytes, 0])).toMatchObject({ status: Status.BadAddress, words: [block, bytes] });
    }
    expect(rig.call(Op.GuestStart, [guest, 1n << 32n, 0, 64, 0])).toMatchObject({ status: Status.KindUnknown, words: [1n << 32n] });
  });

  test.each([Op.GuestPause, Op.GuestKill])("operation %i says so when the guest ends on another CPU meanwhile", (op) => {
    const guest = started();
    let looks = 0;
    const state = { get: () => (looks++ === 0 ? RunState.Runnable : RunState.Ended) };
    Object.defineProperty(rig.host.guest(guest), "state", state);
    expect(rig.call(op, [guest])).toMatchObject({ status: Status.BadState, words: [BigInt(RunState.Ended)] });
  });

  test.each([
    [Op.GuestStart, "guestRun", HostImport.GuestRun],
    [Op.GuestPause, "guestPause", HostImport.GuestPause],
    [Op.GuestResume, "guestResume", HostImport.GuestResume],
    [Op.GuestKill, "guestKill", HostImport.GuestKill],
    [Op.GuestNmi, "guestNmi", HostImport.GuestNmi],
    [Op.GuestDestroy, "guestFree", HostImport.GuestFree],
    [Op.GuestRead, "guestRead", HostImport.GuestRead],
    [Op.GuestWrite, "guestWrite", HostImport.GuestWrite],
    [Op.GuestDigest, "guestRead", HostImport.GuestRead],
    [Op.GuestLoad, "storeRead", HostImport.StoreRead],
    [Op.GuestSave, "storeWrite", HostImport.StoreWrite],
  ])("operation %i names the import that refused: %s", (op, name, number) => {
    const guest = op === Op.GuestStart || op === Op.GuestDestroy ? create() : started();
    if (op === Op.GuestResume) rig.ok(Op.GuestPause, [guest]);
    const args: Partial<Record<Op, number[]>> = {
      [Op.GuestStart]: [1, 0, 64, 0],
      [Op.GuestResume]: [ResumeClock.CatchUp, 0],
      [Op.GuestRead]: [0, 8],
      [Op.GuestWrite]: [0],
      [Op.GuestDigest]: [0, 8],
      [Op.GuestLoad]: [0, 0, 512],
      [Op.GuestSave]: [0, 0, 512],
    };
    rig.host.refuse.set(name, 0);
    const bytes = op === Op.GuestWrite ? Buffer.alloc(4) : undefined;
    expect(rig.call(op, [guest, ...(args[op] ?? [])], bytes)).toMatchObject({ status: Status.Refused, words: [BigInt(number)] });
    rig.host.refuse.clear();
    rig.ok(Op.GuestState, [guest]);
  });
});

describe("a look inside", () => {
  test("registers come in one reply", () => {
    create();
    const guest = create();
    expect(rig.ok(Op.GuestRegisters, [guest]).words).toEqual(Array.from({ length: Register.Count }, (_, index) => BigInt(1000 + index)));
  });

  test("what the last exit left comes in one reply", () => {
    const guest = create();
    const { words } = rig.ok(Op.GuestExit, [guest]);
    expect(words.map(Number)).toEqual([96, 97, 98, 99, 100, 101, 102, 103]);
    expect(words[ExitField.Vectoring - ExitField.Qualification]).toBe(100n);
  });

  test("nested tables are walked to the page, or to where nothing is mapped", () => {
    const guest = create(6);
    const { ram } = rig.host.guest(guest);
    const upper = [BigInt(guest + 1) << 20n, 0x3007n, 0x2007n];
    const page = BigInt((ram[2] ?? 0) * BLOCK) | 0x87n;
    expect(rig.ok(Op.GuestNested, [guest, 4 * MIB + 123]).words).toEqual([...upper, page]);
    expect(rig.ok(Op.GuestNested, [guest, 6 * MIB]).words).toEqual([...upper, 0n]);
    expect(rig.call(Op.GuestNested, [guest, 1n << 48n])).toMatchObject({ status: Status.BadAddress, words: [1n << 48n, 1n] });
  });

  test("stat has counts that are not 0", () => {
    const guest = create();
    const { exits } = rig.host.guest(guest);
    exits[ExitReason.Cpuid] = 5n;
    exits[ExitReason.IoOut] = 1n << 40n;
    // All are the host's, but for what its exits are watched for, which copy it is, what was copied, and where the table goes on.
    const own: number[] = [GuestStatReply.TraceModes, GuestStatReply.Generation, GuestStatReply.CopiedBytes, GuestStatReply.NextReason];
    const fixed = Array.from({ length: GuestStatReply.Words }, (_, index) => (own.includes(index) ? 0n : BigInt(index)));
    expect(rig.ok(Op.GuestStat, [guest, 0]).words).toEqual([...fixed, BigInt(ExitReason.Cpuid), 5n, BigInt(ExitReason.IoOut), 1n << 40n]);
    expect(rig.ok(Op.GuestStat, [guest, ExitReason.Hypercall]).words).toEqual([...fixed, BigInt(ExitReason.IoOut), 1n << 40n]);
    expect(rig.ok(Op.GuestStat, [guest, (1n << 64n) - 1n]).words).toEqual(fixed);
  });

  test("write, then read", () => {
    const guest = create();
    const bytes = Buffer.from("hello, guest");
    rig.ok(Op.GuestWrite, [guest, BLOCK - 4], bytes);
    expect(rig.ok(Op.GuestRead, [guest, BLOCK - 4, bytes.length]).bytes).toEqual(bytes);
    expect(rig.ok(Op.GuestRead, [guest, 4 * MIB, 0]).bytes).toHaveLength(0);
    rig.ok(Op.GuestWrite, [guest, 4 * MIB]);
    expect(rig.call(Op.GuestRead, [guest, 0, GuestLimit.ReadBytes + 1])).toMatchObject({ status: Status.BadRequest, words: [513n] });
  });

  test.each([
    [4n << 20n, 1n],
    [(4n << 20n) - 3n, 4n],
    [(1n << 64n) - 1n, 1n],
    [1n << 63n, 512n],
  ])("address %i + %i is outside", (address, bytes) => {
    const guest = create();
    const refusal = { status: Status.BadAddress, words: [address, bytes] };
    expect(rig.call(Op.GuestRead, [guest, address, bytes])).toMatchObject(refusal);
    expect(rig.call(Op.GuestWrite, [guest, address], Buffer.alloc(Number(bytes)))).toMatchObject(refusal);
    expect(rig.call(Op.GuestDigest, [guest, address, bytes])).toMatchObject(refusal);
    expect(rig.call(Op.GuestLoad, [guest, address, 0, bytes])).toMatchObject(refusal);
    expect(rig.call(Op.GuestSave, [guest, address, 0, bytes])).toMatchObject(refusal);
  });

  test("the TSC of a creation is when it was taken up", () => {
    const before = rig.host.clock;
    const { words } = rig.ok(Op.GuestCreate, creation(2 * MIB, 5));
    expect(words[2]).toBeGreaterThanOrEqual(before);
    expect(words[2]).toBeLessThan(rig.host.clock);
    expect(rig.host.guest(0).wallSeconds).toBe(5n);
    expect(rig.host.facts.has(HostFact.Tsc)).toBe(false);
  });
});
