import { fc, test } from "@fast-check/vitest";
import { describe, expect, it } from "vitest";
import { cobsDecode, cobsEncode, cobsMax } from "../../../control/src/link/cobs.js";

const run = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);

describe("COBS", () => {
  // The examples of the paper's readers, as literal bytes.
  it.each([
    [[], [1, 0]],
    [[0], [1, 1, 0]],
    [
      [0, 0],
      [1, 1, 1, 0],
    ],
    [
      [0x11, 0x22, 0, 0x33],
      [3, 0x11, 0x22, 2, 0x33, 0],
    ],
    [
      [0x11, 0, 0, 0],
      [2, 0x11, 1, 1, 1, 0],
    ],
    [run(1, 253), [254, ...run(1, 253), 0]],
    [run(0, 254), [1, 255, ...run(1, 254), 1, 0]],
    [run(1, 255), [255, ...run(1, 254), 2, 255, 0]],
    [
      [...run(2, 255), 0],
      [255, ...run(2, 255), 1, 1, 0],
    ],
  ])("encodes %j", (data, encoded) => {
    expect([...cobsEncode(Uint8Array.from(data))]).toEqual(encoded);
    expect([...(cobsDecode(Uint8Array.from(encoded.slice(0, -1))) ?? [])]).toEqual(data);
  });

  it("takes a full block with no code after it, as other encoders write it", () => {
    expect([...(cobsDecode(Uint8Array.from([255, ...run(1, 254)])) ?? [])]).toEqual(run(1, 254));
  });

  it.each([[[5, 1, 2]], [[0]], [[2, 0]], [[3, 1, 0]], [[2, 1, 200]]])("refuses %j", (encoded) => {
    expect(cobsDecode(Uint8Array.from(encoded))).toBeUndefined();
  });

  test.prop([fc.uint8Array({ maxLength: 1200 })])("gives back what it was given, in the room that it says", (data) => {
    const encoded = cobsEncode(data);
    expect(encoded.indexOf(0)).toBe(encoded.length - 1);
    expect(encoded.length - 1).toBeLessThanOrEqual(cobsMax(data.length));
    expect(cobsDecode(encoded.subarray(0, -1))).toEqual(data);
  });

  test.prop([fc.uint8Array({ maxLength: 600 })])("survives any bytes", (bytes) => {
    expect(cobsDecode(bytes)?.length ?? 0).toBeLessThanOrEqual(bytes.length);
  });
});
