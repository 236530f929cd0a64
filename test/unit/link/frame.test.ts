import { fc, test } from "@fast-check/vitest";
import { describe, expect, it } from "vitest";
import { cobsEncode } from "../../../control/src/link/cobs.js";
import { crc32c } from "../../../control/src/link/crc32c.js";
import { decodeFrame, encodeFrame, type Frame, type FrameFault, FrameReader } from "../../../control/src/link/frame.js";
import { Channel, FrameType, Link } from "../../../protocol/link.js";

const data = (payload: number[] | Uint8Array, seq = 1): Frame => ({
  type: FrameType.Data,
  seq,
  ack: 2,
  channel: Channel.Console,
  credit: 0,
  payload: Uint8Array.from(payload),
});

/** Any bytes with a right CRC, as they stand before the closing 00h. */
function sealed(bytes: number[]): Uint8Array {
  const crc = crc32c(Uint8Array.from(bytes));
  return cobsEncode(Uint8Array.from([...bytes, crc & 255, (crc >>> 8) & 255, (crc >>> 16) & 255, crc >>> 24])).subarray(0, -1);
}

function read(...pieces: (Uint8Array | string)[]): { frames: Frame[]; lines: string[]; faults: FrameFault[] } {
  const result = { frames: [] as Frame[], lines: [] as string[], faults: [] as FrameFault[] };
  const reader = new FrameReader({
    onFrame: (frame) => result.frames.push({ ...frame, payload: frame.payload.slice() }),
    onText: (line) => result.lines.push(line),
    onBad: (fault) => result.faults.push(fault),
  });
  for (const piece of pieces) reader.push(typeof piece === "string" ? Buffer.from(piece, "latin1") : piece);
  return result;
}

describe("a frame's bytes", () => {
  it("are these, for an acknowledgement of frame 6", () => {
    const bytes = encodeFrame({ type: FrameType.Ack, seq: 0, ack: 7, channel: 0, credit: 0, payload: new Uint8Array() });
    expect(Buffer.from(bytes).toString("hex")).toBe("020202070503a16d8d00");
  });

  it("are these, for data", () => {
    expect([...encodeFrame(data([0xaa, 0, 0xbb])).subarray(0, 8)]).toEqual([6, 1, 1, 2, 3, 0xaa, 6, 0xbb]);
  });

  test.prop([fc.uint8Array({ maxLength: Link.MaxPayload }), fc.nat(255), fc.nat(255)])("are read back", (payload, seq, ack) => {
    const frame = { type: FrameType.Data, seq, ack, channel: Channel.Reply, credit: seq & 15, payload };
    expect(decodeFrame(encodeFrame(frame).subarray(0, -1))).toEqual(frame);
  });
});

describe("the codec refuses", () => {
  it.each<[FrameFault, Uint8Array]>([
    ["FRAME_COBS", Uint8Array.of(9, 1, 2)],
    ["FRAME_TOO_SHORT", sealed([FrameType.Ack, 0, 0])],
    ["FRAME_TOO_LONG", sealed([FrameType.Data, 0, 0, 0, ...new Uint8Array(Link.MaxPayload + 1)])],
    [
      "FRAME_CRC",
      encodeFrame({ ...data([1, 2, 3]), ack: 9 })
        .map((byte, index) => (index === 3 ? 8 : byte))
        .subarray(0, -1),
    ],
    ["FRAME_TYPE", sealed([9, 0, 0, 0])],
    ["FRAME_TYPE", sealed([0, 0, 0, 0])],
    ["FRAME_CHANNEL", sealed([FrameType.Data, 0, 0, 5])],
    ["FRAME_PAYLOAD", sealed([FrameType.Ack, 0, 0, 0, 1])],
    ["FRAME_PAYLOAD", sealed([FrameType.Sync, 0, 0, 0, 1, 2, 3])],
    ["FRAME_PAYLOAD", sealed([FrameType.SyncAck, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9])],
  ])("%s", (fault, bytes) => {
    expect(decodeFrame(bytes)).toBe(fault);
  });

  it("every flip of one bit, and says so, and reads the frame after it", () => {
    const good = encodeFrame(data([1, 2, 3]));
    const bad = encodeFrame(data([0, 1, 0xff, 0x55, 0, 0, 0x68]));
    for (let bit = 0; bit < bad.length * 8; bit++) {
      const flipped = bad.slice();
      flipped[bit >> 3] ^= 1 << (bit & 7);
      const closed = bit >> 3 === bad.length - 1 ? [flipped, Uint8Array.of(0)] : [flipped];
      const { frames, faults } = read(...closed, good);
      expect(
        frames.map((frame) => frame.payload),
        `bit ${bit}`,
      ).toEqual([Uint8Array.of(1, 2, 3)]);
      expect(faults.length, `bit ${bit}`).toBeGreaterThan(0);
    }
  });

  it("what never ends, and goes on after it", () => {
    const { frames, faults } = read(new Uint8Array(5000).fill(7), Uint8Array.of(0), encodeFrame(data([1])));
    expect(frames).toHaveLength(1);
    expect(faults).toEqual(["FRAME_TOO_LONG"]);
  });

  test.prop([fc.uint8Array({ maxLength: 3000 })])("any noise without harm", (noise) => {
    const { frames } = read(noise, Uint8Array.of(0), encodeFrame(data([42])));
    expect(frames.at(-1)?.payload).toEqual(Uint8Array.of(42));
  });
});

describe("raw text", () => {
  it("comes out as lines, between frames, however it is cut", () => {
    const bytes = Buffer.concat([
      encodeFrame(data([1])),
      Buffer.from("\0hvkit: EPT: ok\r\nhvkit: unrestricted guest: MISSING\r\n\0", "latin1"),
      encodeFrame(data([2])),
    ]);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const { frames, lines, faults } = read(bytes.subarray(0, cut), bytes.subarray(cut));
      expect(frames).toHaveLength(2);
      expect(lines).toEqual(["hvkit: EPT: ok", "hvkit: unrestricted guest: MISSING"]);
      expect(faults).toEqual([]);
    }
  });

  it("ends at a 00h too, and loses its control characters", () => {
    expect(read("hvkit: \x1b[2Jgone\0").lines).toEqual(["hvkit: ?[2Jgone"]);
  });

  it("is cut when it never ends", () => {
    const [line] = read(`hvkit: ${"x".repeat(100_000)}\n`).lines;
    expect(line).toHaveLength(512);
  });

  it("is found behind what firmware printed, and in a frame that a panic cut short", () => {
    const cut = Buffer.from(encodeFrame(data([1, 2, 3, 4])).subarray(0, 6)).toString("latin1");
    const { lines, faults } = read("SeaBIOS\r\nBooting from ROM\r\nhvkit: starts\r\n\0", `${cut}hvkit: panic: x\n\0`);
    expect(lines).toEqual(["hvkit: starts", "hvkit: panic: x"]);
    expect(faults).toHaveLength(2);
  });

  it("that only starts like ours is no text", () => {
    const { lines, faults } = read("hvkat: no\n\0");
    expect(lines).toEqual([]);
    expect(faults).toHaveLength(1);
  });
});
