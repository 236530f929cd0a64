// One Linux is booted, and forked: each copy tries the module with another parameter, one of them a module that panics. docs/tutorial-fork.md
// goes through it. FORKS says how many; without it they are fifty.
import { join } from "node:path";
import { test } from "hvkit/vitest";
import { expect, inject } from "vitest";

const count = Number(process.env.FORKS ?? 50);
const { folder = "", missing } = inject("modules");
if (missing) process.stderr.write(`fork: skipped: the module cannot be built here: ${missing}\n`);

test.skipIf(missing)(`forks a booted Linux ${count} times`, async ({ hvkit, guests }) => {
  const base = await guests.run("linux", {
    name: "base",
    add: ["counter.ko", "faulty.ko"].map((name) => ({ file: join(folder, name), path: `/${name}` })),
  });
  await base.waitFor("linux:/root# ");

  const begin = performance.now();
  const copies = await guests.clone(base, { count });
  const ms = performance.now() - begin;
  process.stdout.write(`fork: ${count} copies of a booted Linux in ${ms.toFixed(0)} ms: ${(ms / count).toFixed(1)} ms each\n`);

  const results = await Promise.all(copies.map((copy, index) => attempt(copy, index)));

  for (const { name, outcome } of results) process.stdout.write(`fork: ${name.padEnd(8)} ${outcome}\n`);
  expect(results.map(({ outcome }) => outcome)).toEqual(
    copies.map((_, index) => (index === 0 ? expect.stringContaining("NULL pointer dereference") : `counter ${100 * index + 1}`)),
  );

  // The others did not notice, and neither did the one that they are copies of.
  const running = (await hvkit.ps()).filter(({ state }) => state === "running").map(({ name }) => name);
  expect(running).toEqual(["base", ...copies.slice(1).map(({ name }) => name)]);
  expect((await base.exec(["test", "-e", "/proc/counter"])).code).toBe(1);

  for (const copy of copies) await copy.rm({ force: true });
  expect((await hvkit.ps()).map(({ name }) => name)).toEqual(["base"]);
});

/** What becomes of the module in one copy. The first one gets the module that panics. */
async function attempt(copy, index) {
  const { name } = copy;
  try {
    const script =
      index === 0 ? "insmod /faulty.ko" : `insmod /counter.ko start=${100 * index} && echo x >/proc/counter && cat /proc/counter`;
    const { code, stdout, stderr } = await copy.exec(["sh", "-c", script], { patienceMs: 120_000 });
    return { name, outcome: code === 0 ? `counter ${stdout.toString().trim()}` : stderr.toString().trim() };
  } catch (error) {
    if (error.code !== "E_EXEC_GUEST_ENDED") throw error;
    const { panic } = await copy.ended();
    return { name, outcome: panic?.cause ?? "it ended" };
  }
}
