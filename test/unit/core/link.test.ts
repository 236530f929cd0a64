// The line: sessions, order, loss, repetition, back-pressure; frames that are none.
import { beforeEach, describe, expect, test } from "vitest";
import { Channel, FrameType, Link } from "../../../protocol/link.js";
import { HostStatReply, Op } from "../../../protocol/messages.js";
import { data, encode, type Frame, message, stuff, sync } from "./codec.js";
import { Rig } from "./rig.js";

const MS = 1_000_000n;
const ping = (id: number, bytes = Buffer.alloc(0)): Uint8Array => message(id, Op.Ping, [], bytes);
const types = (frames: Frame[]): FrameType[] => frames.map(({ type }) => type);
const epochOf = ({ payload }: Frame): number => Buffer.from(payload).readUInt32LE(4);

describe("a session", () => {
  let rig: Rig;
  beforeEach(() => {
    // With nothing to scrub the timer is the link's alone.
    rig = new Rig({ memoryMiB: 2, hostFrames: 512 });
  });

  test("is asked for at the start, and every 250 ms of clock", () => {
    expect(rig.host.timer).toBe(0n);
    rig.poll();
    expect(types(rig.frames)).toEqual([FrameType.Sync]);
    expect(Buffer.from(rig.frames[0]?.payload)).toEqual(Buffer.from([Link.Version, 0, 0, 0, 0xed, 0xfe, 0, 0]));
    rig.poll();
    expect(rig.frames).toHaveLength(1);
    for (let count = 2; count < 6; count++) {
      expect(rig.host.timer - rig.host.clock).toBeLessThanOrEqual(250n * MS);
      rig.host.clock = rig.host.timer;
      rig.poll();
      expect(rig.frames).toHaveLength(count);
    }
  });

  test("opens when the peer answers", () => {
    rig.poll();
    rig.give([...sync(FrameType.SyncAck, 0xfeed), ...data(0, 0, Channel.Request, ping(1))]);
    rig.poll();
    expect(rig.replies.has(1)).toBe(true);
    rig.host.clock += 300n * MS;
    rig.poll();
    expect(types(rig.frames)).toEqual([FrameType.Sync, FrameType.Data]);
  });

  test("opens when the peer asks", () => {
    rig.give([...sync(FrameType.Sync, 0x1234), ...data(0, 0, Channel.Request, ping(1))]);
    rig.poll();
    expect(types(rig.frames)).toEqual([FrameType.SyncAck, FrameType.Data]);
    expect(epochOf(rig.frames[0])).toBe(0x1234);
  });

  test("does not open for another epoch, or another version", () => {
    rig.give([
      ...sync(FrameType.SyncAck, 0xbeef),
      ...sync(FrameType.SyncAck, 0xfeed, Link.Version - 1),
      ...data(0, 0, Channel.Request, ping(1)),
    ]);
    rig.poll();
    expect(rig.replies.size).toBe(0);
    rig.give([...sync(FrameType.Sync, 5, Link.Version - 1), ...data(0, 0, Channel.Request, ping(1))]);
    rig.poll();
    expect(rig.replies.size).toBe(0);
    // The peer learns which version there is.
    expect(types(rig.frames)).toEqual([FrameType.Sync, FrameType.SyncAck]);
    expect(Buffer.from(rig.frames[1]?.payload).readUInt32LE(0)).toBe(Link.Version);
  });

  test("does not begin again for a repeated Sync, or a late answer", () => {
    rig.poll();
    rig.synchronize(9);
    rig.ok(Op.Ping);
    rig.give([...sync(FrameType.Sync, 9), ...sync(FrameType.SyncAck, 0xfeed)]);
    rig.poll();
    expect(types(rig.frames).slice(-1)).toEqual([FrameType.SyncAck]);
    rig.ok(Op.Ping);
    expect(rig.seq).toBe(2);
  });

  test("says which one it is to a peer that comes back, and goes on", () => {
    rig.synchronize(9);
    rig.acks = false;
    rig.ok(Op.Ping);
    rig.frames = [];
    rig.give([...sync(FrameType.Resume, 9), ...sync(FrameType.Resume, 8)]);
    rig.poll();
    expect(rig.frames.map(({ type }) => type)).toEqual([FrameType.SyncAck]);
    expect(epochOf(rig.frames[0])).toBe(9);
    rig.acks = true;
    rig.ok(Op.Ping);
    expect(rig.seq).toBe(2);
  });

  test("that the hypervisor began is told by its own epoch", () => {
    rig.poll();
    rig.give([...sync(FrameType.SyncAck, 0xfeed), ...sync(FrameType.Resume, 9)]);
    rig.poll();
    expect(rig.frames.map((frame) => [frame.type, epochOf(frame)])).toEqual([
      [FrameType.Sync, 0xfeed],
      [FrameType.SyncAck, 0xfeed],
    ]);
  });

  test("is not begun by a peer that asks which one there is", () => {
    rig.give([...sync(FrameType.Resume, 9), ...data(0, 0, Channel.Request, ping(1))]);
    rig.poll();
    expect(types(rig.frames)).toEqual([FrameType.Sync]);
    expect(rig.replies.size).toBe(0);
  });

  test("begins again for a new Sync: numbers from 0, nothing in flight, nothing waiting", () => {
    rig.synchronize(1);
    rig.acks = false;
    for (let id = 0; id < 12; id++) rig.send(Channel.Request, ping(id));
    rig.poll();
    expect(rig.replies.size).toBe(Link.Window);
    rig.acks = true;
    rig.synchronize(2);
    rig.host.clock += 1000n * MS;
    rig.settle();
    expect(rig.frames).toEqual([]);
    expect(rig.replies.size).toBe(Link.Window);
    rig.ok(Op.HostStat);
    expect(rig.seq).toBe(1);
  });
});

