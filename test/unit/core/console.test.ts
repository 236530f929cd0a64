// Consoles and events: in order, fair, never more than the line takes, and nothing forgotten.
import { beforeEach, describe, expect, test } from "vitest";
import { Channel, Link } from "../../../protocol/link.js";
import { EndReason, Event, GuestKind, Op, ResumeClock, RunState } from "../../../protocol/messages.js";
import { Register } from "../../../protocol/state.js";
import { creation, data, message } from "./codec.js";
import { Rig } from "./rig.js";

const ROOM = Link.MaxPayload - Link.MessageHeaderBytes;
const RESERVED = 2;
let rig: Rig;

const guests = (count: number): void => {
  for (let guest = 0; guest < count; guest++) {
    rig.ok(Op.GuestCreate, creation(2 << 20, 0));
    rig.ok(Op.GuestStart, [guest, GuestKind.Linux, 0, 64, 0]);
  }
};

beforeEach(() => {
  rig = Rig.open();
});

describe("output", () => {
  test("of both ports arrives as it was written", () => {
    guests(2);
    rig.host.print(0, "login: ");
    rig.host.print(1, "other guest");
    rig.host.print(1, "second port", 1);
    rig.poll();
    expect(rig.console).toHaveLength(3);
    expect([rig.said(0), rig.said(1), rig.said(1, 1)]).toEqual(["login: ", "other guest", "second port"]);
  });

  test("of a flood is neither lost nor disordered", () => {
    guests(1);
    const text = Array.from({ length: 20_000 }, (_, index) => String.fromCharCode(33 + (index % 90))).join("");
    rig.host.print(0, text);
    rig.settle();
    expect(rig.said(0)).toBe(text);
  });

  test("leaves room in the window for replies, and bytes in the ring", () => {
    guests(1);
    rig.acks = false;
    rig.host.print(0, Buffer.alloc(ROOM * 20, 65));
    rig.poll();
    expect(rig.console).toHaveLength(Link.Window - RESERVED);
    expect(rig.host.guest(0).output[0]).toHaveLength(ROOM * (20 - Link.Window + RESERVED));
    const id = rig.post(Op.Ping);
    rig.poll();
    expect(rig.replies.has(id)).toBe(true);
    rig.acks = true;
    rig.acknowledge();
    rig.settle();
    expect(rig.said(0)).toHaveLength(ROOM * 20);
  });

  test("of a guest that floods does not keep others silent", () => {
    guests(3);
    for (const guest of [0, 1]) rig.host.print(guest, Buffer.alloc(ROOM * 50, 65 + guest));
    rig.host.print(2, "me too");
    rig.poll();
    expect(new Set(rig.console.slice(0, 3).map(({ guest }) => guest))).toEqual(new Set([0, 1, 2]));
    rig.settle();
    const order = rig.console.map(({ guest }) => guest).filter((guest) => guest < 2);
    // In turn to the end.
    expect(order.every((guest, index) => index === 0 || guest !== order[index - 1])).toBe(true);
    expect(rig.said(0)).toHaveLength(ROOM * 50);
    expect(rig.said(1)).toHaveLength(ROOM * 50);
  });

  test("that was lost is told", () => {
    guests(1);
    rig.host.print(0, "x");
    rig.host.guest(0).lost = [3, 9];
    rig.poll();
    expect(rig.news).toEqual([
      { event: Event.ConsoleLost, guest: 0, words: [0n, 3n] },
      { event: Event.ConsoleLost, guest: 0, words: [1n, 9n] },
    ]);
  });

  test("that was on its way when a session ended is told as lost in the next, and so is what was told of losses", () => {
    guests(3);
    rig.host.print(0, "arrives");
    rig.settle();
    rig.acks = false;
    rig.host.print(0, "gone");
    rig.host.print(1, "gone, too", 1);
    rig.host.guest(1).lost = [0, 100];
    rig.host.print(2, Buffer.alloc(ROOM * 20, 65));
    rig.poll();
    const under = rig.console.filter(({ guest }) => guest === 2).length;
    expect(under).toBeGreaterThan(0);
    rig.acks = true;
    rig.console = [];
    rig.news = [];
    rig.synchronize(99);
    rig.settle();
    expect(rig.news).toEqual([
      { event: Event.ConsoleLost, guest: 0, words: [0n, 4n] },
      { event: Event.ConsoleLost, guest: 1, words: [1n, 109n] },
      { event: Event.ConsoleLost, guest: 2, words: [0n, BigInt(under * ROOM)] },
    ]);
    expect(rig.said(2)).toHaveLength((20 - under) * ROOM);
    rig.news = [];
    rig.synchronize(100);
    rig.settle();
    expect(rig.news).toEqual([]);
  });
});

