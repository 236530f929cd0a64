import { describe, expect, it } from "vitest";
import { badLine, MockTransport } from "../../../control/src/transport/mock.js";

const ticks = async (count = 3): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};

describe("the mock pair", () => {
  it("delivers later, in order, and keeps what nobody hears yet", async () => {
    const [a, b] = MockTransport.pair();
    a.write(Uint8Array.of(1, 2));
    a.write(Uint8Array.of(3));
    expect(a.pending).toBe(3);
    await ticks();
    expect(a.pending).toBe(0);
    const got: number[] = [];
    b.onData((bytes) => got.push(...bytes));
    expect(got).toEqual([1, 2, 3]);
  });

  it("closes both ends, each with its own reason", async () => {
    const [a, b] = MockTransport.pair();
    const reasons: unknown[] = [];
    a.onClose((error) => reasons.push(error));
    b.onClose((error) => reasons.push(error?.message));
    a.close();
    await ticks();
    expect(reasons).toEqual([undefined, "the other side closed it"]);
  });

  it("has faults that can be repeated", () => {
    const run = (): string => {
      const fault = badLine(7, { lose: 0.2, double: 0.2, flip: 0.5 });
      return JSON.stringify(Array.from({ length: 50 }, (_, index) => fault(Uint8Array.of(index, 0, 255)).map((piece) => [...piece])));
    };
    expect(run()).toBe(run());
    expect(badLine(1, { lose: 1 })(Uint8Array.of(1))).toEqual([]);
    expect(badLine(1, { double: 1 })(Uint8Array.of(1))).toHaveLength(2);
    expect(badLine(1, { flip: 1 })(Uint8Array.of(0))[0]).not.toEqual(Uint8Array.of(0));
  });
});
