// docs/protocol.md: it is what protocol/*.ts says, what it says of the operations' arguments is so in core, and its bytes are understood and
// sent by both ends.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { encodeFrame, type Frame, FrameReader } from "../../../control/src/link/frame.js";
import { Link } from "../../../control/src/link/link.js";
import { MockTransport } from "../../../control/src/transport/mock.js";
import { Channel, FrameType, Link as Limit } from "../../../protocol/link.js";
import { Op, Status } from "../../../protocol/messages.js";
import { enumsOf, sources } from "../../../scripts/lib/protocol.mjs";
import { protocolDocument } from "../../../scripts/lib/protocoldoc.mjs";
import { Rig } from "../core/rig.js";

const text = readFileSync("docs/protocol.md", "utf8");

test("is made from the one definition", async () => {
  expect(text, "run `npm run build` and `node scripts/protocol.mjs`").toBe(await protocolDocument());
});

test("has the numbers of every enum that it names", async () => {
  const all = await Promise.all(sources().map(async (path) => [...(await enumsOf(path)).keys()]));
  const named = all.flat().filter((name) => new RegExp(`\\b${name}\\b`).test(text.replaceAll(new RegExp(`^### ${name}$`, "gm"), "")));
  expect(named).toEqual(expect.arrayContaining(["EventBit", "Verdict", "CpuidTable", "ReasonTable", "GuestPart"]));
  for (const name of named) expect(text, name).toMatch(new RegExp(`^### ${name}$`, "m"));
});

test("names every operation once", () => {
  const names = Object.keys(Op).filter((name) => !/^\d+$/.test(name));
  expect(documented.map(({ name }) => name)).toEqual(names);
});

