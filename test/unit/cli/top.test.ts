// What `hvkit top` makes of two looks at the counters, and how it shows it.
import { describe, expect, test } from "vitest";
import type { GuestStats } from "../../../control/src/api/schemas.js";
import { type Counters, topSample as schema } from "../../../control/src/api/top.js";
import { showTop } from "../../../control/src/cli/commands/top.js";
import { topSample } from "../../../control/src/cli/toprates.js";

const MS = 1_000_000;
const guest = (fields: Partial<GuestStats>): GuestStats => ({
  id: "a1",
  name: "web",
  state: "running",
  cpu: 0,
  exits: "1000",
  lifeNs: String(10_000 * MS),
  runNs: String(4000 * MS),
  haltNs: String(5000 * MS),
  waitNs: String(600 * MS),
  pausedNs: String(400 * MS),
  handlingNs: "0",
  timed: false,
  traced: false,
  vmcsAccesses: "0",
  injected: "100",
  firstEntryTsc: "1",
  haltTsc: "1",
  overheadBytes: 1,
  nestedTableBytes: 1,
  nestedFaults: "0",
  nestedFlushes: "1",
  copyFaults: "0",
  copiedBytes: 0,
  byReason: [
    { reason: "io-out", count: "900" },
    { reason: "hlt", count: "100" },
  ],
  ...fields,
});
const lost = { framesBad: "0", replyFramesBad: "0", framesResent: "2", requestFramesResent: "1", serialOverruns: "0" };
const counters = (at: number, guests: GuestStats[]): Counters => ({
  vendor: "AMD SVM",
  engine: { name: "qemu", accel: "tcg" },
  uptimeNs: String(at * MS),
  cpus: [
    { index: 0, idleNs: String((at / 4) * MS), runNs: String((at / 2) * MS), exits: String(at), injected: String(at / 10), guest: "web" },
    { index: 1, idleNs: String(at * MS), runNs: "0", exits: "0", injected: "0", guest: null },
  ],
  guests,
  link: { bytesIn: String(at), bytesOut: String(8 * at), framesIn: "20", framesOut: "30", ...lost },
});
const later = guest({
  exits: "3000",
  lifeNs: String(12_000 * MS),
  runNs: String(5000 * MS),
  haltNs: String(5500 * MS),
  waitNs: String(900 * MS),
  pausedNs: String(600 * MS),
  injected: "300",
  byReason: [
    { reason: "io-out", count: "1900" },
    { reason: "hlt", count: "1100" },
  ],
});

describe("a sample", () => {
  test("has shares of the time between, and rates", () => {
    const sample = schema.parse(topSample(counters(10_000, [guest({})]), counters(12_000, [later])));
    expect(sample).toMatchObject({
      intervalNs: String(2000 * MS),
      cpus: [
        { loadPercent: 75, guestsPercent: 50, exitsPerSecond: 1000, injectedPerSecond: 100 },
        { loadPercent: 0, guestsPercent: 0, exitsPerSecond: 0, injectedPerSecond: 0 },
      ],
    });
    expect(sample.link).toMatchObject({ bytesInPerSecond: 1000, bytesOutPerSecond: 8000, framesResent: "2" });
    expect(sample.guests[0]).toMatchObject({
      runPercent: 50,
      hypervisorPercent: null,
      haltPercent: 25,
      waitPercent: 15,
      pausedPercent: 10,
      exitsPerSecond: 1000,
      injectedPerSecond: 100,
      byReason: [
        { reason: "io-out", perSecond: 500, count: "1900" },
        { reason: "hlt", perSecond: 500, count: "1100" },
      ],
    });
  });

  test("takes the handling of exits out of what ran, while it is timed", () => {
    const timed = { ...later, timed: true, handlingNs: String(200 * MS) };
    const [row] = topSample(counters(10_000, [guest({})]), counters(12_000, [timed])).guests;
    expect(row).toMatchObject({ runPercent: 40, hypervisorPercent: 10 });
  });

  test("counts a guest from its start when it was not there before, or was started anew", () => {
    const young = guest({
      lifeNs: String(1000 * MS),
      runNs: String(500 * MS),
      haltNs: String(500 * MS),
      waitNs: "0",
      pausedNs: "0",
      exits: "50",
    });
    for (const before of [[], [guest({})]]) {
      const [row] = topSample(counters(10_000, before), counters(12_000, [young])).guests;
      expect(row).toMatchObject({ runPercent: 50, haltPercent: 50, exitsPerSecond: 50 });
    }
  });

  test("of two looks at the same moment has no rates", () => {
    const [row] = topSample(counters(10_000, [guest({})]), counters(10_000, [guest({})])).guests;
    expect(row).toMatchObject({ runPercent: 0, exitsPerSecond: 0 });
  });

  test("is a table", () => {
    expect(showTop(topSample(counters(10_000, [guest({})]), counters(12_000, [later])))).toMatchInlineSnapshot(`
      "hvkit top:  AMD SVM on qemu (tcg), up 12.0 s; the last 2.0 s
      CPU 0:      75.0% busy, 50.0% for guests, 1000 exits/s, 100 injected/s, guest web
      CPU 1:      0.0% busy, 0.0% for guests, 0 exits/s, 0 injected/s
      link:       1000 B/s in, 7.81 KiB/s out; since the start 20 frames in (11.7 KiB), 30 out (93.8 KiB), 0 bad, 3 sent again, 0 bytes lost

      GUEST   STATE     CPU      RUN   HYPERVISOR   HALTED   WAITING   PAUSED   EXITS/S   INJECTED/S   MOST
      web     running   0      50.0%            -    25.0%     15.0%    10.0%      1000          100   io-out 500, hlt 500"
    `);
    expect(showTop(topSample(counters(10_000, []), counters(12_000, [])))).toContain("no guests");
  });
});
