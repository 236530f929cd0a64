// Layout table to layout table: what moves, what may come and go, and that whatever else differs is named.
import { beforeAll, describe, expect, it } from "vitest";
import type { Layout } from "../../../control/src/snapshot/format.js";
import { migrate } from "../../../control/src/snapshot/migrate.js";
import { regionBytes } from "../../../control/src/snapshot/moves.js";
import { readSnapshot, type Snapshot } from "../../../control/src/snapshot/reader.js";
import { sampleFile, sampleLayout, sampleState, sourceOf } from "./sample.js";

let snapshot: Snapshot;
beforeAll(async () => {
  snapshot = await readSnapshot(sourceOf(await sampleFile()));
});

/** The sample's table, changed: another build's. */
function other(change: (layout: Layout) => void): Layout {
  const layout = sampleLayout();
  layout.identity = "fedcba9876543210";
  change(layout);
  return layout;
}
const timer = (layout: Layout) => layout.records[1] as Layout["records"][number];

function differences(to: Layout, from = snapshot): unknown {
  try {
    migrate(from, to);
    return [];
  } catch (error) {
    const { code, data } = error as { code?: string; data?: { differences?: string[] } };
    return data?.differences ?? code;
  }
}

describe("the state region", () => {
  it("stays as it is for the same table", () => {
    const { region, registers } = migrate(snapshot, sampleLayout());
    const expected = Buffer.from(sampleState().region);
    for (const padding of [144 + 9]) expected[padding] = 0;
    expect(Buffer.from(region).toString("hex")).toBe(expected.toString("hex"));
    expect(registers).toEqual(sampleState().registers);
  });

  it("moves by the names of record and field, wherever these lie", () => {
    const moved = other((layout) => {
      layout.records.reverse();
      timer(layout).address = 0x200; // the vCPU's, now second
      const [record] = layout.records;
      if (record) Object.assign(record, { address: 0x100, bytes: 16, fields: [...record.fields].reverse() });
      for (const [index, field] of record?.fields.entries() ?? []) field.offset = [0, 3, 8][index] ?? 0;
    });
    const { region } = migrate(snapshot, moved);
    const old = sampleState().region;
    expect(region.length).toBe(regionBytes(moved));
    expect([...region.subarray(0, 3)]).toEqual([...old.subarray(144 + 10, 144 + 13)]);
    expect(region[3]).toBe(old[144 + 8]);
    expect([...region.subarray(8, 16)]).toEqual([...old.subarray(144, 152)]);
    expect([...region.subarray(0x100, 0x190)]).toEqual([...old.subarray(0, 144)]);
  });

  it("takes a new field where its record says that it starts with 0", () => {
    const added = other((layout) => {
      timer(layout).bytes = 24;
      timer(layout).fields.push({ name: "period", offset: 16, type: "u64", count: 1, zero: true });
    });
    expect([...migrate(snapshot, added).region.subarray(144 + 16)]).toEqual(new Array(8).fill(0));
    const [field] = timer(added).fields.slice(-1);
    if (field) delete field.zero;
    expect(differences(added)).toEqual(["timer.period is missing"]);
  });

  it("lets a field go that is 0, and no other", async () => {
    const less = other((layout) => {
      timer(layout).fields = timer(layout).fields.filter(({ name }) => name !== "mode");
    });
    expect(differences(less)).toEqual(["timer.mode is not known here, and not 0"]);
    const region = Uint8Array.from(sampleState().region);
    region[144 + 8] = 0;
    const zero = await readSnapshot(sourceOf(await sampleFile({ state: { ...sampleState(), region } })));
    expect(differences(less, zero)).toEqual([]);
  });

  it("names all that differs", () => {
    const worse = other((layout) => {
      const [deadline, mode, latch] = timer(layout).fields;
      if (deadline) deadline.type = "i64";
      if (latch) latch.count = 2;
      if (mode) mode.name = "state";
    });
    expect(differences(worse)).toEqual([
      "timer.deadline is u64, not i64",
      "timer.state is missing",
      "timer.latch is u8[3], not u8[2]",
      "timer.mode is not known here, and not 0",
    ]);
  });

  it.each<[string, (layout: Layout) => void]>([
    ["a record before the region", (layout) => Object.assign(timer(layout), { address: 0xff })],
    ["a record beyond the region", (layout) => Object.assign(timer(layout), { bytes: 14 })],
    ["a field beyond its record", (layout) => Object.assign(timer(layout).fields[2] ?? {}, { count: 4 })],
    ["a field twice", (layout) => Object.assign(timer(layout).fields[2] ?? {}, { name: "mode" })],
    ["a region that ends before it begins", (layout) => Object.assign(layout.region, { end: 0 })],
    ["another identity than the header's", (layout) => Object.assign(layout, { identity: "fedcba9876543210" })],
  ])("with %s in its table is refused", async (_, change) => {
    const layout = sampleLayout();
    change(layout);
    const wrong = await readSnapshot(sourceOf(await sampleFile({ layout })));
    expect(differences(sampleLayout(), wrong)).toBe("E_SNAPSHOT_DAMAGED");
  });
});

describe("registers", () => {
  it("must all be there, and what is not known must be 0", () => {
    const { rax: _, ...registers } = snapshot.registers;
    expect(differences(sampleLayout(), { ...snapshot, registers: { ...registers, r16: 5n, r17: 0n } })).toEqual([
      "register r16 is not known here, and not 0",
      "register rax is missing",
    ]);
  });
});
