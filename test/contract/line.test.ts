// Bulk through an engine's own serial line, with nothing beside it: while the line is cut in mid-frame, and across a control plane that goes in
// the middle of a frame and comes back.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { RunningEngine } from "../../control/src/engines/engine.js";
import { RemoteHypervisor } from "../../control/src/hypervisor/client.js";
import { BareLine } from "../support/line.js";
import { randomFrom, scaled, seedOf } from "../support/scale.js";
import { startEngine } from "./support/machine.js";
import { within } from "./support/suite.js";
import { onEachEngine } from "./support/targets.js";

const KIB = 1024;
const MIB = 1024 * KIB;
const seed = seedOf(21);

/** Bytes through the line, half of them there and half back; and how often it is cut. Bochs' line carries 8 KB a second. */
const through = (engine: string): [bytes: number, cuts: number] =>
  engine === "bochs" ? [scaled(48 * KIB, MIB), scaled(4, 20)] : [scaled(2 * MIB, 64 * MIB), scaled(30, 1000)];

/** in 10 ms */
const noiseBytes = (engine: string): number => (engine === "bochs" ? 40 : 1024);

function content(bytes: number): Uint8Array {
  const below = randomFrom(seed);
  return Uint8Array.from({ length: bytes }, () => (below(4) === 0 ? 0 : below(256)));
}

onEachEngine("the serial line", (target) => {
  const runDir = mkdtempSync(join(tmpdir(), "hvkit-line-"));
  let engine: RunningEngine | undefined;
  let remote: RemoteHypervisor | undefined;
  beforeAll(async () => {
    engine = await startEngine(target, runDir, { memoryMiB: 128 });
  });
  afterEach(() => remote?.close());
  afterAll(async () => {
    await engine?.stop();
    rmSync(runDir, { recursive: true, force: true });
  });

  const up = (): RunningEngine => {
    if (!engine) throw new Error("the engine is not up");
    return engine;
  };

  const connect = async (line: BareLine): Promise<RemoteHypervisor> => {
    remote = await RemoteHypervisor.connect(line);
    return remote;
  };

  test(
    "carries random bytes, and then a session as ever",
    async () => {
      const { transport } = up();
      const below = randomFrom(seed);
      const until = Date.now() + scaled(3_000, 60_000);
      // About as fast as the line takes them: what is sent ahead of it would be waited for.
      while (Date.now() < until) {
        if (transport.pending === 0) transport.write(Uint8Array.from({ length: noiseBytes(target.engine) }, () => below(256)));
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      const hypervisor = await connect(new BareLine(up()));
      expect((await hypervisor.hostStat()).framesBad).toBeGreaterThan(0n);
      const { guest } = await hypervisor.guestCreate({ memoryBytes: 2 * MIB, wallSeconds: 1 });
      const data = content(4 * KIB);
      await hypervisor.guestPut(guest, 0, data);
      expect(Buffer.compare(await hypervisor.guestGet(guest, 0, data.length), data), `seed ${seed}`).toBe(0);
      await hypervisor.guestDestroy(guest);
    },
    within(target, scaled(120, 240)),
  );

  const [bytes, cuts] = through(target.engine);

  test(
    `carries ${bytes / KIB} KiB while it is cut ${cuts} times`,
    async () => {
      const line = new BareLine(up(), { seed, every: bytes / cuts, pieces: 6 });
      const hypervisor = await connect(line);
      const half = content(bytes / 2);
      const { guest } = await hypervisor.guestCreate({ memoryBytes: Math.max(2 * MIB, bytes / 2), wallSeconds: 1 });
      await hypervisor.guestPut(guest, 0, half);
      const back = await hypervisor.guestGet(guest, 0, half.length);
      expect(Buffer.compare(back, half), `seed ${seed}`).toBe(0);
      expect(line.count).toBeGreaterThanOrEqual(cuts);
      expect(hypervisor.linkStatistics().framesResent).toBeGreaterThan(0);
      await hypervisor.guestDestroy(guest);
    },
    within(target, scaled(240, 7200)),
  );

  test(
    "goes on for a control plane that went in mid-frame and came back: what has arrived is not sent again",
    async () => {
      const data = content(96 * KIB);
      const first = await connect(new BareLine(up()));
      const { guest } = await first.guestCreate({ memoryBytes: 2 * MIB, wallSeconds: 1 });
      const gone = new Promise<void>((resolve) => {
        const put = first.guestPut(guest, 0, data, (done) => {
          if (done >= 64 * KIB) resolve();
        });
        put.catch(() => undefined);
      });
      await gone;
      await first.close();
      // What it was about to send when it went.
      up().transport.write(Uint8Array.of(0x42, 1, 7, 0x55, 0x55));
      const again = await connect(new BareLine(up()));
      const before = again.linkStatistics().bytesOut;
      await again.guestPut(guest, 0, data);
      expect(again.linkStatistics().bytesOut - before).toBeLessThan(64 * KIB);
      expect(Buffer.compare(await again.guestGet(guest, 60 * KIB, 8 * KIB), data.subarray(60 * KIB, 68 * KIB))).toBe(0);
      await again.guestDestroy(guest);
    },
    within(target, 120),
  );
});
