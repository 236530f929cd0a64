// What is in the way of a snapshot, thing by thing.
import { beforeAll, describe, expect, it } from "vitest";
import { findObstacles, requireCpu, type Target } from "../../../control/src/snapshot/check.js";
import { readSnapshot, type Snapshot } from "../../../control/src/snapshot/reader.js";
import { sampleFile, sampleHeader, sampleLayout, sampleState, sourceOf } from "./sample.js";

let snapshot: Snapshot;
beforeAll(async () => {
  snapshot = await readSnapshot(sourceOf(await sampleFile()));
});

const target = (change: Partial<Target> = {}): Target => ({
  title: "qemu (tcg), AMD SVM",
  layout: sampleLayout(),
  cpuid: sampleState().cpuid,
  tscKhz: 1_000_000,
  tscScaling: false,
  freeBytes: 2 ** 28,
  ...change,
});
/** The sample's CPUID with one word changed. */
const cpuid = (leaf: number, change: object) => sampleState().cpuid.map((row) => (row.leaf === leaf ? { ...row, ...change } : row));

describe("a snapshot", () => {
  it("can go on where it was taken", () => {
    expect(findObstacles(snapshot, target())).toEqual([]);
    expect(() => requireCpu(snapshot, target())).not.toThrow();
  });

  it("needs each feature of its CPU, by name", () => {
    const lacking = target({ cpuid: cpuid(1, { ecx: 0x8000_0001, edx: 0x078b_a979 }) });
    const names = ["the CPU lacks ssse3", "the CPU lacks vme", "the CPU lacks de"];
    expect(findObstacles(snapshot, lacking).map(({ code, severity, text }) => [code, severity, text])).toEqual(
      names.map((text) => ["cpu-feature", "error", text]),
    );
    expect(() => requireCpu(snapshot, lacking)).toThrow(
      expect.objectContaining({ code: "E_SNAPSHOT_CPU", message: `the snapshot cannot go on here: ${names.join("; ")}` }),
    );
    const osxsave = { ...snapshot, header: sampleHeader() };
    osxsave.header.cpu.cpuid[1] = [1, 0, 0, 0, 0x0800_0000, 0]; // follows the guest's CR4
    expect(findObstacles(osxsave, target())).toEqual([]);
    expect(findObstacles(snapshot, target({ cpuid: cpuid(1, { ecx: 0xffff_ffff, edx: 0xffff_ffff }) }))).toEqual([]);
  });

  it("of a build whose guests have other leaves is refused, whatever the CPU has", () => {
    const strange = { ...snapshot, header: sampleHeader() };
    strange.header.cpu.cpuid.push([0x20, 0, 1, 0, 0, 0], [0xd, 9, 8, 0, 0, 0]);
    for (const found of [sampleState().cpuid, null]) {
      expect(findObstacles(strange, target({ cpuid: found })).map(({ code, text }) => [code, text])).toEqual([
        ["cpu-feature", "no guest here has CPUID leaf 20h"],
        ["cpu-feature", "no guest here has CPUID leaf dh.9"],
      ]);
    }
    expect(() => requireCpu(strange, target())).toThrow(expect.objectContaining({ code: "E_SNAPSHOT_CPU" }));
  });

  it("with the model of its host needs the vendor", async () => {
    const intel = { ebx: 0x756e_6547, edx: 0x4965_6e69, ecx: 0x6c65_746e };
    expect(findObstacles(snapshot, target({ cpuid: cpuid(0, intel) }))).toEqual([]);
    const header = sampleHeader();
    header.cpu.model = "host";
    const host = await readSnapshot(sourceOf(await sampleFile({ header })));
    expect(findObstacles(host, target({ cpuid: cpuid(0, intel) }))).toMatchObject([
      { code: "cpu-vendor", severity: "error", text: /'host' of AuthenticAMD, this is GenuineIntel/ },
    ]);
  });

  it.each([
    [{ tscKhz: 1_003_000 }, 0],
    [{ tscKhz: 996_000 }, 1],
    [{ tscKhz: null }, 1],
    [{ tscKhz: 5, tscScaling: true }, 0],
  ])("warns where its clock's rate cannot be had: %j", (change, warnings) => {
    const found = findObstacles(snapshot, target(change));
    expect(found.map(({ code, severity }) => [code, severity])).toEqual(new Array(warnings).fill(["tsc", "warning"]));
  });

  it("needs memory", () => {
    expect(findObstacles(snapshot, target({ freeBytes: 3 * 2 ** 20 }))).toEqual([
      { code: "memory", severity: "error", text: "it needs 4 MiB of memory, 3 MiB are free" },
    ]);
    expect(findObstacles(snapshot, target({ freeBytes: null }))).toEqual([]);
  });

  it("needs a state region that fits", () => {
    const layout = sampleLayout();
    layout.records[1]?.fields.push({ name: "period", offset: 4, type: "u8", count: 1 });
    expect(findObstacles(snapshot, target({ layout }))).toEqual([
      { code: "layout", severity: "error", text: "state: timer.period is missing" },
    ]);
  });
});
