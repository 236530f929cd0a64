// Where the last lines of a console's log begin.
import { afterAll, beforeAll, expect, it } from "vitest";
import { tailOf } from "../../../control/src/cli/tail.js";
import type { Client } from "../../../control/src/client/client.js";
import { Harness, until } from "../daemon/harness.js";

let harness: Harness;
let client: Client;
beforeAll(async () => {
  harness = await Harness.start(undefined, { limits: { consoleBytes: 400_000 } });
  client = await harness.client();
});
afterAll(() => harness.stop());

async function guestWith(text: string): Promise<string> {
  const { id } = await client.call("run", { image: "sector" });
  const slot = Math.max(...harness.hypervisor.guests.keys());
  harness.hypervisor.write(slot, text);
  await until(() => harness.daemon.guests.find(id).logs[0]?.end === text.length);
  return id;
}

it.each([
  ["", 3, ""],
  ["\n", 1, "\n"],
  ["one\ntwo\nthree\n", 0, ""],
  ["one\ntwo\nthree\n", 1, "three\n"],
  ["one\ntwo\nthree\n", 2, "two\nthree\n"],
  ["one\ntwo\nthree\n", 3, "one\ntwo\nthree\n"],
  ["one\ntwo\nthree\n", 9, "one\ntwo\nthree\n"],
  ["one\ntwo\nno end", 2, "two\nno end"],
  ["one\n\n\n", 2, "\n\n"],
])("of %j the last %d are %j", async (text, lines, expected) => {
  const { offset, end } = await tailOf(client, await guestWith(text), lines);
  expect(text.slice(offset, end)).toBe(expected);
});

it("are found over many pieces, and from the oldest byte on that is kept", async () => {
  const text = Array.from({ length: 60_000 }, (_, line) => `line ${line}\n`).join("");
  const guest = await guestWith(text);
  const at = async (lines: number) => text.slice((await tailOf(client, guest, lines)).offset);
  expect((await at(20_000)).split("\n").slice(0, 2)).toEqual(["line 40000", "line 40001"]);
  const { offset } = await tailOf(client, guest, 1_000_000);
  expect(offset).toBe(harness.daemon.guests.find(guest).logs[0]?.start);
  expect(offset).toBeGreaterThan(0);
});
