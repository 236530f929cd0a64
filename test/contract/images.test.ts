// Every guest of ours on each engine: what its manifest says it shows and how it ends; then what each can do beyond that. By hvkit's own
// library and fixture.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { type Manifest, parseManifest } from "../../control/src/images/manifest.js";
import { testGuest, testsOnEach } from "./support/fixture.js";
import { root } from "./support/machine.js";
import { within } from "./support/suite.js";
import { onEachEngine } from "./support/targets.js";

const ours = readdirSync(join(root, "images")).filter((name) => name !== "linux" && existsSync(join(root, "images", name, "image.json")));
const tests = testsOnEach();

function manifestOf(name: string): Manifest {
  const path = join(root, "images", name, "image.json");
  return parseManifest(readFileSync(path, "utf8"), path);
}

onEachEngine("images", (target) => {
  const test = tests(target);
  const patience = (seconds = 20) => ({ timeoutMs: within(target, seconds) });

  test("the hypervisor's vendor is the engine's", async ({ hvkit }) => {
    expect((await hvkit.status()).hypervisor?.vendor).toBe(target.vendor);
  });

  for (const name of ours) {
    test(
      name,
      async ({ guests }) => {
        const { expect: expected } = manifestOf(name);
        if (!expected) throw new Error(`images/${name}/image.json says not what to expect`);
        const guest = await guests.run(name);
        const literal = expected.console.map((text) => text.replaceAll(/[$()*+.?[\\\]^{|}]/g, "\\$&"));
        await guest.waitFor(new RegExp(literal.join("[^]*")), patience(expected.seconds));
        if (expected.end !== undefined) {
          const { end } = await guest.ended(patience(expected.seconds));
          expect(end?.code).toBe(expected.end);
          if (expected.value !== undefined) expect(BigInt(end?.value ?? -1)).toBe(BigInt(expected.value));
        }
        expect((await guest.logs()).toString()).not.toContain("FAIL");
      },
      within(target, 90),
    );
  }

  test(
    "hello64 gets its command line, and halts for good when told so",
    async ({ guests }) => {
      const guest = await guests.run("hello64", { append: "nonce=6f1d ticks=1 end=halt" });
      await guest.waitFor("hello64: command line: hz=100 nonce=6f1d ticks=1 end=halt\n", patience());
      expect(await guest.ended(patience())).toMatchObject({ end: { code: "halted-forever" } });
      expect((await guest.logs()).toString()).toContain("hello64: done");
    },
    within(target, 40),
  );

  test(
    "multiboot modules and memory arrive as they were given",
    async ({ guests }) => {
      const folder = mkdtempSync(join(tmpdir(), "hvkit-images-"));
      const data = Buffer.from(Array.from({ length: 5000 }, (_, index) => (index * 7) & 0xff));
      writeFileSync(join(folder, "first"), data);
      writeFileSync(join(folder, "second"), Buffer.from([1, 2, 3]));
      const add = [{ file: join(folder, "first"), path: "/first/one" }, join(folder, "second")];
      const guest = await guests.run(testGuest("multiboot"), { memory: "8M", add }).finally(() => rmSync(folder, { recursive: true }));
      await guest.ended(patience());
      const console = (await guest.logs()).toString();
      const sum = data.reduce((total, byte) => total + byte, 0);
      expect(console).toContain(`multiboot: module 5000 sum ${sum} /first/one\n`);
      expect(console).toContain("multiboot: module 3 sum 6 /add/second\n");
      const memory = /multiboot: memory (\d+)/.exec(console);
      expect(Number(memory?.[1])).toBeGreaterThan(7 * 2 ** 20);
      expect(Number(memory?.[1])).toBeLessThanOrEqual(8 * 2 ** 20);
    },
    within(target, 40),
  );

  test(
    "the registers and the memory of a guest can be read",
    async ({ guests }) => {
      const guest = await guests.run("spin");
      await guest.waitFor("spin: interrupts off", patience());
      const counter = async (): Promise<bigint> => Buffer.from(await guest.mem(0x200000, 8)).readBigUInt64LE();
      const first = await counter();
      await expect.poll(counter, { timeout: within(target, 10) }).toBeGreaterThan(first);
      await guest.pause();
      const paused = await counter();
      const { rip = 0n, rflags = 0n, efer = 0n } = await guest.regs();
      expect(rip).toBeGreaterThan(0x100000n);
      expect(rip).toBeLessThan(0x200000n);
      expect(rflags & 0x200n).toBe(0n);
      expect(efer & 0x500n).toBe(0x500n);
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(await counter()).toBe(paused);
      await guest.unpause();
      await expect.poll(counter, { timeout: within(target, 10) }).toBeGreaterThan(paused);
    },
    within(target, 40),
  );
});
