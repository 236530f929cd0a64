import { describe, expect, it } from "vitest";
import { ConsoleInput } from "../../../control/src/hypervisor/consoleinput.js";

describe("console input", () => {
  it("to a guest that does not read ends with E_CONSOLE_FULL, and what comes after it goes on", async () => {
    let full = true;
    const sent: number[] = [];
    const input: ConsoleInput = new ConsoleInput({
      send: async (guest, port, bytes) => {
        sent.push(bytes.length);
        if (full) input.dropped(guest, port, bytes.length);
      },
      patienceMs: 30,
      retryMs: 5,
    });
    await expect(input.write(1, 0, new Uint8Array(600))).rejects.toMatchObject({ code: "E_CONSOLE_FULL", data: { taken: 0, bytes: 600 } });
    full = false;
    await input.write(1, 0, new Uint8Array(600));
    expect(sent.at(-1)).toBe(600);
  });

  it("goes on with what a guest that is slow did not take, in pieces of what it takes", async () => {
    const came: number[] = [];
    const sent: number[] = [];
    const input: ConsoleInput = new ConsoleInput({
      send: async (guest, port, bytes) => {
        const takes = Math.min(bytes.length, 100);
        sent.push(bytes.length);
        came.push(...bytes.subarray(0, takes));
        if (takes < bytes.length) input.dropped(guest, port, bytes.length - takes);
      },
    });
    const bytes = Uint8Array.from({ length: 2000 }, (_, index) => index);
    await input.write(1, 0, bytes);
    expect(came).toEqual([...bytes]);
    expect(sent.reduce((sum, count) => sum + count, 0)).toBeLessThan(2 * bytes.length);
  });

  it("that is typed is sent as it is; its loss is not made good", async () => {
    const input = new ConsoleInput({ send: async (_guest, _port, _bytes, settle) => expect(settle).toBe(false) });
    await input.write(1, 0, Uint8Array.of(13));
    expect(input.dropped(1, 0, 1)).toBe(false);
  });
});
