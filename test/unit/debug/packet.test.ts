// gdb's framing: literal bytes, and whatever bytes.
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { encodePacket, PACKET_SIZE, PacketReader, type Received } from "../../../control/src/debug/packet.js";

function received(...parts: (string | Uint8Array)[]): Received[] {
  const reader = new PacketReader();
  return parts.flatMap((part) => [...reader.feed(typeof part === "string" ? Buffer.from(part, "latin1") : part)]);
}
const packet = (text: string): Received => ({ kind: "packet", data: Buffer.from(text, "latin1") });

describe("packets", () => {
  test.each([
    ["", "$#00"],
    ["OK", "$OK#9a"],
    ["a#b", "$a}\x03b#43"],
    ["}*$", "$}]}\n}\x04#e2"],
  ])("%j is framed, and read back", (text, framed) => {
    expect(encodePacket(text).toString("latin1")).toBe(framed);
    expect(received(framed)).toEqual([packet(text)]);
  });

  test("come in pieces, among acknowledgements and interrupts", () => {
    expect(received("+$m0", ",4#", "fd-\x03$g#67")).toEqual([
      { kind: "acknowledged" },
      packet("m0,4"),
      { kind: "refused" },
      { kind: "interrupt" },
      packet("g"),
    ]);
  });

  test.each([
    ["a wrong checksum", "$g#68"],
    ["no checksum", "$g#zz"],
    ["a sign for a digit", "$g#-1"],
  ])("with %s are invalid, and the next one is read", (_why, bytes) => {
    expect(received(bytes, "$g#67")).toEqual([{ kind: "invalid" }, packet("g")]);
  });

  test("that begin anew are those that count", () => {
    expect(received("$broken$g#67")).toEqual([packet("g")]);
  });

  test("longer than was offered are invalid; their end is found", () => {
    const long = "a".repeat(PACKET_SIZE + 1);
    const framed = `$${long}#${((0x61 * long.length) & 0xff).toString(16).padStart(2, "0")}`;
    expect(received(framed, "$g#67")).toEqual([{ kind: "invalid" }, packet("g")]);
  });

  property.prop([fc.uint8Array({ maxLength: 300 })])("any data comes back", (data) => {
    expect(received(encodePacket(data))).toEqual([{ kind: "packet", data: Buffer.from(data) }]);
  });

  property.prop([fc.array(fc.uint8Array({ maxLength: 60 }))])("after any bytes the next packet is read", (noise) => {
    // A packet that was begun has to end first.
    expect(received(...noise, "#00", "$g#67").at(-1)).toEqual(packet("g"));
  });
});
