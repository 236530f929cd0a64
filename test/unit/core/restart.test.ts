// Ends of the line that go in mid-frame and come back, noise before a session, and a peer of another version: the control plane's link and core.
import { afterEach, describe, expect, test } from "vitest";
import { RemoteHypervisor } from "../../../control/src/hypervisor/client.js";
import { encodeFrame, FrameReader } from "../../../control/src/link/frame.js";
import { Link, type LinkOptions } from "../../../control/src/link/link.js";
import { MockTransport } from "../../../control/src/transport/mock.js";
import type { Transport } from "../../../control/src/transport/transport.js";
import { Channel, FrameType, Link as Limit } from "../../../protocol/link.js";
import { Op } from "../../../protocol/messages.js";
import { randomFrom, scaled, seedOf } from "../../support/scale.js";
import { FakeHypervisor } from "../hypervisor/fake.js";
import { BareMetal } from "./bare.js";
import { message } from "./codec.js";
import { Rig } from "./rig.js";

const quick: LinkOptions = { retransmitMs: 5, maxRetransmitMs: 10, syncMs: 5 };
const small = { memoryMiB: 2, hostFrames: 512 };
const lines: BareMetal[] = [];
afterEach(() => {
  for (const line of lines.splice(0)) line.close();
});

function bareMetal(): BareMetal {
  const line = new BareMetal(new Rig(small));
  lines.push(line);
  return line;
}

/** A process's hold on the line: when it goes, the line stays. */
function holdOf(line: Transport): Transport {
  let gone = false;
  return {
    pending: 0,
    write: (bytes) => {
      if (!gone) line.write(bytes);
    },
    onData: (listener) => line.onData((bytes) => (gone ? undefined : listener(bytes))),
    onClose: () => undefined,
    close: () => {
      gone = true;
    },
  };
}

/** A line that breaks and is there again: what is under way meanwhile is lost. */
function breakable(line: Transport): Transport & { break: () => void; mend: () => void } {
  let [away, broken, back] = [false, (_: Error): void => undefined, (): void => undefined];
  let listen = (): void => undefined;
  return {
    ...holdOf(line),
    write: (bytes) => {
      if (!away) line.write(bytes);
    },
    onData: (listener) => {
      listen = () => line.onData((bytes) => (away ? undefined : listener(bytes)));
      listen();
    },
    onBroken: (listener) => {
      broken = listener;
    },
    onBack: (listener) => {
      back = listener;
    },
    break: () => {
      away = true;
      broken(new Error("it was pulled out"));
    },
    mend: () => {
      away = false;
      listen();
      back();
    },
  };
}

/** A Ping and its reply. */
async function ping(link: Link, id: number): Promise<void> {
  const replied = new Promise<void>((resolve) => {
    const listener = (_: Channel, payload: Uint8Array): void => {
      if (Buffer.from(payload).readUInt32LE(0) !== id) return;
      link.off("message", listener);
      resolve();
    };
    link.on("message", listener);
  });
  await link.send(Channel.Request, message(id, Op.Ping, [], Buffer.alloc(600, id)));
  await replied;
}

describe("while its line is away", () => {
  test("a session waits, and goes on: nothing is lost, nothing comes twice", async () => {
    const line = bareMetal();
    const outside = breakable(line);
    const link = new Link(outside, quick);
    link.setMaxListeners(40);
    const told: string[] = [];
    for (const what of ["broken", "back", "lost"] as const) link.on(what, () => told.push(what));
    await link.open();
    let [replies, done] = [0, 0];
    link.on("message", (channel) => {
      if (channel === Channel.Reply) replies++;
    });
    const rounds = 5;
    for (let round = 0; round < rounds; round++) {
      const pings = Array.from({ length: 20 }, (_, index) => ping(link, round * 20 + index + 1).then(() => done++));
      await expect.poll(() => done, { interval: 1 }).toBeGreaterThan(round * 20 + 3);
      // In the middle of a frame, each way.
      line.write(Uint8Array.of(9, 1, 2));
      outside.break();
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(link.state).toBe("resuming");
      outside.mend();
      await Promise.all(pings);
    }
    expect(replies).toBe(rounds * 20);
    await expect.poll(() => told.length, { interval: 1 }).toBe(rounds * 2);
    expect(told).toEqual(Array.from({ length: rounds }, () => ["broken", "back"]).flat());
    link.close();
  });

  test.each<[string, (line: BareMetal) => Promise<void>, RegExp]>([
    ["the hypervisor starts again", async (line) => line.restart(new Rig(small)), /started again/],
    [
      "another control plane has the hypervisor",
      async (line) => {
        const other = new Link(holdOf(line), quick);
        await other.open();
        await ping(other, 1);
        other.close();
      },
      /Another control plane/,
    ],
  ])("%s: the session is lost, and its frames are not taken for the new one's", async (_, meanwhile, why) => {
    const line = bareMetal();
    const outside = breakable(line);
    const link = new Link(outside, quick);
    await link.open();
    await ping(link, 1);
    const lost = new Promise<Error>((resolve) => link.on("lost", resolve));
    outside.break();
    const waiting = link.send(Channel.Request, message(2, Op.Shutdown)).catch((error: unknown) => error);
    await meanwhile(line);
    outside.mend();
    expect((await lost).message).toMatch(why);
    expect(await waiting).toMatchObject({ code: "E_LINK_LOST" });
    expect(line.rig.host.stopped).toBe(false);
  });

  test("a hypervisor that says nothing when it is there again counts as lost, in time", async () => {
    const line = bareMetal();
    const outside = breakable(line);
    const link = new Link(outside, { ...quick, silenceMs: 50 });
    await link.open();
    const lost = new Promise<Error>((resolve) => link.on("lost", resolve));
    outside.break();
    line.close();
    outside.mend();
    expect((await lost).message).toMatch(/not acknowledged anything/);
  });
});