/** Rows of the table of operations: | 17 | `GuestWrite` | [GuestWriteArgs](#guestwriteargs), 2 | ... */
const documented = [...text.matchAll(/^\| (\d+) \| `(\w+)` \| (?:none|\[(\w+)\]\(#\w+\), (\d+)) \| [^|]* \| (.*) \|$/gm)].map(
  ([, op, name = "", , words, says = ""]) => ({ op: Number(op), name, words: Number(words ?? 0), says }),
);

/** The operations whose words name no guest. */
const others = new Map([
  [Op.GuestCreate, Status.BadMemorySize],
  [Op.ModuleUse, Status.Ok],
]);

describe.each(documented)("$name", ({ op, words, says }) => {
  test("takes the words that the document says, and no fewer", () => {
    const rig = Rig.open({ memoryMiB: 8, hostFrames: 512 });
    // There is no guest: what has the right form gets as far as that.
    const args = new Array<number>(words).fill(0);
    const few = words > 0 ? rig.call(op, args.slice(1)) : undefined;
    if (few) expect(few).toMatchObject({ status: Status.BadRequest, words: [BigInt(8 * (words - 1))] });
    const bytes = /bytes|pairs of words/.test(says.split(";")[0] ?? "");
    if (!bytes) expect(rig.call(op, [...args, 0])).toMatchObject({ status: Status.BadRequest, words: [BigInt(8 * (words + 1))] });
    else if (words > 0) expect(rig.call(op, [...args, 0]).status).toBe(Status.NoSuchGuest);
    if (words > 0) expect(rig.call(op, args).status).toBe(others.get(op) ?? Status.NoSuchGuest);
  });
});

/** Rows of the first session: | client | what | `02 03 ...` | */
const session = [...text.matchAll(/^\| (client|hypervisor) \| (.+?) \| `([0-9a-f ]+)` \|$/gm)].map(([, from, what, bytes = ""]) => ({
  from,
  what,
  bytes: Buffer.from(bytes.replaceAll(" ", ""), "hex"),
}));

describe("the first session", () => {
  test("is what core answers to those bytes", () => {
    const rig = new Rig({ memoryMiB: 2, hostFrames: 512 });
    rig.core.poll(0);
    rig.host.fromCore.length = 0;
    for (const { from, what, bytes } of session) {
      if (from === "client") {
        rig.give([...bytes]);
        rig.core.poll(0);
        rig.host.clock += 1_000_000n;
      } else expect(Buffer.from(rig.host.fromCore.splice(0)), what).toEqual(bytes);
    }
    expect(rig.host.fromCore).toEqual([]);
    rig.host.clock += 10_000_000_000n;
    rig.core.poll(0);
    expect(rig.host.fromCore).toEqual([]);
  });

  test("is what the control plane sends, and takes", async () => {
    const [left, right] = MockTransport.pair();
    const wire: Buffer[] = [];
    right.onData((bytes) => wire.push(Buffer.from(bytes)));
    const link = new Link(left, { epoch: 0x11223344, syncMs: 60_000, retransmitMs: 60_000, maxRetransmitMs: 60_000 });
    const opened = link.open();
    const replied = new Promise<Uint8Array>((resolve) => link.on("message", (_, payload) => resolve(payload)));
    const ticks = async (): Promise<void> => {
      for (let tick = 0; tick < 4; tick++) await new Promise((resolve) => setImmediate(resolve));
    };
    for (const { from, what, bytes } of session) {
      if (from === "hypervisor") right.write(bytes);
      if (what?.startsWith("Data 0: Request")) {
        await opened;
        void link.send(Channel.Request, Buffer.from("01000000020000006869", "hex"));
      }
      await ticks();
      // A 00h of its own may stand before a frame.
      if (from === "client") expect(Buffer.concat(wire.splice(0)).toString("hex").replace(/^00/, ""), what).toBe(bytes.toString("hex"));
    }
    expect(Buffer.from(await replied).toString("hex")).toBe("01000000000000006869");
    link.close();
  });
});

// Literal bytes, put together by hand from the document's words alone: header, payload, CRC-32C, COBS.
test.each<[string, string, Omit<Frame, "payload">, string]>([
  [
    "an Ack: frames 201 and 203 have come, 200 has not, three more are taken",
    "09 02 05 c8 30 d6 e8 bc 65 00",
    { type: FrameType.Ack, seq: 0b101, ack: 200, channel: 0, credit: 3 },
    "",
  ],
  [
    "a Sync of epoch 7",
    "02 03 01 01 02 02 01 01 02 07 01 01 05 89 8b 8a f3 00",
    { type: FrameType.Sync, seq: 0, ack: 0, channel: 0, credit: 0 },
    "0200000007000000",
  ],
  [
    "console input, ls and LF for guest 1",
    "03 01 ff 03 83 01 01 01 01 01 01 01 08 6c 73 0a cd f3 6c 7a 00",
    { type: FrameType.Data, seq: 255, ack: 0, channel: Channel.Console, credit: Limit.Window },
    "01000000000000006c730a",
  ],
  [
    "bulk, three bytes to 1000h of guest 0",
    "05 01 09 01 84 01 01 01 01 01 01 01 01 02 10 01 01 01 01 01 01 02 01 05 52 4f cb 15 00",
    { type: FrameType.Data, seq: 9, ack: 1, channel: Channel.Bulk, credit: Limit.Window },
    "00000000000000000010000000000000000100",
  ],
])("%s", (_, hex, fields, payload) => {
  const frames: Frame[] = [];
  const ignore = (): void => undefined;
  const bytes = Buffer.from(hex.replaceAll(" ", ""), "hex");
  new FrameReader({ onFrame: (frame) => frames.push(frame), onText: ignore, onBad: ignore }).push(bytes);
  expect(frames.map((frame) => ({ ...frame, payload: Buffer.from(frame.payload).toString("hex") }))).toEqual([{ ...fields, payload }]);
  expect(Buffer.from(encodeFrame({ ...fields, payload: Buffer.from(payload, "hex") }))).toEqual(bytes);
});
