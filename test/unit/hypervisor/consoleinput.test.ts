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
    expect(sent.slice(-3)).toEqual([256, 256, 88]);
  });

  it("that is typed is sent as it is; its loss is not made good", async () => {
    const input = new ConsoleInput({ send: async (_guest, _port, _bytes, settle) => expect(settle).toBe(false) });
    await input.write(1, 0, Uint8Array.of(13));
    expect(input.dropped(1, 0, 1)).toBe(false);
  });
});