describe("order", () => {
  let rig: Rig;
  beforeEach(() => {
    rig = Rig.open();
    rig.frames = [];
  });

  test("a reply carries the acknowledgement; without one an Ack does", () => {
    rig.send(Channel.Request, ping(1));
    rig.poll();
    expect(rig.frames.map(({ type, ack }) => [type, ack])).toEqual([[FrameType.Data, 1]]);
    rig.frames = [];
    rig.send(Channel.Console, message(0, 0, [], Buffer.from("x")));
    rig.poll();
    expect(rig.frames.map(({ type, ack }) => [type, ack])).toEqual([[FrameType.Ack, 2]]);
    rig.frames = [];
    rig.poll();
    expect(rig.frames).toEqual([]);
  });

  test("what came together is acknowledged together", () => {
    for (let at = 0; at < 5; at++) rig.send(Channel.Console, message(0, 0, [], Buffer.from("x")));
    rig.poll();
    expect(rig.frames.map(({ type, ack }) => [type, ack])).toEqual([[FrameType.Ack, 5]]);
  });

  test("a doubled frame is taken once", () => {
    const frame = data(0, 0, Channel.Request, ping(1));
    rig.give([...frame, ...frame]);
    rig.poll();
    rig.give(frame);
    rig.poll();
    expect(rig.replies.size).toBe(1);
    expect(rig.acked).toBe(1);
    expect(types(rig.frames)).toEqual([FrameType.Data, FrameType.Ack]);
  });

  test("after a lost frame those that follow wait for it, and are not wanted again", () => {
    rig.give([...data(1, 0, Channel.Request, ping(1)), ...data(3, 0, Channel.Request, ping(3))]);
    rig.poll();
    expect(rig.replies.size).toBe(0);
    expect(rig.frames.map(({ type, seq, ack }) => [type, seq, ack])).toEqual([[FrameType.Ack, 0b101, 0]]);
    rig.give(data(0, 0, Channel.Request, ping(0)));
    rig.poll();
    expect([...rig.replies.keys()]).toEqual([0, 1]);
    // The replies carry the acknowledgement; that frame 3 has come only an Ack can say.
    expect(rig.frames.slice(1).map(({ type, seq, ack }) => [type, seq, ack])).toEqual([
      [FrameType.Data, 0, 2],
      [FrameType.Data, 1, 2],
      [FrameType.Ack, 0b1, 2],
    ]);
    rig.give(data(2, 2, Channel.Request, ping(2)));
    rig.poll();
    expect([...rig.replies.keys()]).toEqual([0, 1, 2, 3]);
    expect(rig.acked).toBe(4);
  });

  test("what is held is taken once, however often it comes", () => {
    const second = data(1, 0, Channel.Request, ping(1));
    rig.give([...second, ...second, ...data(0, 0, Channel.Request, ping(0)), ...second]);
    rig.settle();
    expect([...rig.replies.keys()]).toEqual([0, 1]);
  });

  test("a probe goes to nobody, and its number comes back", () => {
    rig.send(Channel.Request, ping(1));
    rig.poll();
    rig.frames = [];
    rig.give(data(0, 0, Link.Probe + 3, Buffer.alloc(0)));
    rig.poll();
    rig.give(data(0, 0, Link.Probe + 4, Buffer.alloc(0)));
    rig.poll();
    expect(rig.frames.map(({ type, ack, channel }) => [type, ack, channel & 15])).toEqual([
      [FrameType.Ack, 1, Link.Probe + 3],
      [FrameType.Ack, 1, Link.Probe + 4],
    ]);
    expect(rig.replies.size).toBe(1);
  });

  test("a frame that is as far ahead as a window is none of the session's", () => {
    rig.give(data(Link.Window, 0, Channel.Request, ping(9)));
    for (let seq = 0; seq < Link.Window; seq++) rig.give(data(seq, 0, Channel.Request, ping(seq)));
    rig.settle();
    expect(rig.replies.has(9)).toBe(false);
    expect(rig.acked).toBe(Link.Window);
  });

  test("numbers go round", () => {
    for (let count = 0; count < 600; count++) rig.ok(Op.Ping);
    expect(rig.seq).toBe(600 & 255);
    expect(rig.ok(Op.HostStat).words[HostStatReply.FramesResent]).toBe(0n);
  });

  test("an acknowledgement of what was never sent is ignored", () => {
    rig.give(encode({ type: FrameType.Ack, seq: 0, ack: 5, channel: 0, payload: new Uint8Array() }));
    rig.ok(Op.Ping);
    rig.ok(Op.Ping);
    expect(rig.expected).toBe(2);
  });
});

