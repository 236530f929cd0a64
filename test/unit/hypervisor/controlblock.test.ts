// A control block out of the hypervisor: parts of one reading only, and nothing endless.
import { describe, expect, test } from "vitest";
import { Message } from "../../../control/src/hypervisor/codec.js";
import { failedOf, readControlBlock } from "../../../control/src/hypervisor/controlblock.js";
import { GuestExplainReply, type Op } from "../../../protocol/messages.js";

/** Answers with `parts` in turn: a reading, the count, fields. */
function requests(parts: [reading: number, count: number, ...fields: number[]][]) {
  const asked: (readonly number[])[] = [];
  const request = async (_op: Op, words: readonly number[]): Promise<Message> => {
    asked.push(words);
    const [reading = 0, count = 0, ...fields] = parts[Math.min(asked.length, parts.length) - 1] ?? [];
    const reply: number[] = Array(GuestExplainReply.Words).fill(0);
    reply[GuestExplainReply.Reading] = reading;
    reply[GuestExplainReply.Fields] = count;
    return new Message(new Uint8Array(BigUint64Array.from([0, ...reply, ...fields].map(BigInt)).buffer));
  };
  return { asked, request };
}

describe("a control block", () => {
  test("comes in parts", async () => {
    const line = requests([
      [5, 3, 10, 11],
      [5, 3, 12],
    ]);
    expect(await readControlBlock(line, 7)).toEqual([10n, 11n, 12n]);
    expect(line.asked).toEqual([
      [7, 0],
      [7, 2],
    ]);
  });

  test("is read again when another reading came in between", async () => {
    const line = requests([
      [5, 3, 10, 11],
      [6, 3, 99],
      [7, 3, 20, 21],
      [7, 3, 22],
    ]);
    expect(await readControlBlock(line, 0)).toEqual([20n, 21n, 22n]);
  });

  test("is given up when that never ends, when nothing comes, or too much", async () => {
    const always = { turn: 0 };
    const request = (_op: Op, words: readonly number[]): Promise<Message> => requests([[always.turn++, 4, 1]]).request(0 as Op, words);
    await expect(readControlBlock({ request }, 0)).rejects.toMatchObject({ code: "E_LINK_MESSAGE" });
    for (const part of [
      [5, 3],
      [5, 3, 1, 2, 3, 4],
      [5, 100_000, 1],
    ] as [number, number][]) {
      await expect(readControlBlock(requests([part]), 0)).rejects.toMatchObject({ code: "E_LINK_MESSAGE" });
    }
  });
});

test("a failure is a rule and a field", () => {
  expect([failedOf(0), failedOf(0x0036_0021), failedOf(0xffff_0001)]).toEqual([
    undefined,
    { rule: 0x21, field: 0x36 },
    { rule: 1, field: 0xffff },
  ]);
});
