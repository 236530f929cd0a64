// Who may overtake whom while a long request is worked on: short ones that have nothing to do with it, and nobody else.
import { beforeEach, describe, expect, test } from "vitest";
import { GuestKind, Op, RunState, Status } from "../../../protocol/messages.js";
import { Register } from "../../../protocol/state.js";
import { creation } from "./codec.js";
import { Rig } from "./rig.js";

const MIB = 1 << 20;
let rig: Rig;
/** Started, and not the job's. */
let other: number;

const answered = (id: number): boolean => rig.replies.has(id);
/** Polls of a busy CPU whose clock stands almost still: a job gets a piece in few of them. */
const polls = (count: number): void => {
  for (let poll = 0; poll < count; poll++) rig.poll(0);
};
const until = (id: number): void => {
  for (let poll = 0; !answered(id); poll++) {
    if (poll === 10_000) throw new Error("no reply");
    rig.poll(1);
  }
};
/** A creation that has to scrub first. */
const createLater = (mib = 40): number => rig.post(Op.GuestCreate, creation(mib * MIB, 0));

beforeEach(() => {
  rig = Rig.open({ scrubbed: false, storeSectors: 2048 });
  other = Number(rig.ok(Op.GuestCreate, creation(2 * MIB, 0)).words[0]);
  rig.ok(Op.GuestStart, [other, GuestKind.Linux, 0, 64, 0]);
});