describe("the window", () => {
  let rig: Rig;
  beforeEach(() => {
    rig = Rig.open();
    rig.acks = false;
    rig.frames = [];
  });

  test("stops requests when it is full, and goes on with an acknowledgement", () => {
    for (let id = 0; id < 20; id++) rig.send(Channel.Request, ping(id));
    rig.poll();
    rig.poll();
    expect([...rig.replies.keys()]).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(rig.acked).toBe(20);
    rig.acknowledge();
    rig.poll();
    expect(rig.replies.size).toBe(16);
    rig.acknowledge();
    rig.poll();
    expect(rig.replies.size).toBe(20);
  });

  test("gives credit for what the inbox has room for; what comes without is not taken, and comes again", () => {
    // Without an acknowledgement for 8 replies, 64 requests wait.
    for (let id = 0; id < 100; id++) rig.give(data(id, 0, Channel.Request, ping(id)));
    rig.poll();
    expect(rig.acked).toBe(64);
    for (let id = 64; id < 100; id++) rig.give(data(id, 0, Channel.Request, ping(id)));
    rig.poll();
    expect(rig.acked).toBe(64 + Link.Window);
    expect(rig.frames.at(-1)).toMatchObject({ type: FrameType.Ack, credit: 0 });
    const taken = rig.acked;
    rig.acks = true;
    rig.frames = [];
    rig.acknowledge();
    rig.settle();
    expect(rig.replies.size).toBe(taken);
    // Nobody asked: that there is room again is news.
    expect(rig.frames.at(-1)).toMatchObject({ credit: Link.Window });
    for (let id = taken; id < 100; id++) rig.give(data(id, rig.expected, Channel.Request, ping(id)));
    rig.settle();
    expect(rig.replies.size).toBe(100);
  });

  test("the first in flight is sent again after 250 ms, then more and more seldom", () => {
    for (let id = 0; id < 3; id++) rig.send(Channel.Request, ping(id));
    rig.poll();
    const first = rig.frames.map(({ seq }) => seq);
    expect(first).toEqual([0, 1, 2]);
    let wait = 250n * MS;
    for (let round = 0; round < 7; round++) {
      rig.frames = [];
      const due = rig.host.timer;
      expect(due - rig.host.clock).toBeGreaterThan(wait - MS);
      expect(due - rig.host.clock).toBeLessThanOrEqual(wait);
      rig.host.clock = due - 1n;
      rig.poll();
      expect(rig.frames).toEqual([]);
      rig.host.clock = due;
      rig.poll();
      expect(rig.frames.map(({ type, seq }) => [type, seq])).toEqual([[FrameType.Data, 0]]);
      wait = wait < 4000n * MS ? wait * 2n : wait;
    }
    rig.acknowledge();
    rig.poll();
    rig.host.clock += 10_000n * MS;
    rig.frames = [];
    rig.poll();
    expect(rig.frames).toEqual([]);
    expect(rig.ok(Op.HostStat).words[HostStatReply.FramesResent]).toBe(7n);
  });

  const ack = (next: number, bits = 0, credit: number = Link.Window): number[] =>
    encode({ type: FrameType.Ack, seq: bits, ack: next, channel: 0, credit, payload: new Uint8Array() });
  const sent = (): number[] => rig.frames.splice(0).map(({ seq }) => seq);

  test("what went out before a frame that has arrived is lost, and goes again at once: that alone", () => {
    for (let id = 0; id < 6; id++) rig.send(Channel.Request, ping(id));
    rig.poll();
    expect(sent()).toEqual([0, 1, 2, 3, 4, 5]);
    rig.give(ack(1, 0b0101));
    rig.poll();
    expect(sent()).toEqual([1, 3]);
    // Their second sending is later than all that has arrived: the same news says nothing of it.
    rig.give([...ack(1, 0b0101), ...ack(1, 0b1101)]);
    rig.poll();
    expect(sent()).toEqual([]);
    // Frame 3 has arrived the second time: frame 1, which went before it, has not.
    rig.give(ack(1, 0b1111));
    rig.poll();
    expect(sent()).toEqual([1]);
    rig.give(ack(6));
    rig.poll();
    rig.host.clock += 9000n * MS;
    rig.poll();
    expect(sent()).toEqual([]);
  });

  test("a frame that the peer says is missing goes again, each time that it says so: that alone", () => {
    for (let id = 0; id < 4; id++) rig.send(Channel.Request, ping(id));
    rig.poll();
    sent();
    rig.give(ack(1, 0b01));
    rig.poll();
    expect(sent()).toEqual([1]);
    for (let time = 0; time < 3; time++) {
      rig.give(encode({ type: FrameType.Ack, seq: 0b01, ack: 1, channel: Link.Missing, payload: Buffer.alloc(0) }));
      rig.poll();
      expect(sent()).toEqual([1]);
    }
    rig.give(encode({ type: FrameType.Ack, seq: 0, ack: 4, channel: Link.Missing, payload: Buffer.alloc(0) }));
    rig.poll();
    expect(sent()).toEqual([]);
    rig.send(Channel.Request, ping(9));
    rig.poll();
    expect(sent()).toEqual([4]);
  });

  test("bits of frames that were never sent say nothing", () => {
    for (let id = 0; id < 2; id++) rig.send(Channel.Request, ping(id));
    rig.poll();
    rig.frames = [];
    rig.give(ack(0, 0b111_1110));
    rig.poll();
    expect(sent()).toEqual([]);
    rig.give(ack(2));
    rig.acks = true;
    rig.expected = 2;
    rig.ok(Op.Ping);
  });

  test("is no wider than the peer's credit", () => {
    rig.give(ack(0, 0, 2));
    for (let id = 0; id < 5; id++) rig.send(Channel.Request, ping(id));
    // Each frame of data gives credit anew; the last word counts.
    rig.give(ack(0, 0, 2));
    rig.poll();
    expect(sent()).toEqual([0, 1]);
    rig.give(ack(2, 0, 1));
    rig.poll();
    expect(sent()).toEqual([2]);
    rig.give(ack(3, 0, 0));
    rig.poll();
    expect(sent()).toEqual([]);
    // Without credit one frame goes, now and then, as a question.
    rig.host.clock += 251n * MS;
    rig.poll();
    expect(sent()).toEqual([3]);
    rig.give(ack(3, 0, 0));
    rig.poll();
    expect(sent()).toEqual([]);
    rig.give(ack(4, 0, 8));
    rig.poll();
    expect(sent()).toEqual([4]);
  });

  test("a part that is acknowledged is not sent again", () => {
    for (let id = 0; id < 4; id++) rig.send(Channel.Request, ping(id));
    rig.poll();
    rig.give(encode({ type: FrameType.Ack, seq: 0, ack: 3, channel: 0, payload: new Uint8Array() }));
    rig.poll();
    rig.frames = [];
    rig.host.clock += 251n * MS;
    rig.poll();
    expect(rig.frames.map(({ seq }) => seq)).toEqual([3]);
    // An acknowledgement of the first sending is as good.
    rig.acknowledge();
    rig.poll();
    rig.frames = [];
    rig.host.clock += 9000n * MS;
    rig.poll();
    expect(rig.frames).toEqual([]);
  });

  test("a slow line is not filled with repetitions", () => {
    rig.host.stalled = true;
    rig.send(Channel.Request, ping(0, Buffer.alloc(600)));
    rig.poll();
    const written = rig.host.fromCore.length;
    for (let turn = 0; turn < 20; turn++) {
      rig.host.clock += 100n * MS;
      rig.poll();
    }
    expect(rig.host.fromCore).toHaveLength(written);
    rig.host.stalled = false;
    rig.take();
    rig.host.clock += 251n * MS;
    rig.poll();
    expect(rig.replies.size).toBe(1);
    expect(rig.frames.length).toBe(2);
  });
});

