import { afterEach, describe, expect, it, vi } from "vitest";
import { Link, type LinkOptions } from "../../../control/src/link/link.js";
import { LastingTransport } from "../../../control/src/transport/lasting.js";
import { MockTransport } from "../../../control/src/transport/mock.js";
import type { Transport } from "../../../control/src/transport/transport.js";
import { Channel, Link as Limit } from "../../../protocol/link.js";

const quick: LinkOptions = { retransmitMs: 5, maxRetransmitMs: 20, syncMs: 5 };

/** A line that can be broken: the far end stays, and gets whatever line there is. */
class Exchange {
  #far: MockTransport | undefined;
  #near: MockTransport | undefined;
  #listener: ((bytes: Uint8Array) => void) | undefined;
  opened = 0;
  /** attempts that fail before the next one succeeds */
  failing = 0;

  readonly far: Transport = {
    pending: 0,
    write: (bytes) => this.#far?.write(bytes),
    onData: (listener) => {
      this.#listener = listener;
      this.#far?.onData(listener);
    },
    onClose: () => undefined,
    close: () => this.#far?.close(),
  };

  line(): MockTransport {
    const [near, far] = MockTransport.pair();
    [this.#near, this.#far] = [near, far];
    if (this.#listener) far.onData(this.#listener);
    this.opened++;
    return near;
  }

  readonly open = (): Promise<Transport> =>
    this.failing-- > 0 ? Promise.reject(new Error("nobody is there")) : Promise.resolve(this.line());

  /** In mid-frame: the rest of what is under way never comes. */
  break(): void {
    this.#far?.write(Uint8Array.of(9, 1, 2, 3));
    this.#far?.close();
    this.#near?.close();
  }
}

let transport: LastingTransport | undefined;
afterEach(() => transport?.close());

describe("a line that breaks", () => {
  it("is opened anew, and the session goes on where it was: all arrives once, in order", async () => {
    const exchange = new Exchange();
    const told: string[] = [];
    transport = new LastingTransport(exchange.line(), { open: exchange.open, retryMs: 2 });
    transport.onBroken(() => told.push("broken"));
    transport.onBack(() => told.push("back"));
    const [near, far] = [new Link(transport, quick), new Link(exchange.far, quick)];
    const taken: number[] = [];
    far.on("message", (_, payload) => {
      taken.push(Buffer.from(payload).readUInt32LE(0));
      if (taken.length % 100 === 0) {
        exchange.failing = 3;
        exchange.break();
      }
    });
    await Promise.all([near.open(), far.open()]);
    const count = 500;
    await Promise.all(
      Array.from({ length: count }, (_, index) => {
        const payload = Buffer.alloc(Limit.MaxPayload);
        payload.writeUInt32LE(index);
        return near.send(Channel.Bulk, payload);
      }),
    );
    expect(taken).toEqual(Array.from({ length: count }, (_, index) => index));
    await vi.waitFor(() => expect(told.filter((what) => what === "back")).toHaveLength(exchange.opened - 1));
    expect(exchange.opened).toBeGreaterThan(4);
    // What had arrived was not sent again: a window at each break, and the questions while the line was away.
    expect(near.statistics.bytesOut).toBeLessThan(count * 700 * 2);
    near.close();
    far.close();
  });

  it("and cannot come back is the end, with the reason", async () => {
    const exchange = new Exchange();
    let attempts = 0;
    const isPassing = (): boolean => ++attempts < 4;
    transport = new LastingTransport(exchange.line(), { open: exchange.open, retryMs: 2, isPassing });
    const [near, far] = [new Link(transport, quick), new Link(exchange.far, quick)];
    await Promise.all([near.open(), far.open()]);
    const lost = new Promise<Error>((resolve) => near.on("lost", resolve));
    exchange.failing = Number.POSITIVE_INFINITY;
    exchange.break();
    expect((await lost).message).toMatch(/the line was closed, and it cannot come back: nobody is there/);
    expect(attempts).toBe(4);
    far.close();
  });

  it("before there is a session is the end: nothing is to be kept", async () => {
    const exchange = new Exchange();
    transport = new LastingTransport(exchange.line(), { open: exchange.open, retryMs: 2 });
    const opened = new Link(transport, quick).open();
    exchange.break();
    await expect(opened).rejects.toMatchObject({ code: "E_LINK_LOST" });
  });

  it("is not opened anew after close()", async () => {
    const exchange = new Exchange();
    transport = new LastingTransport(exchange.line(), { open: exchange.open, retryMs: 2 });
    const closed = new Promise((resolve) => transport?.onClose(resolve));
    transport.close();
    expect(await closed).toBeUndefined();
    exchange.break();
    await new Promise((resolve) => setImmediate(resolve));
    expect(exchange.opened).toBe(1);
  });

  it("that comes back after close() is closed at once", async () => {
    const exchange = new Exchange();
    let back: (line: Transport) => void = () => undefined;
    const open = (): Promise<Transport> =>
      new Promise((resolve) => {
        back = resolve;
      });
    transport = new LastingTransport(exchange.line(), { open, retryMs: 2 });
    exchange.break();
    await new Promise((resolve) => setImmediate(resolve));
    transport.close();
    const late = exchange.line();
    const closed = new Promise((resolve) => late.onClose(resolve));
    back(late);
    await closed;
  });
});
