import { describe, expect, it, vi } from "vitest";
import { RemoteHypervisor } from "../../../control/src/hypervisor/client.js";
import type { Message } from "../../../control/src/hypervisor/codec.js";
import type { MemoryWindow } from "../../../control/src/native/window.js";
import { badLine } from "../../../control/src/transport/mock.js";
import { Channel, Link } from "../../../protocol/link.js";
import {
  EndReason,
  Event,
  GuestEntryReply,
  GuestFramesArgs,
  GuestLimit,
  GuestStatReply,
  Op,
  RunState,
  Status,
} from "../../../protocol/messages.js";
import { Register } from "../../../protocol/state.js";
import { type Answer, FakeHypervisor, type FakeOptions } from "./fake.js";

async function connected(options: FakeOptions = {}): Promise<{ fake: FakeHypervisor; hypervisor: RemoteHypervisor }> {
  const fake = new FakeHypervisor(options).boot();
  return { fake, hypervisor: await RemoteHypervisor.connect(fake, { timeoutMs: 10_000 }) };
}

const bytes = (length: number, seed = 1): Uint8Array => Uint8Array.from({ length }, (_, index) => (index * 7 + seed) & 255);

describe("connecting", () => {
  it("waits for the hypervisor and takes its Hello", async () => {
    const fake = new FakeHypervisor();
    setTimeout(() => fake.boot(), 30);
    const hypervisor = await RemoteHypervisor.connect(fake);
    expect(hypervisor.hello).toMatchObject({ version: Link.Version, vendor: 2, identity: "hvkit fake" });
    await hypervisor.close();
  });

  it("gives up at its deadline, with the last words of both", async () => {
    const fake = new FakeHypervisor();
    fake.text("hvkit: EPT: MISSING\r\n");
    const lines: string[] = [];
    const connecting = RemoteHypervisor.connect(fake, { deadlineMs: 60, onText: (line) => lines.push(line) });
    await expect(connecting).rejects.toMatchObject({
      code: "E_LINK_TIMEOUT",
      message: expect.stringMatching(/EPT: MISSING\nfake: out of steam/) as string,
    });
    expect(lines).toEqual(["hvkit: EPT: MISSING"]);
  });

  it("says so when the engine ends instead", async () => {
    const fake = new FakeHypervisor();
    setTimeout(() => fake.exit(7), 20);
    await expect(RemoteHypervisor.connect(fake)).rejects.toMatchObject({
      code: "E_ENGINE_EXITED",
      message: expect.stringMatching(/exit code 7.*out of steam/s) as string,
    });
  });

  it("names both versions when they differ", async () => {
    const fake = new FakeHypervisor({ version: 9 }).boot();
    await expect(RemoteHypervisor.connect(fake)).rejects.toMatchObject({ code: "E_LINK_VERSION", data: { theirs: 9, ours: Link.Version } });
  });

  it("stops when it is told to", async () => {
    const connecting = RemoteHypervisor.connect(new FakeHypervisor(), { signal: AbortSignal.timeout(30) });
    await expect(connecting).rejects.toMatchObject({ name: "TimeoutError" });
  });
});

