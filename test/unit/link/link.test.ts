import { fc, test } from "@fast-check/vitest";
import { describe, expect, it, vi } from "vitest";
import { encodeFrame, type Frame, FrameReader } from "../../../control/src/link/frame.js";
import { Link, type LinkOptions } from "../../../control/src/link/link.js";
import { badLine, type Fault, MockTransport } from "../../../control/src/transport/mock.js";
import { Channel, FrameType, Link as Limit } from "../../../protocol/link.js";

const quick: LinkOptions = { retransmitMs: 10, maxRetransmitMs: 20, syncMs: 10 };
/** Nothing is sent again: what a test sees does not hang on how busy the machine is. */
const once: LinkOptions = { retransmitMs: 60_000, syncMs: 10 };

function pair(faultA?: Fault, faultB?: Fault, options = quick): { a: Link; b: Link; fromA: Uint8Array[]; fromB: Uint8Array[] } {
  const [left, right] = MockTransport.pair(faultA, faultB);
  const a = new Link(left, { ...options, epoch: 1 });
  const b = new Link(right, { ...options, epoch: 2 });
  const fromA: Uint8Array[] = [];
  const fromB: Uint8Array[] = [];
  a.on("message", (_, payload) => fromB.push(payload.slice()));
  b.on("message", (_, payload) => fromA.push(payload.slice()));
  return { a, b, fromA, fromB };
}

/** The hypervisor's end, by hand: what it gets, and what it sends frame by frame. */
function byHand(options: LinkOptions = once): {
  link: Link;
  got: Frame[];
  send: (frame: Partial<Frame>) => void;
  raw: (bytes: Uint8Array) => void;
} {
  const [left, right] = MockTransport.pair();
  const got: Frame[] = [];
  const reader = new FrameReader({
    onFrame: (frame) => got.push({ ...frame, payload: frame.payload.slice() }),
    onText: () => undefined,
    onBad: () => undefined,
  });
  right.onData((bytes) => reader.push(bytes));
  const send = (frame: Partial<Frame>): void =>
    right.write(
      encodeFrame({
        type: FrameType.Data,
        seq: 0,
        ack: 0,
        channel: Channel.Reply,
        credit: Limit.Window,
        payload: new Uint8Array(),
        ...frame,
      }),
    );
  return { link: new Link(left, { ...options, epoch: 77 }), got, send, raw: (bytes) => right.write(bytes) };
}

const sync = (version: number, epoch: number): Uint8Array => new Uint8Array(Uint32Array.of(version, epoch).buffer);
const ticks = async (count = 3): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};
/** Without the probes, which follow what is sent again. */
const messages = (frames: Frame[]): Frame[] => frames.filter(({ channel }) => channel < Limit.Probe);
const numbered = (count: number): Uint8Array[] => Array.from({ length: count }, (_, index) => Uint8Array.of(index >> 8, index & 255));

