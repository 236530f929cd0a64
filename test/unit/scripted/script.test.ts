// The store of a scripted machine, and what is read of its line.
import { describe, expect, it } from "vitest";
import { encodeMessage, Message } from "../../../control/src/hypervisor/codec.js";
import type { BootPlan } from "../../../control/src/images/plan.js";
import { encodeFrame, type Frame, FrameReader } from "../../../control/src/link/frame.js";
import { ScriptedOutput } from "../../../control/src/scripted/output.js";
import { type ScriptedGuest, scriptedStore } from "../../../control/src/scripted/script.js";
import { Channel, FrameType } from "../../../protocol/link.js";
import { EndReason, Event, GuestKind, GuestLimit, Op, Status } from "../../../protocol/messages.js";
import { StoreDisk } from "../../../protocol/store.js";

const SECTOR = GuestLimit.SectorBytes;

function guest(...files: string[]): ScriptedGuest {
  const placements: BootPlan["placements"] = files.map((text, index) => ({
    what: "file",
    address: 0x100000 * (index + 1),
    bytes: Buffer.from(text),
  }));
  return { memoryBytes: 2 ** 22, plan: { kind: GuestKind.Multiboot, placements, block: 0x5000, blockBytes: 64 } };
}

const options = { wallSeconds: 7, sectors: (least: number): number => least };

/** The script's frames. */
function framesOf(store: Buffer): Frame[] {
  const frames: Frame[] = [];
  const reader = new FrameReader({
    onFrame: (frame) => frames.push({ ...frame, payload: Uint8Array.from(frame.payload) }),
    onText: (line) => expect.unreachable(line),
    onBad: (fault) => expect.unreachable(fault),
  });
  reader.push(store.subarray(8, 8 + store.readUInt32LE(4)));
  return frames;
}

describe("a script", () => {
  it("makes, loads and starts each guest, in order, after a Sync", () => {
    const store = scriptedStore([guest("one", "x".repeat(513)), guest("three")], options);
    expect(store.readUInt32LE(0)).toBe(StoreDisk.Script);
    const [sync, ...data] = framesOf(store);
    expect(sync?.type).toBe(FrameType.Sync);
    expect(data.map(({ type, seq, channel }) => [type, seq, channel])).toEqual(
      data.map((_, seq) => [FrameType.Data, seq, Channel.Request]),
    );
    const calls = data.map(({ payload }) => new Message(payload));
    expect(calls.map(({ second }) => second)).toEqual([
      ...[Op.GuestCreate, Op.GuestLoad, Op.GuestLoad, Op.GuestStart],
      ...[Op.GuestCreate, Op.GuestLoad, Op.GuestStart],
    ]);
    expect(calls[0]?.words().slice(0, 2)).toEqual([2n ** 22n, 7n]);
    // Each file begins with a sector of its own.
    const loads = calls.filter(({ second }) => second === Op.GuestLoad).map((call) => call.words().map(Number));
    const first = StoreDisk.ScriptSectors;
    expect(loads).toEqual([
      [0, 0x100000, first, 3],
      [0, 0x200000, first + 1, 513],
      [1, 0x100000, first + 3, 5],
    ]);
    expect(store.toString("latin1", (first + 3) * SECTOR, (first + 3) * SECTOR + 6)).toBe("three\0");
    expect(calls.at(-1)?.words()).toEqual([1n, BigInt(GuestKind.Multiboot), 0x5000n, 64n, 0n]);
  });

  it("has the store's signature in its last sector, wherever that is", () => {
    const store = scriptedStore([guest("one")], { ...options, sectors: (least) => least + 100 });
    expect(store.length % SECTOR).toBe(0);
    expect(store.readUInt32LE(store.length - SECTOR)).toBe(StoreDisk.Signature0);
    expect(store.readUInt32LE(store.length - SECTOR + 4)).toBe(StoreDisk.Signature1);
  });

  it("is the same each time, and another one for another guest", () => {
    expect(scriptedStore([guest("one")], options).equals(scriptedStore([guest("one")], options))).toBe(true);
    expect(scriptedStore([guest("one")], options).equals(scriptedStore([guest("two")], options))).toBe(false);
  });

  it("refuses more than the hypervisor keeps", () => {
    const many = Array.from({ length: 21 }, () => guest("one"));
    expect(() => scriptedStore(many, options)).toThrow(expect.objectContaining({ code: "E_SCRIPT_TOO_LONG" }));
    expect(scriptedStore(many.slice(1), options).readUInt32LE(4)).toBeLessThan(StoreDisk.ScriptSectors * SECTOR - 8);
  });
});

describe("its output", () => {
  const frame = (channel: Channel, payload: Uint8Array): Uint8Array =>
    encodeFrame({ type: FrameType.Data, seq: 0, ack: 0, channel, credit: 0, payload });
  const ended = (slot: number, value = 0): Uint8Array =>
    frame(Channel.Event, encodeMessage(Event.GuestEnded, slot, [EndReason.DebugExit, value, 0, 0, 0]));
  const output = (guests: number) => {
    const said: string[] = [];
    const onConsole = (slot: number, bytes: Uint8Array): void => void said.push(`${slot}: ${Buffer.from(bytes).toString()}`);
    const lines: string[] = [];
    return { said, lines, output: new ScriptedOutput({ guests, onConsole, onText: (line) => lines.push(line) }) };
  };

  it("has consoles and ends, and is over with the last one's end", () => {
    const { said, lines, output: found } = output(2);
    const whole = Buffer.concat([
      Buffer.from("SeaBIOS\r\nhvkit: hello\r\n\0"),
      frame(Channel.Reply, encodeMessage(1, Status.Ok, [])),
      frame(Channel.Console, encodeMessage(1, 0, [], Buffer.from("hi"))),
      ended(1),
      frame(Channel.Console, encodeMessage(0, 0, [], Buffer.from("ho"))),
      ended(0, 3),
    ]);
    found.push(whole.subarray(0, 50));
    expect(found.done).toBe(false);
    found.push(Buffer.concat([whole.subarray(50), ended(0, 9)]));
    expect([found.done, found.bytes, said, lines]).toEqual([true, whole.length, ["1: hi", "0: ho"], ["hvkit: hello"]]);
    expect(found.ends.map((end) => end?.value)).toEqual([3n, 0n]);
  });

  it("tells a request that was refused, and a frame that is none", () => {
    const refused = frame(Channel.Reply, encodeMessage(1, Status.NoMemory, [1, 0]));
    expect(() => output(1).output.push(refused)).toThrow(expect.objectContaining({ code: "E_HV_NO_MEMORY" }));
    const damaged = Buffer.concat([frame(Channel.Reply, encodeMessage(1, Status.Ok, [])), ended(0)]);
    damaged[damaged.length - 3] = (damaged.at(-3) ?? 0) ^ 1;
    expect(() => output(1).output.push(damaged)).toThrow(expect.objectContaining({ code: "E_SCRIPT_OUTPUT" }));
  });
});