describe("requests", () => {
  it("are many at once, each with its own reply", async () => {
    const { hypervisor } = await connected();
    const pings = Array.from({ length: 100 }, (_, index) => hypervisor.ping(Uint8Array.of(index)));
    expect((await Promise.all(pings)).map(([first]) => first)).toEqual(Array.from({ length: 100 }, (_, index) => index));
    await hypervisor.close();
  });

  it("arrive over a line that loses, doubles and flips", async () => {
    const rates = { lose: 0.05, double: 0.05, flip: 0.05 };
    const { hypervisor } = await connected({ faults: [badLine(3, rates), badLine(4, rates)] });
    const pings = Array.from({ length: 10 }, (_, index) => hypervisor.ping(bytes(50, index)));
    for (const [index, echo] of (await Promise.all(pings)).entries()) expect(echo).toEqual(bytes(50, index));
    await hypervisor.close();
  });

  it("that fail are E_HV_ errors with their evidence", async () => {
    const { hypervisor } = await connected({
      answer: { [Op.GuestCreate]: () => ({ status: Status.NoMemory, words: [2 ** 30, 2 ** 20] }) },
    });
    await expect(hypervisor.guestCreate({ memoryBytes: 2 ** 30, wallSeconds: 0 })).rejects.toMatchObject({
      code: "E_HV_NO_MEMORY",
      message: "Not enough free memory in the hypervisor: 1024 MiB wanted, 1 MiB free.",
      data: { words: ["0x40000000", "0x100000"] },
    });
    await hypervisor.close();
  });

  it("wait while their line is away, and say so when their time is over", async () => {
    const fake = new FakeHypervisor();
    let pullOut = (_: Error): void => undefined;
    Object.assign(fake.transport, {
      onBroken: (listener: (error: Error) => void) => {
        pullOut = listener;
      },
    });
    const hypervisor = await RemoteHypervisor.connect(fake.boot());
    const told: string[] = [];
    hypervisor.on("broken", (reason) => told.push(reason));
    pullOut(new Error("it was pulled out"));
    expect(told).toEqual(["it was pulled out"]);
    await expect(hypervisor.request(Op.HostStat, [], undefined, { timeoutMs: 20 })).rejects.toMatchObject({
      code: "E_LINK_AWAY",
      message: "The hypervisor did not answer HostStat within 0.02 s: its line is away (it was pulled out).",
    });
    await hypervisor.close();
  });

  it("time out, and their late replies are ignored", async () => {
    const late: number[] = [];
    const { fake, hypervisor } = await connected({ answer: { [Op.GuestPause]: (message) => void late.push(message.first) } });
    await expect(hypervisor.request(Op.GuestPause, [0], undefined, { timeoutMs: 20 })).rejects.toMatchObject({ code: "E_HV_TIMEOUT" });
    await fake.link.send(Channel.Reply, new Uint8Array(Uint32Array.of(late[0], 0).buffer));
    await hypervisor.ping();
    expect(hypervisor.linkStatistics().lateReplies).toBe(1);
    await hypervisor.close();
  });

  it("are rejected when the engine ends, those that wait for their turn too, and those that come later", async () => {
    const { fake, hypervisor } = await connected({ answer: { [Op.GuestPause]: () => undefined } });
    const lost: string[] = [];
    hypervisor.on("lost", (reason) => lost.push(reason));
    const waiting = Array.from({ length: 40 }, () => hypervisor.guestPause(0));
    fake.exit(3);
    for (const outcome of await Promise.allSettled(waiting))
      expect(outcome).toMatchObject({ status: "rejected", reason: { code: "E_ENGINE_EXITED" } });
    await expect(hypervisor.ping()).rejects.toMatchObject({ code: "E_ENGINE_EXITED" });
    expect(lost).toHaveLength(1);
  });

  it("are rejected when the line goes and the engine stays", async () => {
    const { fake, hypervisor } = await connected({ answer: { [Op.GuestPause]: () => undefined } });
    const paused = hypervisor.guestPause(0);
    fake.line.close();
    await expect(paused).rejects.toMatchObject({ code: "E_LINK_LOST" });
  });

  it("do not survive a message that makes no sense", async () => {
    const { fake, hypervisor } = await connected();
    const lost = new Promise<string>((resolve) => hypervisor.on("lost", resolve));
    void fake.link.send(Channel.Event, Uint8Array.of(1, 2, 3)).catch(() => undefined);
    expect(await lost).toMatch(/3 bytes where at least 8/);
    await expect(hypervisor.ping()).rejects.toMatchObject({ code: "E_LINK_MESSAGE" });
  });

  it("shutdown waits for the engine's end", async () => {
    const { hypervisor } = await connected();
    await hypervisor.shutdown();
    await expect(hypervisor.ping()).rejects.toMatchObject({ code: "E_ENGINE_EXITED" });
  });
});

const LINE = {};