describe("the serial ring", () => {
  test("gets whole frames only, as room comes", () => {
    const rig = Rig.open({ ringBytes: 1400 });
    rig.acks = false;
    rig.host.stalled = true;
    for (let id = 0; id < 5; id++) rig.send(Channel.Request, ping(id, Buffer.alloc(600, 1)));
    rig.poll();
    // Two fit. The mock throws when core writes more than there is room for, the codec when a frame is cut.
    expect(rig.host.timer - rig.host.clock).toBeLessThanOrEqual(MS);
    rig.host.stalled = false;
    rig.take();
    expect(rig.replies.size).toBe(2);
    rig.poll();
    expect(rig.replies.size).toBe(4);
    rig.poll();
    expect(rig.replies.size).toBe(5);
    expect(rig.ok(Op.HostStat).words[HostStatReply.FramesResent]).toBe(0n);
  });

  test("is read to its end: of the bytes that a poll leaves there no interrupt tells", () => {
    const rig = Rig.open();
    rig.give([...Array<number>(10_000).fill(0), ...data(0, 0, Channel.Request, ping(1))]);
    let polls = 0;
    do rig.poll();
    while (++polls < 10 && rig.host.timer <= rig.host.clock);
    expect(rig.replies.has(1)).toBe(true);
    expect(polls).toBe(3);
  });

  test("without room an answer to Sync waits", () => {
    const rig = new Rig({ ringBytes: 100 });
    rig.host.stalled = true;
    for (let turn = 0; turn < 10; turn++) {
      rig.host.clock += 250n * MS;
      rig.poll();
    }
    rig.give(sync(FrameType.Sync, 77));
    rig.poll();
    rig.host.stalled = false;
    rig.take();
    rig.frames = [];
    rig.poll();
    expect(types(rig.frames)).toEqual([FrameType.SyncAck]);
  });
});

