import { describe, expect, it } from "vitest";
import { type BochsSetup, bochsConfiguration, geometryFor } from "../../../control/src/engines/bochsrc.js";

const setup: BochsSetup = {
  disk: "/run/x/hv.img",
  diskSectors: 1008,
  storePath: "/run/x/store.img",
  store: { sectors: 2016 },
  log: "/run/x/bochs.log",
  memoryBytes: 512 * 2 ** 20,
  cpus: 2,
  address: { host: "127.0.0.1", port: 40123 },
  extra: ["magic_break: enabled=1"],
};

describe("Bochs' configuration", () => {
  it("has the machine, the disks, the line and no window", () => {
    const lines = bochsConfiguration(setup).split("\n");
    for (const line of [
      "cpu: model=corei7_skylake_x, count=2, quantum=32, ips=25000000, reset_on_triple_fault=0, ignore_bad_msrs=1",
      "memory: guest=512, host=512",
      'ata0-master: type=disk, mode=flat, path="/run/x/hv.img", cylinders=1, heads=16, spt=63',
      'ata0-slave: type=disk, mode=flat, path="/run/x/store.img", cylinders=2, heads=16, spt=63',
      "com1: enabled=1, mode=socket-client, dev=127.0.0.1:40123",
      "display_library: term",
      'log: "/run/x/bochs.log"',
    ]) {
      expect(lines).toContain(line);
    }
    expect(lines.at(-2)).toBe("magic_break: enabled=1");
  });

  it("of a scripted machine writes the line to a file, and begins at a time of its own", () => {
    const lines = bochsConfiguration({ ...setup, address: { file: "/run/x/line" } }).split("\n");
    expect(lines).toContain("com1: enabled=1, mode=file, dev=/run/x/line");
    expect(lines).toContain("clock: sync=none, time0=1767225600");
    expect(() => bochsConfiguration({ ...setup, address: { file: '/a"b' } })).toThrow(expect.objectContaining({ code: "E_PATH" }));
  });

  it.each([0, 8 * 2 ** 20, 2 ** 24 + 1, 4 * 2 ** 30])("refuses a memory of %d bytes", (memoryBytes) => {
    expect(() => bochsConfiguration({ ...setup, memoryBytes })).toThrow(expect.objectContaining({ code: "E_MEMORY_SIZE" }));
  });

  it.each(['/a"b', "/a,b", "/a\nmegs: 1"])("refuses a path that would be read as something else: %j", (path) => {
    expect(() => bochsConfiguration({ ...setup, disk: path })).toThrow(expect.objectContaining({ code: "E_PATH" }));
  });
});

describe("a disk's geometry", () => {
  it("is whole cylinders, with room for all sectors", () => {
    expect(geometryFor(0)).toEqual({ cylinders: 1, sectors: 1008 });
    expect(geometryFor(1008)).toEqual({ cylinders: 1, sectors: 1008 });
    expect(geometryFor(1009)).toEqual({ cylinders: 2, sectors: 2016 });
  });
});