describe.each([
  ["by the window", { window: true }, []],
  ["by the store", { store: true }, [Op.GuestLoad, Op.GuestLoad]],
  ["on the line", LINE, []],
])("bytes %s", (_, options, ops) => {
  it("arrive, verified, and come back", async () => {
    const { fake, hypervisor } = await connected(options);
    const { guest, runs } = await hypervisor.guestCreate({ memoryBytes: 65536, wallSeconds: 1 });
    expect([guest, runs.length]).toEqual([3, 2]);
    const data = bytes(30_001);
    const progress: number[] = [];
    await hypervisor.guestPut(guest, 20_000, data, (done) => progress.push(done));
    expect(Buffer.from(fake.ram.subarray(20_000, 50_001)).equals(Buffer.from(data))).toBe(true);
    expect(progress.at(-1)).toBe(data.length);
    for (const op of ops) expect(fake.ops).toContain(op);
    expect(fake.ops).toContain(Op.GuestDigest);
    expect(fake.bulkBytes).toBe(options === LINE ? data.length : 0);
    expect(Buffer.from(await hypervisor.guestGet(guest, 20_001, 29_999)).equals(Buffer.from(data.subarray(1, 30_000)))).toBe(true);
    await hypervisor.close();
  });

  it("of a snapshot fill a guest's RAM, verified where it is not this side that copies them, and are read in place", async () => {
    const { fake, hypervisor } = await connected(options);
    const { guest } = await hypervisor.guestCreate({ memoryBytes: 65536, wallSeconds: 1 });
    const data = bytes(30_001);
    await hypervisor.guestFill(guest, 20_000, data);
    expect(Buffer.from(fake.ram.subarray(20_000, 50_001)).equals(Buffer.from(data))).toBe(true);
    expect(fake.ops.includes(Op.GuestDigest)).toBe(!("window" in options));
    const into = new Uint8Array(30_001);
    expect(await hypervisor.guestGet(guest, 20_000, into.length, into)).toBe(into);
    expect(Buffer.from(into).equals(Buffer.from(data))).toBe(true);
    await hypervisor.close();
  });

  it("that do not arrive as they were are E_DIGEST", async () => {
    const { hypervisor } = await connected({ ...options, answer: { [Op.GuestDigest]: () => ({ words: [1] }) } });
    const { guest } = await hypervisor.guestCreate({ memoryBytes: 65536, wallSeconds: 1 });
    await expect(hypervisor.guestPut(guest, 0, bytes(9000))).rejects.toMatchObject({
      code: "E_DIGEST",
      data: { found: "0000000000000001" },
    });
    await hypervisor.close();
  });
});

describe("the line", () => {
  it("carries what is short in a request", async () => {
    const { fake, hypervisor } = await connected({});
    const { guest } = await hypervisor.guestCreate({ memoryBytes: 65536, wallSeconds: 1 });
    await hypervisor.guestPut(guest, 100, bytes(600));
    expect([fake.ops.includes(Op.GuestWrite), fake.bulkBytes]).toEqual([true, 0]);
    await hypervisor.close();
  });

  it("carries nothing that has arrived already: a transfer that broke off goes on where it was", async () => {
    const data = bytes(60_000);
    const first = await connected({});
    const { guest } = await first.hypervisor.guestCreate({ memoryBytes: 65536, wallSeconds: 1 });
    const broken = first.hypervisor.guestPut(guest, 0, data, (done) => {
      if (done >= 32_768) void first.hypervisor.close();
    });
    await expect(broken).rejects.toMatchObject({ code: "E_LINK_LOST" });
    const second = await connected({});
    second.fake.ram.set(first.fake.ram);
    const progress: number[] = [];
    await second.hypervisor.guestPut(guest, 0, data, (done) => progress.push(done));
    expect(progress).toEqual([16_384, 32_768, 49_152, 60_000]);
    expect(second.fake.bulkBytes).toBeLessThanOrEqual(60_000 - 32_768);
    expect(Buffer.from(second.fake.ram.subarray(0, 60_000)).equals(Buffer.from(data))).toBe(true);
    await second.hypervisor.close();
  });
});

describe("the window", () => {
  it("is not used outside of the guest's runs, nor after the guest is gone", async () => {
    const { fake, hypervisor } = await connected({ window: true, answer: { [Op.GuestWrite]: () => ({ status: Status.NoSuchGuest }) } });
    const { guest } = await hypervisor.guestCreate({ memoryBytes: 65536, wallSeconds: 1 });
    await expect(hypervisor.guestPut(guest, 65_530, bytes(10))).rejects.toMatchObject({ code: "E_HV_BAD_ADDRESS" });
    await hypervisor.guestDestroy(guest);
    await expect(hypervisor.guestPut(guest, 0, bytes(10))).rejects.toMatchObject({ code: "E_HV_NO_SUCH_GUEST" });
    expect(fake.ram.every((byte) => byte === 0 || byte !== bytes(10)[0])).toBe(true);
    await hypervisor.close();
  });
});