describe("while a guest is created that has to wait for memory", () => {
  let job: number;
  beforeEach(() => {
    job = createLater();
    rig.poll(0);
    expect(answered(job)).toBe(false);
  });

  test.each([
    [Op.Hello, []],
    [Op.Ping, []],
    [Op.HostStat, []],
    [Op.GuestState, [0]],
    [Op.GuestRegisters, [0]],
    [Op.GuestStat, [0, 0]],
    [Op.GuestRead, [0, 0, 512]],
    [Op.GuestPause, [0]],
    [Op.GuestNmi, [0]],
    [Op.GuestKill, [0]],
  ])("operation %i for another is answered in the next poll", (op, words) => {
    const id = rig.post(op, words);
    rig.poll(0);
    expect(rig.replies.get(id)?.status).toBe(Status.Ok);
    expect(answered(job)).toBe(false);
    until(job);
    expect(rig.replies.get(job)?.words[0]).toBe(1n);
  });

  test("answers in between do not mix with the job's own", () => {
    for (let turn = 0; !answered(job); turn++) {
      const id = rig.post(Op.GuestRegisters, [other]);
      rig.poll(turn & 1);
      expect(rig.replies.get(id)?.words).toEqual(Array.from({ length: Register.Count }, (_, index) => BigInt(index)));
    }
    const { status, words } = rig.replies.get(job) ?? {};
    expect([status, words?.[0], words?.slice(3).reduce((sum, word, index) => (index % 3 === 2 ? sum + word : sum), 0n)]).toEqual([
      Status.Ok,
      1n,
      40n << 20n,
    ]);
  });

  test("what follows for the guest that it will be waits, in order", () => {
    const write = rig.post(Op.GuestWrite, [1, 0], Buffer.from("kernel"));
    const read = rig.post(Op.GuestRead, [1, 0, 6]);
    const start = rig.post(Op.GuestStart, [1, GuestKind.Linux, 0, 64, 0]);
    const state = rig.post(Op.GuestState, [1]);
    polls(3);
    expect([write, read, start, state].some(answered)).toBe(false);
    until(state);
    expect([job, write, read, start, state].map((id) => rig.replies.get(id)?.status)).toEqual([0, 0, 0, 0, 0]);
    expect(rig.replies.get(read)?.bytes.toString()).toBe("kernel");
    expect(rig.replies.get(state)?.words[0]).toBe(BigInt(RunState.Runnable));
    expect([...rig.replies.keys()].slice(-5)).toEqual([job, write, read, start, state]);
  });

  test("a second long one waits its turn, and so does what names the same guest after it", () => {
    const digest = rig.post(Op.GuestDigest, [other, 0, 2 * MIB]);
    const read = rig.post(Op.GuestRead, [other, 0, 8]);
    const ping = rig.post(Op.Ping);
    polls(2);
    expect([digest, read, ping].map(answered)).toEqual([false, false, true]);
    until(read);
    expect([...rig.replies.keys()].slice(-4)).toEqual([ping, job, digest, read]);
  });

  test("a write is never overtaken by a read of what it wrote", () => {
    rig.post(Op.GuestWrite, [other, 64], Buffer.from("new"));
    const read = rig.post(Op.GuestRead, [other, 64, 3]);
    until(read);
    expect(rig.replies.get(read)?.bytes.toString()).toBe("new");
  });

  test("more than one poll takes up are taken up in the next ones, and those that wait stay whole", () => {
    const waiting = Array.from({ length: 8 }, (_, index) => rig.post(Op.GuestWrite, [1, index * 600], Buffer.alloc(600, index + 1)));
    const pings = Array.from({ length: 40 }, (_, index) => rig.post(Op.Ping, [], Buffer.from(`ping ${index}`)));
    for (let poll = 0; poll < 20 && !pings.every(answered); poll++) {
      expect(rig.host.timer <= rig.host.clock || rig.host.toCore.length > 0).toBe(true);
      rig.poll(0);
    }
    expect(pings.map((id) => rig.replies.get(id)?.bytes.toString())).toEqual(pings.map((_, index) => `ping ${index}`));
    expect(waiting.some(answered)).toBe(false);
    until(waiting[7]);
    for (let index = 0; index < 8; index++)
      expect(Buffer.from(rig.host.ramRead(1, index * 600, 600)).equals(Buffer.alloc(600, index + 1))).toBe(true);
  });

  test("a frame that is half there when it is overtaken is whole in the end", () => {
    const write = rig.post(Op.GuestWrite, [1, 0], Buffer.alloc(500, 5));
    rig.poll(0);
    const ping = rig.post(Op.Ping);
    const late = rig.post(Op.GuestWrite, [1, 500], Buffer.alloc(500, 6));
    const rest = rig.host.toCore.splice(-300);
    // An acknowledgement would come into the middle of the frame.
    rig.acks = false;
    rig.poll(0);
    expect(answered(ping)).toBe(true);
    rig.acks = true;
    rig.give(rest);
    until(late);
    expect([write, late].map((id) => rig.replies.get(id)?.status)).toEqual([Status.Ok, Status.Ok]);
    expect(rig.host.ramRead(1, 400, 200)).toEqual(Uint8Array.from({ length: 200 }, (_, index) => (index < 100 ? 5 : 6)));
  });

  test("what is too short to be looked at waits, and is refused then", () => {
    const bare = rig.post(Op.GuestState);
    const ping = rig.post(Op.Ping);
    polls(2);
    expect([bare, ping].map(answered)).toEqual([false, true]);
    until(bare);
    expect(rig.replies.get(bare)?.status).toBe(Status.BadRequest);
  });
});

test("what names the guest of the job waits for it", () => {
  const job = rig.post(Op.GuestDigest, [other, 0, 2 * MIB]);
  const kill = rig.post(Op.GuestKill, [other]);
  const ping = rig.post(Op.Ping);
  polls(1);
  expect([job, kill, ping].map(answered)).toEqual([false, false, true]);
  until(kill);
  expect([...rig.replies.keys()].slice(-3)).toEqual([ping, job, kill]);
});

test("without a job requests are answered in order", () => {
  const ids = [Op.Ping, Op.HostStat, Op.Hello].map((op) => rig.post(op));
  ids.push(rig.post(Op.GuestWrite, [other, 0], Buffer.alloc(9)), rig.post(Op.GuestRead, [other, 0, 9]));
  rig.poll(0);
  expect([...rig.replies.keys()].slice(-5)).toEqual(ids);
});
