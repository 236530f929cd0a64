// The build's own parts: what makes a step run, one builder at a time, numbers that NASM shares with TypeScript.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { BootLimit } from "../../../protocol/boot.js";
import { FrameType } from "../../../protocol/link.js";
import { EndReason, Op } from "../../../protocol/messages.js";
import { locked } from "../../../scripts/lib/lock.mjs";
import { enumsOf, writeProtocol } from "../../../scripts/lib/protocol.mjs";
import { root } from "../../../scripts/lib/run.mjs";
import { Steps } from "../../../scripts/lib/steps.mjs";

vi.setConfig({ testTimeout: 30_000 });

// Paths of steps are inside the repository.
let folder: string;
const inside = (name: string) => relative(root, join(folder, name));

beforeAll(() => {
  mkdirSync(join(root, "build"), { recursive: true });
  folder = mkdtempSync(join(root, "build/test-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("a step", () => {
  async function ran(options: { key?: string } = {}): Promise<number> {
    const steps = new Steps(inside("stamps"), () => {});
    const copy = () => writeFileSync(join(folder, "out"), readFileSync(join(folder, "in")));
    await steps.step({ name: "copy", inputs: [inside("in")], outputs: [inside("out")], run: copy, ...options });
    return steps.ran;
  }

  test("runs when its input, its key or its output's presence changed, and else not", async () => {
    writeFileSync(join(folder, "in"), "1");
    expect(await ran()).toBe(1);
    expect(await ran()).toBe(0);
    writeFileSync(join(folder, "in"), "2");
    expect(await ran()).toBe(1);
    expect(readFileSync(join(folder, "out"), "utf8")).toBe("2");
    expect(await ran({ key: "other" })).toBe(1);
    rmSync(join(folder, "out"));
    expect(await ran({ key: "other" })).toBe(1);
    expect(await ran({ key: "other" })).toBe(0);
  });

  test("that failed runs again", async () => {
    const failing = { name: "fails", inputs: [inside("in")], outputs: [], run: () => Promise.reject(new Error("once")) };
    await expect(new Steps(inside("stamps"), () => {}).step(failing)).rejects.toThrow("once");
    const steps = new Steps(inside("stamps"), () => {});
    await steps.step({ ...failing, run: () => Promise.resolve() });
    expect(steps.ran).toBe(1);
  });

  test("names an input that is not there", async () => {
    const steps = new Steps(inside("stamps"), () => {});
    const step = steps.step({ name: "reads", inputs: [inside("nothing")], outputs: [], run: () => Promise.resolve() });
    await expect(step).rejects.toThrow(/reads: .*nothing does not exist/);
  });
});

describe("the lock", () => {
  test("lets one in at a time", async () => {
    const path = join(folder, "lock");
    const order: string[] = [];
    const visit = (name: string) => () => {
      order.push(`${name} in`);
      return new Promise<void>((done) =>
        setTimeout(() => {
          order.push(`${name} out`);
          done();
        }, 20),
      );
    };
    await Promise.all([locked(path, () => {}, visit("a")), locked(path, () => {}, visit("b"))]);
    expect(order).toEqual(["a in", "a out", "b in", "b out"]);
  });

  test("of a process that is gone does not count", async () => {
    const path = join(folder, "stale");
    writeFileSync(path, "4194303999"); // above any process id
    expect(
      await locked(
        path,
        () => {},
        () => Promise.resolve("in"),
      ),
    ).toBe("in");
  });
});

describe("protocol.inc", () => {
  test("has the numbers of the enums", async () => {
    await writeProtocol(inside("protocol.inc"));
    const text = readFileSync(join(folder, "protocol.inc"), "utf8");
    const values = new Map([...text.matchAll(/^%define (\w+) (\d+)$/gm)].map(([, name, value]) => [name, Number(value)]));
    expect(values.get("Op_GuestCreate")).toBe(Op.GuestCreate);
    expect(values.get("EndReason_TrapRunaway")).toBe(EndReason.TrapRunaway);
    expect(values.get("FrameType_SyncAck")).toBe(FrameType.SyncAck);
    expect(values.get("BootLimit_Magic")).toBe(BootLimit.Magic);
    expect(values.get("HostFact_Vendor")).toBe(0);
  });

  test("knows the enums of a file whose imports only asc understands", async () => {
    expect([...(await enumsOf("hv/core/host.ts")).keys()]).toContain("FrameState");
  });
});