describe("a session", () => {
  it("starts with Sync: version and epoch, answered by SyncAck", async () => {
    const { link, got, send } = byHand();
    const opened = link.open();
    await ticks();
    expect(got[0]).toMatchObject({ type: FrameType.Sync, seq: 0, payload: sync(Limit.Version, 77) });
    send({ type: FrameType.SyncAck, payload: sync(3, 77) });
    expect(await opened).toEqual({ version: 3 });
    link.close();
  });

  it("does not take the answer to another epoch, and asks again", async () => {
    const { link, got, send } = byHand();
    void link.open().catch(() => undefined);
    send({ type: FrameType.SyncAck, payload: sync(Limit.Version, 76) });
    await vi.waitFor(() => expect(got.length).toBeGreaterThan(2));
    expect(link.state).toBe("syncing");
    link.close();
  });

  it("starts with the peer's Sync too, which is answered each time that it comes", async () => {
    const { link, got, send } = byHand();
    const opened = link.open();
    send({ type: FrameType.Sync, payload: sync(Limit.Version, 5) });
    await opened;
    send({ type: FrameType.Sync, payload: sync(Limit.Version, 5) });
    await ticks();
    const answers = got.filter((frame) => frame.type === FrameType.SyncAck);
    expect(answers.map((frame) => frame.payload)).toEqual([sync(Limit.Version, 5), sync(Limit.Version, 5)]);
    expect(link.state).toBe("open");
    link.close();
  });

  it("is lost when the peer starts again", async () => {
    const { link, send } = byHand();
    const opened = link.open();
    send({ type: FrameType.Sync, payload: sync(Limit.Version, 5) });
    await opened;
    const lost = new Promise<Error>((resolve) => link.on("lost", resolve));
    const waits = link.send(Channel.Request, Uint8Array.of(1));
    send({ type: FrameType.Sync, payload: sync(Limit.Version, 6) });
    await expect(waits).rejects.toMatchObject({ code: "E_LINK_LOST" });
    expect(await lost).toMatchObject({ code: "E_LINK_LOST", message: "The hypervisor has started again." });
  });

  it("is lost with the transport, and then takes nothing more", async () => {
    const [left, right] = MockTransport.pair();
    const link = new Link(left, quick);
    const opened = link.open();
    right.close();
    await expect(opened).rejects.toMatchObject({ code: "E_LINK_LOST" });
    await expect(link.send(Channel.Request, Uint8Array.of(1))).rejects.toMatchObject({ code: "E_LINK_LOST" });
  });

  it("passes text on before it is open", async () => {
    const { link, raw } = byHand();
    const line = new Promise((resolve) => link.on("text", resolve));
    raw(Buffer.from("\0hvkit: VMX: ok\r\n\0"));
    expect(await line).toBe("hvkit: VMX: ok");
    link.close();
  });
});

