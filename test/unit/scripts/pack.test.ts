// The packed image: LZ4 as the format has it (the control plane's own reader unpacks it), what hv/boot/unpack.asm relies on beyond that,
// the calls, and the file's parts.
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { unpackLz4 } from "../../../control/src/debug/lz4.js";
import { crc32c as linkCrc } from "../../../control/src/link/crc32c.js";
import { elf32 } from "../../../scripts/lib/elf32.mjs";
import { packLz4 } from "../../../scripts/lib/lz4.mjs";
import { absoluteCalls, crc32c, packImage } from "../../../scripts/lib/pack.mjs";
import { scaled } from "../../support/scale.js";

const bytesOf = (text: string) => Uint8Array.from(Buffer.from(text, "latin1"));

/** Bytes of which nothing comes again, but by chance; always the same. */
function noise(length: number): Uint8Array {
  let state = 1;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state >>> 24;
  });
}

/** By the reader of kernels' frames: magic number, length, block. */
function unpacked(block: Uint8Array): Uint8Array {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(0x184c2102, 0);
  head.writeUInt32LE(block.length, 4);
  return Uint8Array.from(unpackLz4(Buffer.concat([head, block])));
}

interface Sequence {
  /** where its literals begin, in what is unpacked */
  at: number;
  literals: number;
  /** the last one has no match: 0, 0 */
  distance: number;
  match: number;
}

function sequencesOf(block: Uint8Array): Sequence[] {
  const found: Sequence[] = [];
  let at = 0;
  let from = 0;
  const length = (short: number) => {
    let total = short;
    if (short === 15)
      for (let more = 255; more === 255; total += more) {
        more = block[from] ?? 0;
        from++;
      }
    return total;
  };
  while (from < block.length) {
    const token = block[from++] ?? 0;
    const literals = length(token >> 4);
    from += literals;
    if (from >= block.length) return [...found, { at, literals, distance: 0, match: 0 }];
    const distance = (block[from] ?? 0) | ((block[from + 1] ?? 0) << 8);
    from += 2;
    const match = 4 + length(token & 15);
    found.push({ at, literals, distance, match });
    at += literals + match;
  }
  return found;
}

/** Bytes in which much comes again: parts of what is there already, some of them changed, and runs. */
const repetitive = fc
  .array(fc.tuple(fc.nat({ max: 3 }), fc.nat(), fc.integer({ min: 1, max: 300 }), fc.uint8Array({ minLength: 1, maxLength: 20 })), {
    maxLength: 20,
  })
  .map((parts) => {
    const out: number[] = [];
    for (const [kind, where, length, fresh] of parts) {
      if (kind === 0 || out.length === 0) out.push(...fresh);
      else if (kind === 1) out.push(...new Array<number>(length).fill(fresh[0] ?? 0));
      else for (let from = where % out.length, left = length; left > 0; from++, left--) out.push(out[from] ?? 0);
    }
    return Uint8Array.from(out);
  })
  .filter((bytes) => bytes.length > 0);

describe("LZ4", () => {
  property.prop([repetitive], { numRuns: scaled(100, 20_000) })(
    "is what its reader unpacks, by the rules of the format and of unpack.asm",
    (bytes) => {
      const block = packLz4(bytes);
      expect(Buffer.from(unpacked(block)).equals(bytes)).toBe(true);
      const sequences = sequencesOf(block);
      const last = sequences.at(-1);
      expect(last?.literals).toBeGreaterThanOrEqual(Math.min(5, bytes.length));
      for (const { at, literals, distance, match } of sequences.slice(0, -1)) {
        expect(at + literals + 12).toBeLessThanOrEqual(bytes.length);
        expect(distance).toBeGreaterThan(0);
        expect(match > 8 || distance >= 8).toBe(true);
      }
    },
    scaled(30_000, 3_600_000),
  );

  property.prop([fc.uint8Array({ minLength: 1, maxLength: 3000 })])(
    "of bytes without any order is no more than its lengths longer",
    (bytes) => {
      const block = packLz4(bytes);
      expect(Buffer.from(unpacked(block)).equals(bytes)).toBe(true);
      expect(block.length).toBeLessThanOrEqual(bytes.length + 2 + Math.floor(bytes.length / 255));
    },
  );

  test("byte for byte", () => {
    expect(packLz4(bytesOf("short"))).toEqual(bytesOf("\x50short"));
    // a match of 16 that lies 8 back, then the 8 literals with which a block must end
    expect(packLz4(bytesOf("abcdefgh".repeat(3) + "12345678"))).toEqual(bytesOf("\x8cabcdefgh\x08\0\x8012345678"));
    // a run: its first byte, then itself, from 1 back, as often as 15 + 255 + 206 + 4 says
    expect(packLz4(bytesOf("0".repeat(481) + "abcde"))).toEqual(bytesOf("\x1f0\x01\0\xff\xce\x50abcde"));
  });

  test("looks farther than the next match", () => {
    // At the second "1" four bytes come again; a literal later ten.
    const text = "1234-----------_23456789ab==========123456789ab~the last bytes";
    const block = packLz4(bytesOf(text));
    expect(Buffer.from(unpacked(block)).toString("latin1")).toBe(text);
    expect(sequencesOf(block).some(({ match }) => match === 10)).toBe(true);
  });

  test("finds what lies 65,535 bytes back, and nothing beyond", () => {
    const phrase = bytesOf("a phrase of which there is no other");
    const apart = (distance: number) => {
      const bytes = noise(distance + phrase.length + 32);
      bytes.set(phrase);
      bytes.set(phrase, distance);
      return bytes;
    };
    for (const [distance, found] of [
      [65_535, true],
      [65_536, false],
    ] as const) {
      const bytes = apart(distance);
      const block = packLz4(bytes);
      expect(Buffer.from(unpacked(block)).equals(bytes)).toBe(true);
      expect(sequencesOf(block).some(({ match }) => match >= phrase.length)).toBe(found);
    }
  });

  test("of nothing is refused", () => {
    expect(() => packLz4(new Uint8Array(0))).toThrow("nothing to pack");
  });
});