describe("a guest that is copied", () => {
  /** its pages, as the hypervisor says: the second 32 KiB before the first, in two answers */
  const moved = (message: Message): Answer => {
    const first = message.number(GuestFramesArgs.Address) < 32_768;
    return { words: first ? [32_768, 0x80000, 32_768] : [65_536, 0x200000, 32_768] };
  };
  const cloned: Answer = { words: [4, 9, 100, 20, 30] };

  it("is read where its pages are then, and never written to by the window; nor is its copy", async () => {
    const { fake, hypervisor } = await connected({
      window: true,
      answer: { [Op.GuestClone]: () => cloned, [Op.GuestFrames]: moved },
    });
    const { guest } = await hypervisor.guestCreate({ memoryBytes: 65536, wallSeconds: 1 });
    const entropy = bytes(GuestLimit.EntropyBytes);
    expect(await hypervisor.guestClone({ guest, entropy, paused: true })).toEqual({
      guest: 4,
      generation: 9n,
      requestTsc: 100n,
      protectTicks: 20n,
      heldTicks: 30n,
    });
    for (const each of [guest, 4]) {
      const window = vi.spyOn(fake.memory as MemoryWindow, "write");
      fake.ram.fill(0);
      fake.ram.set(bytes(9000), 30_000);
      const found = await hypervisor.guestGet(each, 0, 65_536);
      expect(Buffer.from(found.subarray(0, 32_768)).equals(Buffer.from(fake.ram.subarray(32_768)))).toBe(true);
      expect(Buffer.from(found.subarray(32_768)).equals(Buffer.from(fake.ram.subarray(0, 32_768)))).toBe(true);
      await hypervisor.guestPut(each, 100, bytes(600));
      expect(window).not.toHaveBeenCalled();
      expect(Buffer.from(fake.ram.subarray(100, 700)).equals(Buffer.from(bytes(600)))).toBe(true);
    }
    await hypervisor.close();
  });

  it("is as it was when the hypervisor refuses", async () => {
    const answer = { [Op.GuestClone]: () => ({ status: Status.NoMemory, words: [8192, 4096] }) };
    const { fake, hypervisor } = await connected({ window: true, answer });
    const { guest } = await hypervisor.guestCreate({ memoryBytes: 65536, wallSeconds: 1 });
    const entropy = bytes(GuestLimit.EntropyBytes);
    await expect(hypervisor.guestClone({ guest, entropy })).rejects.toMatchObject({ code: "E_HV_NO_MEMORY" });
    await hypervisor.guestPut(guest, 0, bytes(9000));
    expect([fake.bulkBytes, fake.ops.includes(Op.GuestFrames)]).toEqual([0, false]);
    await hypervisor.close();
  });
});

describe("what the hypervisor tells", () => {
  it("comes as typed events", async () => {
    const { fake, hypervisor } = await connected();
    const seen: unknown[] = [];
    hypervisor.on("guestState", (...args) => seen.push(args));
    hypervisor.on("guestEnded", (...args) => seen.push(args));
    hypervisor.on("consoleLost", (...args) => seen.push(args));
    hypervisor.on("consoleInputLost", (...args) => seen.push(args));
    hypervisor.on("console", (guest, port, text) => seen.push([guest, port, Buffer.from(text).toString()]));
    fake.event(Event.GuestState, 1, RunState.Paused);
    fake.event(Event.GuestEnded, 2, EndReason.UnbackedMemory, 0xffff_ffff_ffff_fff0n, 0x1000n, 0n, 0n);
    fake.event(Event.GuestEnded, 2, EndReason.EntryFailed, 0x8000_0021n, 0x1000n, 0x0036_0021n, 0x620n);
    fake.event(Event.ConsoleLost, 3, 0, 17);
    fake.event(Event.ConsoleInputLost, 3, 1, 4);
    fake.event(99 as Event, 0, 1);
    fake.say(4, 1, "hello");
    await hypervisor.ping();
    await hypervisor.ping();
    expect(seen).toEqual([
      [1, RunState.Paused],
      [2, EndReason.UnbackedMemory, 0xffff_ffff_ffff_fff0n, 0x1000n, undefined],
      [2, EndReason.EntryFailed, 0x8000_0021n, 0x1000n, { rule: 0x21, field: 0x36, value: 0x620n }],
      [3, 0, 17],
      [3, 1, 4],
      [4, 1, "hello"],
    ]);
    await hypervisor.close();
  });

  it("in a panic becomes one report; everything that waits is rejected with it", async () => {
    const { fake, hypervisor } = await connected({ answer: { [Op.GuestPause]: () => undefined } });
    const report = new Promise<string[]>((resolve) => hypervisor.on("panic", resolve));
    const paused = hypervisor.guestPause(0);
    fake.text("hvkit: panic: trap in core\r\nhvkit: rax=0123456789abcdef\r\nhvkit: return 0x0000000000101234\r\nhvkit: panic end\r\n");
    expect(await report).toEqual([
      "hvkit: panic: trap in core",
      "hvkit: rax=0123456789abcdef",
      "hvkit: return 0x0000000000101234",
      "hvkit: panic end",
    ]);
    await expect(paused).rejects.toMatchObject({ code: "E_LINK_LOST", message: "The hypervisor panicked: trap in core" });
  });
});