describe("bytes that are no frame", () => {
  let rig: Rig;
  const bad = (): number => Number(rig.ok(Op.HostStat).words[HostStatReply.FramesBad]);
  beforeEach(() => {
    rig = Rig.open();
  });

  const sound = data(0, 0, Channel.Request, ping(1));
  const flipped = [...sound];
  flipped[6] = flipped[6] ^ 1 || 2;

  test.each<[string, number[]]>([
    ["a wrong CRC", flipped],
    ["a code that points past the end", [9, 1, 2, 0]],
    ["too short for a CRC", stuff(Uint8Array.of(1, 0, 0, 0, 1, 2, 3))],
    ["nothing but a code", [1, 0]],
    ["too long by one byte", encode({ type: FrameType.Data, seq: 0, ack: 0, channel: 0, payload: new Uint8Array(Link.MaxPayload + 1) })],
    ["endless", [...Array.from({ length: 5000 }, () => 0xff), 0]],
    ["type 0", encode({ type: 0 as FrameType, seq: 0, ack: 0, channel: 0, payload: new Uint8Array() })],
    ["type 5", encode({ type: 5 as FrameType, seq: 0, ack: 0, channel: 0, payload: new Uint8Array() })],
    ["a Sync without an epoch", encode({ type: FrameType.Sync, seq: 0, ack: 0, channel: 0, payload: new Uint8Array(4) })],
    ["a SyncAck with more", encode({ type: FrameType.SyncAck, seq: 0, ack: 0, channel: 0, payload: new Uint8Array(12) })],
  ])("%s is counted, and the next frame is taken", (_, bytes) => {
    rig.give(bytes);
    expect(bad()).toBe(1);
  });

  test("zeros between frames are none", () => {
    rig.give([0, 0, 0]);
    expect(bad()).toBe(0);
  });

  test("a start in the middle of a frame costs that frame alone", () => {
    const fresh = new Rig();
    fresh.give(sync(FrameType.Sync, 3).slice(5));
    fresh.poll();
    fresh.synchronize(4);
    expect(fresh.ok(Op.HostStat).words[HostStatReply.FramesBad]).toBe(1n);
  });

  test("a frame may come byte by byte", () => {
    for (const byte of sound) {
      rig.give([byte]);
      rig.poll();
    }
    expect(rig.replies.has(1)).toBe(true);
  });

  test("the longest frame is one", () => {
    const bytes = Buffer.from(Array.from({ length: Link.MaxPayload - 8 }, (_, index) => index & 255));
    expect(rig.ok(Op.Ping, [], bytes).bytes).toEqual(bytes);
  });
});