describe("input", () => {
  const type = (guest: number, port: number, text: string | Uint8Array): void =>
    rig.send(Channel.Console, message(guest, port, [], Buffer.from(text as string)));

  test("reaches its port", () => {
    guests(2);
    type(1, 0, "uname\n");
    type(1, 1, "second");
    rig.poll();
    expect(Buffer.from(rig.host.guest(1).input[0]).toString()).toBe("uname\n");
    expect(Buffer.from(rig.host.guest(1).input[1]).toString()).toBe("second");
    expect(rig.news).toEqual([]);
  });

  test("for which there is no room is lost, and told", () => {
    guests(1);
    type(0, 0, Buffer.alloc(600, 1));
    type(0, 0, Buffer.alloc(600, 2));
    rig.poll();
    expect(rig.host.guest(0).input[0]).toHaveLength(1024);
    expect(rig.news).toEqual([{ event: Event.ConsoleInputLost, guest: 0, words: [0n, 176n] }]);
  });

  test("is not taken while the loss of some of it could not be told", () => {
    guests(1);
    rig.acks = false;
    for (let id = 0; id < Link.Window; id++) rig.post(Op.Ping);
    rig.poll();
    const taken = rig.acked;
    // Sent before the replies were seen: it acknowledges none of them.
    rig.give(data(rig.seq, rig.expected - Link.Window, Channel.Console, message(0, 0, [], Buffer.alloc(640, 1))));
    rig.poll();
    expect(rig.acked).toBe(taken);
    rig.acks = true;
    type(0, 0, Buffer.alloc(640, 1));
    type(0, 0, Buffer.alloc(640, 2));
    rig.ok(Op.Ping);
    expect(rig.news).toEqual([{ event: Event.ConsoleInputLost, guest: 0, words: [0n, 256n] }]);
  });

  test("for nobody goes nowhere", () => {
    guests(1);
    type(1, 0, "x");
    type(0, 2, "x");
    type(0xffff_ffff, 0xffff_ffff, "x");
    type(0, 0, "");
    rig.poll();
    expect(rig.host.guest(0).input).toEqual([[], []]);
    rig.ok(Op.Ping);
  });
});

describe("events", () => {
  test("an end comes once, after the last words, with its reason", () => {
    guests(1);
    rig.host.print(0, "goodbye");
    rig.host.end(0, EndReason.DebugExit, 0x21n);
    rig.poll();
    rig.host.guest(0).changed = true;
    rig.settle();
    expect(rig.said(0)).toBe("goodbye");
    const words = [BigInt(EndReason.DebugExit), 0x21n, BigInt(Register.Rip), 0n, 0n];
    expect(rig.news).toEqual([{ event: Event.GuestEnded, guest: 0, words }]);
    expect(
      rig.frames.filter(({ channel }) => channel === Channel.Console || channel === Channel.Event).map(({ channel }) => channel),
    ).toEqual([Channel.Console, Channel.Event]);
  });

  test("an end on another CPU, while core is at the guest's console, comes after the last words too", () => {
    guests(1);
    rig.host.print(0, "so ");
    rig.host.meanwhile = () => {
      rig.host.print(0, "long");
      rig.host.end(0, EndReason.PowerOff);
    };
    rig.poll();
    expect(rig.said(0)).toBe("so ");
    expect(rig.news).toEqual([]);
    rig.settle();
    expect(rig.said(0)).toBe("so long");
    expect(
      rig.frames.filter(({ channel }) => channel === Channel.Console || channel === Channel.Event).map(({ channel }) => channel),
    ).toEqual([Channel.Console, Channel.Console, Channel.Event]);
    expect(rig.news.map(({ event }) => event)).toEqual([Event.GuestEnded]);
  });

  test("pauses are told, halts are not", () => {
    guests(1);
    for (const state of [RunState.Halted, RunState.Runnable, RunState.Halted]) {
      Object.assign(rig.host.guest(0), { state, changed: true });
      rig.poll();
    }
    rig.ok(Op.GuestPause, [0]);
    rig.ok(Op.GuestResume, [0, ResumeClock.Frozen, 0n]);
    rig.ok(Op.GuestPause, [0]);
    rig.settle();
    const paused = { event: Event.GuestState, guest: 0, words: [BigInt(RunState.Paused)] };
    expect(rig.news).toEqual([paused, paused]);
  });

  test("of many guests at once wait for the window, and none is forgotten", () => {
    guests(20);
    rig.acks = false;
    for (let guest = 0; guest < 20; guest++) {
      rig.host.print(guest, "bye");
      rig.host.end(guest, EndReason.PowerOff);
    }
    rig.poll();
    rig.poll();
    expect(rig.news.length).toBeLessThanOrEqual(Link.Window);
    rig.acks = true;
    rig.acknowledge();
    rig.settle();
    expect(rig.news.map(({ guest }) => guest).sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, index) => index));
  });

  test("a session that comes later hears of an end that nobody was told", () => {
    const late = new Rig();
    late.synchronize();
    late.ok(Op.GuestCreate, creation(2 << 20, 0));
    late.acks = false;
    for (let id = 0; id < 8; id++) late.post(Op.Ping);
    late.poll();
    late.host.end(0, EndReason.TripleFault);
    late.poll();
    expect(late.news).toEqual([]);
    late.acks = true;
    late.synchronize(99);
    late.settle();
    expect(late.news.map(({ event }) => event)).toEqual([Event.GuestEnded]);
  });

  test("a guest that is gone has no news", () => {
    guests(1);
    rig.ok(Op.GuestKill, [0]);
    rig.settle();
    rig.news = [];
    rig.ok(Op.GuestDestroy, [0]);
    rig.ok(Op.GuestCreate, creation(2 << 20, 0));
    rig.settle();
    expect(rig.news).toEqual([]);
  });
});
