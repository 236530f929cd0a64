// Replaces the snapshot `one` of a folder again and again, by the built control plane, until it is killed or cannot: store.test.ts does
// that to it. Arguments: the project's folder, the snapshots'. A file has a megabyte that does not shrink, and its turn as description.
import { randomFillSync } from "node:crypto";
import { join } from "node:path";

const [root = "", folder = ""] = process.argv.slice(2);
const { SnapshotStore } = await import(join(root, "build/js/control/src/snapshot/store.js"));
const { SnapshotWriter } = await import(join(root, "build/js/control/src/snapshot/writer.js"));
const store = new SnapshotStore(folder);
const id = "00112233aabb";
const header = {
  name: "one",
  createdAt: new Date(0).toISOString(),
  guest: { id, name: "web", lineage: id },
  image: { reference: "linux", name: "linux", kind: "linux", append: "", added: [] },
  engine: { name: "qemu", accel: "tcg", vendor: "AMD SVM", build: "test" },
  memoryBytes: 4 * 2 ** 20,
  layout: "0123456789abcdef",
  cpu: { model: "portable", tscKhz: 1_000_000, cpuid: [] },
};
const state = {
  registers: [],
  inject: 0n,
  injectLength: 0,
  halted: false,
  events: 0,
  clockNs: 0n,
  fpu: new Uint8Array(832),
  region: new Uint8Array(8),
  consoleInput: [new Uint8Array(), new Uint8Array()],
};
const field = { name: "rip", offset: 0, type: "u64", count: 1 };
const layout = {
  identity: header.layout,
  region: { start: 0, end: 8 },
  records: [{ record: "vcpu", class: "VcpuRecord", address: 0, bytes: 8, fields: [field] }],
};
const ram = Buffer.alloc(2 ** 20);

process.stdout.write("begun\n");
for (let turn = 1; ; turn++) {
  randomFillSync(ram);
  try {
    await store.write("one", true, async (sink) => {
      const writer = await SnapshotWriter.begin(sink, { ...header, description: `turn ${turn}` });
      await writer.state(state, layout);
      for (let block = 0; block < 4; block++) await writer.ram(block * 2 ** 20, ram);
      await writer.end();
    });
  } catch (error) {
    process.stdout.write(`${error.code}: ${error.message}\n`);
    break;
  }
}