describe("typed replies", () => {
  it("registers have a value for each number", async () => {
    const words = Array.from({ length: Register.Count }, (_, index) => BigInt(index) << 50n);
    const { hypervisor } = await connected({ answer: { [Op.GuestRegisters]: () => ({ words }) } });
    expect(await hypervisor.guestRegisters(0)).toEqual(words);
    await hypervisor.close();
  });

  it("the way through the nested tables has as many entries as came", async () => {
    const { hypervisor } = await connected({ answer: { [Op.GuestNested]: (message) => ({ words: [message.number(1), 0x2007, 0] }) } });
    expect(await hypervisor.guestNested(3, 0x5000)).toEqual({ root: 0x5000, entries: [0x2007n, 0n] });
    await hypervisor.close();
  });

  it("the machine's state region comes in pieces", async () => {
    const region = Uint8Array.from({ length: 700 }, (_, index) => index);
    const words: number[] = Array.from({ length: GuestEntryReply.Words }, (_, index) => index);
    words[GuestEntryReply.RegionBytes] = region.length;
    words[GuestEntryReply.InTail0] = 4;
    words[GuestEntryReply.InTail1] = 0xffff_fffe; // indices run freely
    const part = (message: Message) => region.subarray(message.number(2), message.number(2) + message.number(3));
    const { hypervisor } = await connected({
      answer: { [Op.GuestEntry]: () => ({ words }), [Op.GuestPartRead]: (message) => ({ bytes: part(message) }) },
    });
    const machine = await hypervisor.guestMachine(0);
    expect(machine).toMatchObject({ halted: true, clockNs: BigInt(GuestEntryReply.ClockNs), inputBytes: [5, 13] });
    expect(machine.region).toEqual(region);
    await hypervisor.close();
  });

  it("statistics come in parts", async () => {
    const part = (from: number, next: number): (bigint | number)[] => {
      const words = new Array<number>(GuestStatReply.Words).fill(5);
      words[GuestStatReply.NextReason] = next;
      return [...words, from + 1, 100, from + 2, 200];
    };
    const { hypervisor } = await connected({
      answer: { [Op.GuestStat]: (message) => ({ words: message.number(1) === 0 ? part(0, 10) : part(10, 0) }) },
    });
    const stat = await hypervisor.guestStat(0);
    expect(stat).toMatchObject({ exits: 5n, overheadBytes: 5 });
    expect([...stat.byReason]).toEqual([
      [1, 100n],
      [2, 200n],
      [11, 100n],
      [12, 200n],
    ]);
    await hypervisor.close();
  });
});

describe("a listener that throws", () => {
  it("is told, and costs neither the other listeners nor the line", async () => {
    const fake = new FakeHypervisor().boot();
    const faults: unknown[] = [];
    const hypervisor = await RemoteHypervisor.connect(fake, { timeoutMs: 10_000, onFault: (error) => faults.push(error) });
    const seen: unknown[] = [];
    const fault = new Error("no space left on device");
    const fail = (): never => {
      throw fault;
    };
    hypervisor.on("console", fail);
    hypervisor.on("text", fail);
    hypervisor.on("console", (guest) => seen.push(guest));
    hypervisor.on("lost", (reason) => seen.push(reason));
    fake.say(1, 0, "x");
    fake.text("hvkit: a line\r\n");
    await hypervisor.ping();
    expect([seen, faults]).toEqual([[1], [fault, fault]]);
    await hypervisor.close();
  });
});

describe("console input", () => {
  it("longer than the guest's ring waits for room, and loses nothing", async () => {
    const { fake, hypervisor } = await connected();
    fake.room = 100;
    const more = setInterval(() => {
      fake.room = 150;
    }, 10);
    const text = bytes(2000);
    await hypervisor.consoleWrite(1, 0, text);
    clearInterval(more);
    expect(Buffer.from(text).equals(fake.input)).toBe(true);
    await hypervisor.close();
  });

  it("keeps its order when it comes in pieces", async () => {
    const { fake, hypervisor } = await connected();
    await Promise.all([bytes(300, 1), bytes(3, 2), bytes(500, 3)].map((piece) => hypervisor.consoleWrite(1, 0, piece)));
    expect(fake.input.equals(Buffer.concat([bytes(300, 1), bytes(3, 2), bytes(500, 3)]))).toBe(true);
    await hypervisor.close();
  });
});
