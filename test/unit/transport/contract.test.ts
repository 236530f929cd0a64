// One suite for every transport: what the link and the bridge rely on. `far` is the other end of the line, whatever it is there.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { Bridge } from "../../../control/src/bridge/bridge.js";
import { MockTransport } from "../../../control/src/transport/mock.js";
import { connectSocket, SocketListener, SocketTransport } from "../../../control/src/transport/socket.js";
import { makeToken } from "../../../control/src/transport/token.js";
import type { Line } from "../../../control/src/transport/transport.js";
import { openTty } from "../../../control/src/transport/tty.js";
import { connectWebSocket } from "../../../control/src/transport/websocket.js";
import { openPty } from "../../support/pty.js";

interface Pair {
  near: Line;
  far: Line;
  /** the reason that `near` has for its end when `far` closes it */
  gone: unknown;
  /** more than lies between the two ends */
  bytes?: number;
}

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

async function socketPair(address: { path: string } | { port: number }): Promise<[Line, Line]> {
  const listener = await SocketListener.listen(address);
  const near = await connectSocket(listener.address);
  return [near, await listener.accept()];
}

const pairs: Record<string, () => Promise<Pair>> = {
  mock: async () => {
    const [near, far] = MockTransport.pair();
    return { near, far, gone: expect.any(Error) };
  },
  "a Unix socket": async () => {
    const folder = mkdtempSync(join(tmpdir(), "hvkit-line-"));
    cleanups.push(() => rmSync(folder, { recursive: true }));
    const [near, far] = await socketPair({ path: join(folder, "s") });
    return { near, far, gone: expect.any(Error) };
  },
  "a TCP socket": async () => {
    const [near, far] = await socketPair({ port: 0 });
    return { near, far, gone: expect.any(Error) };
  },
  "a tty": async () => {
    const pty = openPty();
    const near = openTty({ path: pty.path });
    return { near, far: new SocketTransport(pty.far()), gone: expect.objectContaining({ code: "E_TTY_GONE" }), bytes: 200_000 };
  },
  "a WebSocket on a bridge": async () => {
    const [line, far] = await socketPair({ port: 0 });
    const token = makeToken();
    const bridge = await Bridge.open({ line, name: "the line", listen: { host: "127.0.0.1", port: 0 }, token });
    cleanups.push(() => bridge.close());
    const near = await connectWebSocket(new URL(bridge.url), { token });
    return { near, far, gone: expect.objectContaining({ message: expect.stringContaining("the line was closed") }) };
  },
};

/** Every byte value, in an order that shows losses and repetitions. */
function pattern(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at++) bytes[at] = at * 7 + (at >> 8) * 13 + seed;
  return bytes;
}

/** Collects what comes, until `length` bytes are there. */
function collect(line: Line): { bytes: () => Buffer; until: (length: number) => Promise<Buffer> } {
  const pieces: Buffer[] = [];
  let count = 0;
  let wake = (): void => {};
  line.onData((piece) => {
    pieces.push(Buffer.from(piece));
    count += piece.length;
    wake();
  });
  const bytes = (): Buffer => Buffer.concat(pieces);
  return {
    bytes,
    until: async (length) => {
      while (count < length) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return bytes();
    },
  };
}

describe.each(Object.entries(pairs).filter(([name]) => name !== "a tty" || process.platform === "linux"))("%s", (_name, make) => {
  const pair = async (): Promise<Pair> => {
    const made = await make();
    cleanups.push(() => {
      made.near.close();
      made.far.close();
    });
    return made;
  };

  it("carries every byte both ways at once, as it is and in order", async () => {
    const { near, far } = await pair();
    const [there, back] = [pattern(200_000, 1), pattern(200_000, 2)];
    const [atFar, atNear] = [collect(far), collect(near)];
    for (let at = 0; at < there.length; at += 650) {
      near.write(there.subarray(at, at + 650));
      far.write(back.subarray(at, at + 650));
    }
    expect((await atFar.until(there.length)).equals(there)).toBe(true);
    expect((await atNear.until(back.length)).equals(back)).toBe(true);
    expect([near.pending, far.pending]).toEqual([0, 0]);
  });

  it("keeps what comes before anyone listens", async () => {
    const { near, far } = await pair();
    far.write(Buffer.from("early "));
    await new Promise((resolve) => setTimeout(resolve, 20));
    const got = collect(near);
    far.write(Buffer.from("late"));
    expect((await got.until(10)).toString()).toBe("early late");
  });

  it("is held back: its buffer fills, what was written waits, and comes in order after it", async () => {
    const { near, far, bytes = 4_000_000 } = await pair();
    const sent = pattern(bytes, 3);
    const got = collect(near);
    near.pause();
    far.write(sent.subarray(0, 1000));
    let drained = 0;
    far.onDrain(() => drained++);
    far.write(sent.subarray(1000));
    await new Promise((resolve) => setTimeout(resolve, 100));
    const held = got.bytes().length;
    expect(held).toBeLessThan(sent.length / 2);
    near.resume();
    expect((await got.until(sent.length)).equals(sent)).toBe(true);
    await expect.poll(() => far.pending, { timeout: 20_000 }).toBe(0);
    await expect.poll(() => drained, { timeout: 20_000 }).toBeGreaterThan(0);
  });

  it("tells its own close without a reason, also to those who ask later, and takes no more", async () => {
    const { near } = await pair();
    const reason = new Promise((resolve) => near.onClose(resolve));
    near.close();
    near.write(Buffer.from("dropped"));
    expect(await reason).toBeUndefined();
    expect(await new Promise((resolve) => near.onClose(resolve))).toBeUndefined();
    near.close();
  });

  it("tells the other side's close with the reason, once, also to those who ask later", async () => {
    const { near, far, gone } = await pair();
    near.onData(() => {});
    const reasons: unknown[] = [];
    near.onClose((error) => reasons.push(error));
    far.close();
    await expect.poll(() => reasons.length, { timeout: 20_000 }).toBe(1);
    expect(reasons).toEqual([gone]);
    expect(await new Promise((resolve) => near.onClose(resolve))).toEqual(gone);
    near.write(Buffer.from("dropped"));
  });
});
