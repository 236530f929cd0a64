// A damaged file changes nothing: every bit of the header, and random ones of the rest, flipped one at a time, in front of the
// daemon's restore and revert. The hypervisor is a fake that counts what is asked of it.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Clones } from "../../../control/src/daemon/clones.js";
import { silentLog } from "../../../control/src/daemon/log.js";
import { Snapshots } from "../../../control/src/daemon/snapshots.js";
import { Catalog } from "../../../control/src/images/catalog.js";
import { HEADER } from "../../../control/src/snapshot/format.js";
import { SnapshotStore } from "../../../control/src/snapshot/store.js";
import { randomFrom, scaled, seedOf } from "../../support/scale.js";
import { Harness } from "../daemon/harness.js";
import { MIB, sampleFile, sampleHeader, sampleRam, sourceOf } from "./sample.js";

const BODY_FLIPS = scaled(1000, 100_000);

/** Its one file is the test's. */
class OneFile extends SnapshotStore {
  file: Buffer = Buffer.alloc(0);
  override async open() {
    return { source: sourceOf(this.file), path: "/file", close: async () => {} };
  }
}

let harness: Harness;
let snapshots: Snapshots;
let store: OneFile;
let file: Buffer;

beforeAll(async () => {
  harness = await Harness.start();
  const client = await harness.client();
  const { id } = await client.call("run", { image: "sector", name: "web" });
  const header = sampleHeader(2 * MIB);
  header.guest = { id, name: "web", lineage: id };
  file = await sampleFile({ header, ram: sampleRam(4 * MIB).subarray(MIB, 3 * MIB) });
  const { host, guests, modules } = harness.daemon;
  store = new OneFile(harness.snapshots);
  const clones = new Clones(host, guests, silentLog());
  snapshots = new Snapshots(host, guests, clones, modules, new Catalog(harness.root), store);
  store.file = file;
  const guest = await snapshots.restore("/file", { name: "whole", paused: false }, () => {}); // so that the flips below are what refuses it
  await guests.remove(guest, true);
});
afterAll(() => harness.stop());

const asked = (): unknown[] => [harness.hypervisor.creations, [...harness.hypervisor.calls], [...harness.hypervisor.guests.keys()]];

/** Codes of the refusals, with how often. */
async function flip(bits: Iterable<number>): Promise<Record<string, number>> {
  const codes: Record<string, number> = {};
  const web = harness.daemon.guests.find("web");
  const copy = Buffer.from(file);
  store.file = copy;
  let turn = 0;
  for (const bit of bits) {
    const [at, mask] = [bit >> 3, 1 << (bit & 7)];
    copy[at] = (copy[at] ?? 0) ^ mask;
    const work =
      turn++ % 2 === 0 ? snapshots.restore("/file", { paused: false }, () => {}) : snapshots.revert(web, "/file", false, () => {});
    const outcome = await work.then(
      () => `bit ${bit} was taken`,
      (error: { code?: string }) => String(error.code),
    );
    copy[at] = (copy[at] ?? 0) ^ mask;
    codes[outcome] = (codes[outcome] ?? 0) + 1;
  }
  return codes;
}

describe("a snapshot with a bit flipped", { timeout: 600_000 }, () => {
  it("in its header is refused, whichever it is", async () => {
    const before = asked();
    const bits = (HEADER.json + file.readUInt32LE(HEADER.jsonBytes)) * 8;
    const codes = await flip(Array(bits).keys());
    expect(codes).toEqual({ E_SNAPSHOT_FORMAT: 64, E_SNAPSHOT_DAMAGED: bits - 64 });
    expect(asked()).toEqual(before);
    expect(harness.daemon.guests.find("web").state).toBe("running");
  });

  it(`anywhere else is refused: ${BODY_FLIPS} of them`, async () => {
    const before = asked();
    const seed = seedOf(20_261);
    const random = randomFrom(seed);
    const first = (HEADER.json + file.readUInt32LE(HEADER.jsonBytes)) * 8;
    const bits = Array.from({ length: BODY_FLIPS }, () => first + random(file.length * 8 - first));
    expect(await flip(bits), `HVKIT_SEED=${seed}`).toEqual({ E_SNAPSHOT_DAMAGED: BODY_FLIPS });
    expect(asked()).toEqual(before);
    expect(harness.daemon.guests.find("web").state).toBe("running");
  });
});
