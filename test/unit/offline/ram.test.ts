// A snapshot's RAM where it is asked for: the same bytes as were written, whatever was asked before; stores stay here.
import { fc, test as property } from "@fast-check/vitest";
import { beforeAll, describe, expect, it } from "vitest";
import { SavedRam } from "../../../control/src/offline/ram.js";
import { readSnapshot } from "../../../control/src/snapshot/reader.js";
import { MIB, sampleFile, sampleRam, sourceOf } from "../snapshot/sample.js";

const expected = sampleRam();
let file: Buffer;
let untouched: Buffer;
let ram: SavedRam;
const open = async (bytes: Buffer): Promise<SavedRam> => SavedRam.of(sourceOf(bytes), await readSnapshot(sourceOf(bytes)));

beforeAll(async () => {
  file = await sampleFile();
  untouched = Buffer.from(file);
  ram = await open(file);
});

const range = fc.tuple(fc.integer({ min: 0, max: expected.length - 1 }), fc.integer({ min: 0, max: 3 * MIB }));

describe("a snapshot's RAM", () => {
  property.prop([fc.array(range, { minLength: 1, maxLength: 4 })], { numRuns: 30 })(
    "is what was saved, at any place and length",
    async (ranges) => {
      for (const [at, wanted] of ranges) {
        const length = Math.min(wanted, expected.length - at);
        expect(Buffer.from(await ram.read(at, length)).equals(expected.subarray(at, at + length))).toBe(true);
      }
    },
  );

  property.prop([fc.array(fc.tuple(range, fc.uint8Array({ minLength: 1, maxLength: 9000 })), { minLength: 1, maxLength: 6 })], {
    numRuns: 30,
  })("takes what is stored, and gives it up again; the file stays", (stores) => {
    const model = Buffer.from(expected);
    for (const [[at], bytes] of stores) {
      const part = bytes.subarray(0, expected.length - at);
      ram.store(at, part);
      model.set(part, at);
    }
    expect(Buffer.from(ram.load(0, expected.length)).equals(model)).toBe(true);
    ram.revert();
    expect(Buffer.from(ram.load(0, expected.length)).equals(expected)).toBe(true);
    expect(file.equals(untouched)).toBe(true);
  });

  it("knows its bounds", () => {
    expect([ram.has(0, expected.length), ram.has(expected.length - 1, 1), ram.has(expected.length - 1, 2), ram.has(-1, 1)]).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });

  it("of a file that was changed after it was opened is refused, by its digest", async () => {
    const changed = Buffer.from(file);
    const late = await SavedRam.of(sourceOf(changed), await readSnapshot(sourceOf(file)));
    changed.fill(0x55, file.length >> 1);
    expect(() => late.load(0, expected.length)).toThrow(expect.objectContaining({ code: "E_SNAPSHOT_DAMAGED" }));
  });
});
