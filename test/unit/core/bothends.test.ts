// Both ends of the product's link, joined in process by a wire that flips, loses, doubles and tears: control/src/link and hv/core.
import { afterEach, expect, test } from "vitest";
import { Link } from "../../../control/src/link/link.js";
import type { Transport } from "../../../control/src/transport/transport.js";
import { Channel } from "../../../protocol/link.js";
import { GuestKind, Op } from "../../../protocol/messages.js";
import { creation, message } from "./codec.js";
import { Rig } from "./rig.js";

/** Nanoseconds of the hypervisor's clock in a turn of the loop: its 250 ms pass in 50 turns. */
const TURN = 5_000_000n;

interface Faults {
  flip: number;
  lose: number;
  double: number;
}

class Wire implements Transport {
  readonly pending = 0;
  readonly rig = new Rig({ memoryMiB: 32 });
  #random = 42;
  #listener: ((bytes: Uint8Array) => void) | undefined;
  #loop: NodeJS.Immediate;
  faults: Faults = { flip: 0, lose: 0, double: 0 };
  /** bytes that core gets in a turn */
  rate = 300;
  readonly #toCore: number[] = [];

  constructor() {
    const turn = (): void => {
      const { host, core } = this.rig;
      host.toCore.push(...this.#toCore.splice(0, this.rate));
      core.poll(host.toCore.length > 0 ? 0 : 1);
      host.clock += TURN;
      if (host.fromCore.length > 0) this.#listener?.(Uint8Array.from(this.#worsen(host.fromCore.splice(0, this.rate))));
      this.#loop = setImmediate(turn);
    };
    this.#loop = setImmediate(turn);
  }

  write(bytes: Uint8Array): void {
    this.#toCore.push(...this.#worsen([...bytes]));
  }

  onData(listener: (bytes: Uint8Array) => void): void {
    this.#listener = listener;
  }

  onClose(): void {
    // This wire is cut by nobody but close().
  }

  close(): void {
    clearImmediate(this.#loop);
  }

  #chance(rate: number): boolean {
    this.#random = (Math.imul(this.#random, 1664525) + 1013904223) >>> 0;
    return this.#random / 2 ** 32 < rate;
  }

  #worsen(bytes: number[]): number[] {
    const { flip, lose, double } = this.faults;
    return bytes.flatMap((byte) => {
      if (this.#chance(lose)) return [];
      const sent = this.#chance(flip) ? byte ^ (1 << (this.#random & 7)) : byte;
      return this.#chance(double) ? [sent, sent] : [sent];
    });
  }
}

let link: Link | undefined;
afterEach(() => {
  link?.close();
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

test.each<[string, Faults, number]>([
  ["a good wire", { flip: 0, lose: 0, double: 0 }, 300],
  ["a wire that flips bits", { flip: 0.0005, lose: 0, double: 0 }, 150],
  ["a wire that loses bytes", { flip: 0, lose: 0.0005, double: 0 }, 150],
  ["a wire that doubles bytes", { flip: 0, lose: 0, double: 0.0005 }, 150],
  ["a wire that does all of it", { flip: 0.0003, lose: 0.0003, double: 0.0003 }, 150],
])(
  "over %s every request has its reply, once and in order, and no console byte is missing",
  async (_, faults, count) => {
    const wire = new Wire();
    const end = new Link(wire, { retransmitMs: 20, maxRetransmitMs: 40, syncMs: 20 });
    link = end;
    const replies: { id: number; echo: string }[] = [];
    let printed = "";
    link.on("message", (channel, payload) => {
      const bytes = Buffer.from(payload);
      if (channel === Channel.Reply && bytes.readUInt32LE(0) < 1000)
        replies.push({ id: bytes.readUInt32LE(0), echo: bytes.subarray(8).toString() });
      if (channel === Channel.Console) printed += bytes.subarray(8).toString();
    });
    wire.faults = faults;
    await link.open();
    void link.send(Channel.Request, message(1000, Op.GuestCreate, creation(2 << 20, 0)));
    await link.send(Channel.Request, message(1001, Op.GuestStart, [0, GuestKind.Linux, 0, 64, 0]));
    await until(() => wire.rig.host.guests.size === 1);
    const text = Array.from({ length: 4000 }, (__, index) => String.fromCharCode(32 + (index % 95))).join("");
    wire.rig.host.print(0, text);
    const echo = (id: number): string => `${id}`.repeat(1 + (id % 60));
    const sent = Array.from({ length: count }, (__, id) => end.send(Channel.Request, message(id, Op.Ping, [], Buffer.from(echo(id)))));
    await Promise.all(sent);
    await until(() => replies.length >= count && printed.length >= text.length);
    expect(replies).toEqual(Array.from({ length: count }, (__, id) => ({ id, echo: echo(id) })));
    expect(printed).toBe(text);
  },
  30_000,
);

test("a control plane that starts again gets a session of its own", async () => {
  const wire = new Wire();
  link = new Link(wire, { syncMs: 20 });
  await link.open();
  await link.send(Channel.Request, message(1, Op.Ping));
  const again = new Link(wire, { syncMs: 20 });
  const got = new Promise<Uint8Array>((resolve) => again.on("message", (_, payload) => resolve(payload)));
  await again.open();
  await again.send(Channel.Request, message(2, Op.Ping));
  expect(Buffer.from(await got).readUInt32LE(0)).toBe(2);
  again.close();
});