describe("calls", () => {
  const reach = 1 << 17;
  const call = (code: Uint8Array, at: number, target: number) => {
    code[at] = 0xe8;
    new DataView(code.buffer).setInt32(at + 1, target - (at + 5), true);
  };

  test("of one function become the same bytes, and nothing else changes", () => {
    const code = new Uint8Array(64).fill(0x90);
    call(code, 3, 40);
    call(code, 50, 40);
    absoluteCalls(code, 0x101000, reach);
    expect(code.subarray(3, 8)).toEqual(code.subarray(50, 55));
    expect([...code.subarray(8, 50)].every((byte) => byte === 0x90)).toBe(true);
  });

  test("that go too far are left", () => {
    const code = new Uint8Array(16);
    call(code, 0, reach + 5);
    const before = [...code];
    absoluteCalls(code, 0x101000, reach);
    expect([...code]).toEqual(before);
    call(code, 0, reach + 4);
    absoluteCalls(code, 0x101000, reach);
    expect([...code]).not.toEqual(before);
  });

  property.prop([fc.array(fc.constantFrom(0xe8, 0, 1, 0xff, 0x10, 0x80), { maxLength: 200 }), fc.nat({ max: 0x1fffff })])(
    "come back, whatever the bytes are: as unpack.asm does it",
    (bytes, address) => {
      const code = Uint8Array.from(bytes);
      absoluteCalls(code, address, reach);
      const view = new DataView(code.buffer);
      for (let at = 0; at < code.length - 4; at++) {
        if (code[at] !== 0xe8) continue;
        const moved = view.getInt32(at + 1, true) + reach;
        if (moved >= 0 && moved < 2 * reach) view.setInt32(at + 1, ((moved - (address + at + 1)) & (2 * reach - 1)) - reach, true);
        at += 4;
      }
      expect([...code]).toEqual(bytes);
    },
  );
});

property.prop([fc.uint8Array({ maxLength: 300 })])("the CRC is the link's", (bytes) => {
  expect(crc32c(bytes)).toBe(linkCrc(bytes));
});

describe("the file", () => {
  const start = 0x100000;
  /** 64 plain bytes, a gap to the next page, code and data of 4096 bytes, 1 KiB of bss. */
  const at = {
    __image_start: start,
    __plain_end: start + 64,
    __packed_start: start + 4096,
    __code_end: start + 6144,
    __data_end: start + 8192,
    __spare_start: start + 8192,
    __image_end: start + 9216,
    call_reach: 1 << 17,
  };
  const image = Uint8Array.from({ length: 8192 }, (_, index) => (index < 64 ? index : (index >> 4) & 63));

  test("has the plain part, the block's length and CRC, and the block, which ends with a distance of 0", () => {
    const file = Buffer.from(packImage(image, at));
    expect([...file.subarray(0, 64)]).toEqual([...image.subarray(0, 64)]);
    const block = file.subarray(72);
    expect(block.length % 8).toBe(0);
    expect(file.readUInt32LE(64)).toBe(block.length);
    expect(file.readUInt32LE(68)).toBe(linkCrc(block));
    expect(block.readUInt16LE(block.length - 2)).toBe(0);
    expect(block.length).toBeLessThan(1024);
  });

  test("of the same image is the same, and the image is left as it was", () => {
    const before = Uint8Array.from(image);
    expect(packImage(image, at)).toEqual(packImage(image, at));
    expect(image).toEqual(before);
  });

  test("that unpack.asm could not take is refused", () => {
    expect(() => packImage(image, { ...at, __image_end: at.__spare_start + 16 })).toThrow("has no room");
    expect(() => packImage(image.subarray(0, 8000), at)).toThrow("does not end where __data_end is");
    const tight = { ...at, __plain_end: start + 4096, __image_end: start + 99_999 };
    expect(() => packImage(noise(8192), tight)).toThrow("is larger than what it unpacks to");
  });

  test("is one segment of an ELF32", () => {
    const elf = elf32(Uint8Array.of(1, 2, 3, 4), { entry: start + 2, start, end: start + 4096 });
    expect(elf.subarray(0, 7)).toEqual(Buffer.from("\x7fELF\x01\x01\x01", "latin1"));
    expect([elf.readUInt16LE(16), elf.readUInt16LE(18), elf.readUInt32LE(24)]).toEqual([2, 3, start + 2]);
    const segment = elf.readUInt32LE(28);
    const words = Array.from({ length: 6 }, (_, index) => elf.readUInt32LE(segment + 4 * index));
    expect(words).toEqual([1, elf.length - 4, start, start, 4, 4096]);
    expect((elf.length - 4) % 8).toBe(0);
    expect([...elf.subarray(-4)]).toEqual([1, 2, 3, 4]);
  });
});