describe("in mid-frame", () => {
  test("a control plane goes, and the next one has a session of its own, again and again", async () => {
    const line = bareMetal();
    const below = randomFrom(seedOf(3));
    for (let turn = 1; turn <= 30; turn++) {
      const link = new Link(holdOf(line), quick);
      await link.open();
      await ping(link, turn);
      void link.send(Channel.Request, message(turn, Op.Ping)).catch(() => undefined);
      const frame = encodeFrame({ type: FrameType.Data, seq: 2, ack: 0, channel: 0, credit: 8, payload: Buffer.alloc(600, turn) });
      line.write(frame.subarray(0, below(frame.length)));
      link.close();
    }
  });

  test("the hypervisor goes and starts again: what waited is lost, with the reason, and a new link has a session", async () => {
    const line = bareMetal();
    const link = new Link(line, quick);
    await link.open();
    await ping(link, 1);
    const lost = new Promise<Error>((resolve) => link.on("lost", resolve));
    line.back = (bytes) => [bytes.subarray(0, bytes.length >> 1)];
    const waits = link.send(Channel.Request, message(2, Op.Ping, [], Buffer.alloc(600, 2))).then(
      () => undefined,
      (error: unknown) => error,
    );
    await new Promise((resolve) => setTimeout(resolve, 20));
    line.back = (bytes) => [bytes];
    line.restart(new Rig({ ...small, epoch: 0xfeee }));
    expect(await lost).toMatchObject({ code: "E_LINK_LOST", message: "The hypervisor has started again." });
    expect(await waits).toMatchObject({ code: "E_LINK_LOST" });
    const next = new BareMetal(line.rig);
    lines.push(next);
    const again = new Link(next, quick);
    await again.open();
    await ping(again, 3);
  });
});

test(
  "random bytes both ways end in a normal session",
  async () => {
    const line = bareMetal();
    const below = randomFrom(seedOf(13));
    const noise = (): Uint8Array => Uint8Array.from({ length: 4096 }, () => (below(12) === 0 ? 0 : below(256)));
    const link = new Link(line, quick);
    let texts = 0;
    link.on("text", () => texts++);
    const opened = link.open();
    for (let left = scaled(1 << 18, 1 << 24); left > 0; left -= 4096) {
      line.write(noise());
      line.back = (bytes) => [noise(), bytes];
      await new Promise((resolve) => setImmediate(resolve));
    }
    line.back = (bytes) => [bytes];
    await opened;
    for (let id = 1; id <= 20; id++) await ping(link, id);
    expect(link.statistics.framesBad).toBeGreaterThan(0);
    expect(texts).toBe(0);
  },
  scaled(30_000, 600_000),
);

describe("a peer of another version", () => {
  const syncOf = (version: number, epoch: number): Uint8Array => new Uint8Array(Uint32Array.of(version, epoch).buffer);

  test("is named, and so is ours: it answers our Sync with its own version", async () => {
    const fake = new FakeHypervisor();
    fake.link.close();
    const [near, far] = MockTransport.pair();
    Object.assign(fake, { transport: near });
    const reader = new FrameReader({
      onFrame: ({ type, payload }) => {
        const epoch = Buffer.from(payload).readUInt32LE(4);
        if (type !== FrameType.Sync) return;
        far.write(encodeFrame({ type: FrameType.SyncAck, seq: 0, ack: 0, channel: 0, credit: 0, payload: syncOf(1, epoch) }));
      },
      onText: () => undefined,
      onBad: () => undefined,
    });
    far.onData((bytes) => reader.push(bytes));
    await expect(RemoteHypervisor.connect(fake)).rejects.toMatchObject({
      code: "E_LINK_VERSION",
      message: expect.stringContaining("version 1") as string,
      data: { theirs: 1, ours: Limit.Version },
    });
  });

  test("that starts the session is named as well", async () => {
    const fake = new FakeHypervisor();
    fake.link.close();
    const [near, far] = MockTransport.pair();
    Object.assign(fake, { transport: near });
    far.write(encodeFrame({ type: FrameType.Sync, seq: 0, ack: 0, channel: 0, credit: 0, payload: syncOf(7, 99) }));
    await expect(RemoteHypervisor.connect(fake)).rejects.toMatchObject({
      code: "E_LINK_VERSION",
      data: { theirs: 7, ours: Limit.Version },
    });
  });
});
