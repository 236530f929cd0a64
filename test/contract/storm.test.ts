// Copies by the daemon until there are no frames for one more: the one that is too many is refused by a code, nobody is harmed, and all of it comes
// back. By hvkit's own library and fixture; what happens when copies write all that is left is in clone.test.ts.
import type { Guest } from "hvkit";
import { expect } from "vitest";
import { testGuest, testsOnEach } from "./support/fixture.js";
import { within } from "./support/suite.js";
import { onEachEngine } from "./support/targets.js";

const tests = testsOnEach({ memory: "64M" });

/** What more copies than there ever can be are. */
const TOO_MANY = 500;

onEachEngine("a storm of copies by the daemon", (target) => {
  const test = tests(target);
  const patience = (seconds: number) => ({ timeoutMs: within(target, seconds) });

  test(
    "ends in a refusal; those that are there go on, and their frames come back with rm",
    async ({ hvkit, guests }) => {
      const frames = async (): Promise<number> => (await hvkit.status()).hypervisor?.freeBytes ?? 0;
      const running = async (): Promise<number> => (await hvkit.ps()).filter(({ state }) => state === "running").length;
      const sum = async (guest: Guest): Promise<string | undefined> => {
        await guest.write("s");
        return (await guest.waitFor(/sum (\d+)\n/, patience(40)))[1];
      };
      const free = await frames();
      const source = await guests.run(testGuest("twin"), { name: "source" });
      await source.waitFor("ready", patience(40));
      await source.write("w");
      await source.waitFor(/wrote \d+\n/, patience(40));
      const before = await sum(source);

      const copies: Guest[] = [];
      let refusal: unknown;
      while (refusal === undefined && copies.length < TOO_MANY) {
        const made = await guests.clone(source).catch((error: unknown) => {
          refusal = error;
          return [];
        });
        copies.push(...made);
      }
      expect(refusal).toMatchObject({ code: "E_HV_NO_MEMORY", hint: expect.stringMatching(/./) });
      expect(copies.length).toBeGreaterThan(6);
      expect(copies.length).toBeLessThan(TOO_MANY);
      expect(await running()).toBe(copies.length + 1);

      // Room for a few, and more wanted: none is made.
      for (const copy of copies.splice(0, 3)) await copy.rm({ force: true });
      const names = (await hvkit.ps()).map(({ name }) => name);
      const most = await source.clone({ count: TOO_MANY }).catch((error: unknown) => error);
      expect(most).toMatchObject({ code: "E_HV_NO_MEMORY", data: { count: TOO_MANY, made: expect.any(Number) } });
      expect((most as { data: { made: number } }).data.made).toBeLessThanOrEqual(3);
      expect((await hvkit.ps()).map(({ name }) => name)).toEqual(names);

      for (const guest of [source, ...copies]) expect(await sum(guest)).toBe(before);
      expect(await running()).toBe(copies.length + 1);

      // What was refused once is there again when there is room.
      for (const copy of copies.splice(0)) await copy.rm({ force: true });
      const [again] = await guests.clone(source);
      if (!again) throw new Error("no copy was made");
      expect(await sum(again)).toBe(before);
      for (const guest of [again, source]) await guest.rm({ force: true });
      expect(await hvkit.ps()).toEqual([]);
      await expect.poll(frames, { timeout: within(target, 20) }).toBe(free);
    },
    within(target, 240),
  );
});