describe("data", () => {
  async function open(options: LinkOptions = once): Promise<ReturnType<typeof byHand>> {
    const hand = byHand(options);
    const opened = hand.link.open();
    hand.send({ type: FrameType.SyncAck, payload: sync(Limit.Version, 77) });
    await opened;
    await ticks();
    hand.got.length = 0;
    return hand;
  }

  it("keeps to the window, and moves it on by acknowledgements", async () => {
    const { link, got, send } = await open();
    const sent = numbered(20).map((payload) => link.send(Channel.Request, payload));
    await ticks();
    expect(got.map((frame) => frame.seq)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    send({ type: FrameType.Ack, ack: 3 });
    await Promise.all(sent.slice(0, 3));
    await ticks();
    expect(got.map((frame) => frame.seq)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(link.statistics).toMatchObject({ inFlight: 8, queued: 9 });
    for (const one of sent.slice(3)) one.catch(() => undefined);
    link.close();
  });

  it("ignores acknowledgements of what was never sent", async () => {
    const { link, send } = await open();
    const sent = link.send(Channel.Request, Uint8Array.of(1));
    send({ type: FrameType.Ack, ack: 9 });
    send({ type: FrameType.Ack, ack: 255 });
    await ticks();
    expect(link.statistics.inFlight).toBe(1);
    send({ type: FrameType.Ack, ack: 1 });
    await sent;
    link.close();
  });

  it("that brings no news is asked for by its first frame", async () => {
    const { link, got, send } = await open(quick);
    const sent = numbered(3).map((payload) => link.send(Channel.Request, payload));
    send({ type: FrameType.Ack, ack: 1 });
    await sent[0];
    await ticks();
    got.length = 0;
    await vi.waitFor(() => expect(messages(got).length).toBeGreaterThanOrEqual(2));
    expect(
      messages(got)
        .slice(0, 2)
        .map((frame) => frame.seq),
    ).toEqual([1, 1]);
    send({ type: FrameType.Ack, ack: 3 });
    await Promise.all(sent);
    expect(link.statistics.framesResent).toBeGreaterThanOrEqual(2);
    link.close();
  });

  it("that went out before what has arrived goes again at once, and nothing else does", async () => {
    const { link, got, send } = await open();
    const sent = numbered(6).map((payload) => link.send(Channel.Request, payload));
    await ticks();
    got.length = 0;
    send({ type: FrameType.Ack, ack: 1, seq: 0b0101 });
    await ticks();
    expect(messages(got.splice(0)).map((frame) => frame.seq)).toEqual([1, 3]);
    send({ type: FrameType.Ack, ack: 1, seq: 0b1101 });
    await ticks();
    expect(got).toEqual([]);
    send({ type: FrameType.Ack, ack: 1, seq: 0b1111 });
    await ticks();
    expect(messages(got).map((frame) => frame.seq)).toEqual([1]);
    send({ type: FrameType.Ack, ack: 6 });
    await Promise.all(sent);
    expect(link.statistics.framesResent).toBe(3);
    link.close();
  });

  it("waits for credit, and asks for it with one frame", async () => {
    const { link, got, send } = await open(quick);
    send({ type: FrameType.Ack, ack: 0, credit: 2 });
    await ticks();
    const sent = numbered(5).map((payload) => link.send(Channel.Request, payload));
    await ticks();
    expect(new Set(got.map((frame) => frame.seq))).toEqual(new Set([0, 1]));
    send({ type: FrameType.Ack, ack: 2, credit: 0 });
    await Promise.all(sent.slice(0, 2));
    got.length = 0;
    await vi.waitFor(() => expect(got.length).toBeGreaterThanOrEqual(2));
    expect(new Set(messages(got).map((frame) => frame.seq))).toEqual(new Set([2]));
    send({ type: FrameType.Ack, ack: 3, credit: 8 });
    await vi.waitFor(() => expect(got.some((frame) => frame.seq === 4)).toBe(true));
    send({ type: FrameType.Ack, ack: 5 });
    await Promise.all(sent);
    link.close();
  });

  it("of a peer that gives no credit ends the link in time, with no more than a queue of it kept", async () => {
    const hand = byHand({ ...quick, silenceMs: 300, maxQueued: 10 });
    void hand.link.open();
    hand.send({ type: FrameType.SyncAck, payload: sync(Limit.Version, 77) });
    hand.send({ type: FrameType.Ack, credit: 0 });
    await ticks();
    // Probes have their answers as well.
    const answer = setInterval(() => hand.send({ type: FrameType.Ack, credit: 0, channel: hand.got.at(-1)?.channel ?? 0 }), 5);
    try {
      const sent = numbered(30).map((payload) => hand.link.send(Channel.Request, payload).catch((error: unknown) => error));
      const codes = (await Promise.all(sent)).map((error) => (error as { code: string }).code);
      expect(codes.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => "E_LINK_LOST"));
      expect(codes.slice(10)).toEqual(Array.from({ length: 20 }, () => "E_LINK_FULL"));
      // One frame at a time was on the line, again and again, when the clock said so.
      expect(messages(hand.got).length).toBeLessThan(20);
      expect(
        new Set(
          messages(hand.got)
            .filter(({ type }) => type === FrameType.Data)
            .map(({ seq }) => seq),
        ),
      ).toEqual(new Set([0]));
    } finally {
      clearInterval(answer);
    }
  });

  it("that is sent again has a probe after it, whose number says when it was lost again", async () => {
    const { link, got, send } = await open();
    const sent = numbered(Limit.Window).map((payload) => link.send(Channel.Request, payload));
    await ticks();
    const shown = (): string[] => got.splice(0).map(({ seq, channel }) => `${channel >= Limit.Probe ? "probe" : "data"} ${seq}`);
    expect(shown()).toEqual(Array.from({ length: Limit.Window }, (_, seq) => `data ${seq}`));
    // The first is missing, the others come one by one.
    for (let last = 1; last < Limit.Window; last++) send({ type: FrameType.Ack, ack: 0, seq: (1 << last) - 1 });
    await ticks();
    const again = got.slice();
    expect(shown()).toEqual(["data 0", "probe 255"]);
    const { channel: number, payload } = again[1];
    expect(payload).toHaveLength(0);
    // Another probe's number says nothing; an Ack without news neither.
    for (const channel of [0, Limit.Probe + ((number + 1) % 8)]) send({ type: FrameType.Ack, ack: 0, seq: 0x7f, channel });
    await ticks();
    expect(shown()).toEqual([]);
    send({ type: FrameType.Ack, ack: 0, seq: 0x7f, channel: number });
    send({ type: FrameType.Ack, ack: 0, seq: 0x7f, channel: number });
    await ticks();
    expect(shown()).toEqual(["data 0", "probe 255"]);
    send({ type: FrameType.Ack, ack: Limit.Window });
    await Promise.all(sent);
    link.close();
  });

  it("that is missing while others wait for it is asked for again and again, until it comes", async () => {
    const { link, got, send } = await open(quick);
    const missing = (): Frame[] => got.filter(({ type, channel }) => type === FrameType.Ack && channel === Limit.Missing);
    send({ seq: 1 });
    send({ seq: 3 });
    await vi.waitFor(() => expect(missing().length).toBeGreaterThan(1));
    expect(missing()[0]).toMatchObject({ ack: 0, seq: 0b101 });
    send({ seq: 0 });
    await vi.waitFor(() => expect(got.at(-1)).toMatchObject({ ack: 2, seq: 0b1, channel: Limit.Missing }));
    send({ seq: 2 });
    await vi.waitFor(() => expect(got.at(-1)).toMatchObject({ ack: 4, seq: 0, channel: 0 }));
    const asked = missing().length;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(missing()).toHaveLength(asked);
    link.close();
  });

  it("that comes as a probe goes to nobody, and its number comes back", async () => {
    const { link, got, send } = await open();
    const taken: number[] = [];
    link.on("message", (_, payload) => taken.push(payload[0]));
    send({ seq: 0, payload: Uint8Array.of(1) });
    send({ seq: 0, channel: Limit.Probe + 3 });
    send({ seq: 255, channel: Limit.Probe + 5 });
    await ticks();
    expect(taken).toEqual([1]);
    expect(got.map(({ type, ack, channel }) => [type, ack, channel])).toEqual([
      [FrameType.Ack, 1, 0],
      [FrameType.Ack, 1, Limit.Probe + 3],
      [FrameType.Ack, 1, Limit.Probe + 5],
    ]);
    link.close();
  });

  it("of the bulk goes when nothing else does", async () => {
    const { link, got, send } = await open();
    const bulk = numbered(20).map((payload) => link.send(Channel.Bulk, payload));
    const request = link.send(Channel.Request, Uint8Array.of(1));
    await ticks();
    for (let ack = Limit.Window; got.length < 21; ack = got.length) {
      send({ type: FrameType.Ack, ack });
      await ticks();
    }
    expect(got.findIndex(({ channel }) => channel === Channel.Request)).toBe(Limit.Window);
    send({ type: FrameType.Ack, ack: 21 });
    await Promise.all([...bulk, request]);
    link.close();
  });

  it("is not sent again and again over a line that is only slow", async () => {
    const [left, right] = MockTransport.pair();
    const link = new Link(left, { ...quick, maxRetransmitMs: 2000, epoch: 1 });
    const line: Frame[] = [];
    let came = 0;
    const reader = new FrameReader({
      onFrame: (frame) => line.push({ ...frame, payload: frame.payload.slice() }),
      onText: () => undefined,
      onBad: () => undefined,
    });
    right.onData((bytes) => reader.push(bytes));
    const answer = (frame: Partial<Frame>): void =>
      right.write(
        encodeFrame({ type: FrameType.Ack, seq: 0, ack: 0, channel: 0, credit: Limit.Window, payload: new Uint8Array(), ...frame }),
      );
    let expected = 0;
    const timer = setInterval(() => {
      const frame = line.shift();
      if (frame?.type === FrameType.Sync) answer({ type: FrameType.SyncAck, payload: frame.payload });
      if (frame?.type !== FrameType.Data) return;
      came++;
      if (frame.seq === expected) expected++;
      answer({ ack: expected });
    }, 15);
    try {
      await link.open();
      const frames = 60;
      await Promise.all(Array.from({ length: frames }, (_, index) => link.send(Channel.Request, Uint8Array.of(index))));
      expect(expected).toBe(frames);
      // The first window's repetitions, until the line is known.
      expect(came).toBeLessThan(frames * 2);
    } finally {
      clearInterval(timer);
      link.close();
    }
  });

  it("that comes in is delivered once, in order, and acknowledged once for all that came together", async () => {
    const { link, got, send } = await open();
    const taken: number[] = [];
    link.on("message", (_, payload) => taken.push(payload[0]));
    for (const seq of [0, 0, 2, 3, 9, 3]) send({ seq, payload: Uint8Array.of(seq) });
    await ticks();
    expect(taken).toEqual([0]);
    expect(got.at(-1)).toMatchObject({ type: FrameType.Ack, ack: 1, seq: 0b11 });
    send({ seq: 1, payload: Uint8Array.of(1) });
    await ticks();
    expect(taken).toEqual([0, 1, 2, 3]);
    expect(got.at(-1)).toMatchObject({ type: FrameType.Ack, ack: 4, seq: 0 });
    expect(link.statistics.framesOutOfTurn).toBe(5);
    link.close();
  });

  it("carries the acknowledgement when it goes the other way", async () => {
    const { link, got, send } = await open();
    link.on("message", () => void link.send(Channel.Request, Uint8Array.of(9)).catch(() => undefined));
    send({ seq: 0, payload: Uint8Array.of(1) });
    await ticks();
    expect(got).toHaveLength(1);
    expect(got[0]).toMatchObject({ type: FrameType.Data, ack: 1 });
    link.close();
  });

  it("longer than a frame is refused, and so is more than the queue holds", async () => {
    const { link } = byHand({ ...quick, maxQueued: 2 });
    await expect(link.send(Channel.Request, new Uint8Array(Limit.MaxPayload + 1))).rejects.toMatchObject({ code: "E_LINK_TOO_LONG" });
    for (let i = 0; i < 2; i++) link.send(Channel.Request, Uint8Array.of(i)).catch(() => undefined);
    await expect(link.send(Channel.Request, Uint8Array.of(3))).rejects.toMatchObject({ code: "E_LINK_FULL" });
    link.close();
  });

  it("that nobody acknowledges ends the link", async () => {
    const hand = byHand({ ...quick, silenceMs: 30 });
    void hand.link.open();
    hand.send({ type: FrameType.SyncAck, payload: sync(Limit.Version, 77) });
    await expect(hand.link.send(Channel.Request, Uint8Array.of(1))).rejects.toThrow(/not acknowledged anything/);
  });
});

describe("a bad line", () => {
  async function exchange(faultA: Fault, faultB: Fault, count: number): Promise<void> {
    const { a, b, fromA, fromB } = pair(faultA, faultB);
    await Promise.all([a.open(), b.open()]);
    const payloads = numbered(count);
    await Promise.all(payloads.flatMap((payload) => [a.send(Channel.Request, payload), b.send(Channel.Reply, payload)]));
    expect(fromA).toEqual(payloads);
    expect(fromB).toEqual(payloads);
    a.close();
  }

  it("is one that loses nothing, for 600 messages both ways: the numbers go round twice", () =>
    exchange(
      (x) => [x],
      (x) => [x],
      600,
    ));

  it.each([
    ["loses", { lose: 0.2 }],
    ["doubles", { double: 0.3 }],
    ["flips bits", { flip: 0.2 }],
    ["does all of it", { lose: 0.1, double: 0.1, flip: 0.1 }],
  ])("that %s delivers everything once, in order", (_, rates) => exchange(badLine(1, rates), badLine(2, rates), 60));

  test.prop([fc.nat(), fc.nat()], { numRuns: 8 })("of any seed", (seedA, seedB) =>
    exchange(badLine(seedA, { lose: 0.05, double: 0.05, flip: 0.05 }), badLine(seedB, { lose: 0.05, double: 0.05, flip: 0.05 }), 20),
  );
});
