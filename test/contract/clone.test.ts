// Copies of a guest in the middle of what it does: they go on as it does, share with it what neither writes, and give all of it back.
import { expect, test } from "vitest";
import type { Guest } from "./support/guest.js";
import { useMachine, within } from "./support/suite.js";
import { onEachEngine } from "./support/targets.js";

/** images/hash: what each round shows. */
const hashes = (guest: Guest): Map<number, string> =>
  new Map([...guest.console.matchAll(/round (\d+) ([0-9A-F]{16}) ticks /g)].map(([, round, hash = ""]) => [Number(round), hash]));

onEachEngine("clones", (target) => {
  const machine = useMachine(target);

  test(
    "the source and its copy go on with the hash of a guest that was never copied",
    async () => {
      const whole = await machine().run("hash", { append: "rounds=8" });
      const source = await machine().run("hash", { append: "rounds=8" });
      await source.shows("round 2 ");
      const { copy } = await machine().clone(source);
      await copy.ends(60);
      await source.ends(60);
      await whole.ends(60);
      const expected = hashes(whole);
      expect(expected.size).toBe(8);
      expect(hashes(source)).toEqual(expected);
      const found = hashes(copy);
      expect(found.get(8)).toBe(expected.get(8));
      for (const [round, hash] of found) expect({ round, hash }).toEqual({ round, hash: expected.get(round) });
    },
    within(target, 90),
  );
});
