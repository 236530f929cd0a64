// The figures of snapshots: how fast a booted Linux is saved, how large it is then, and what it takes until it goes on again.
import { rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { captureRam } from "../../../build/js/control/src/snapshot/capture.js";
import { readLayout } from "../../../build/js/control/src/snapshot/layout.js";
import { readRam, readSnapshot } from "../../../build/js/control/src/snapshot/reader.js";
import { SnapshotStore } from "../../../build/js/control/src/snapshot/store.js";
import { SnapshotWriter } from "../../../build/js/control/src/snapshot/writer.js";
import { root } from "../run.mjs";
import { none } from "./metrics.mjs";

const MIB = 2 ** 20;
const MEMORY_MIB = 256;
const TURNS = 5;
const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];

/** What the daemon puts into a header, as far as it has a length. */
function headerOf({ cpuModel, tscKhz, cpuid }, layout) {
  const id = "00112233aabb";
  return {
    name: "bench",
    description: "",
    createdAt: new Date().toISOString(),
    guest: { id, name: "bench", lineage: id },
    image: { reference: "linux", name: "linux", kind: "linux", append: "", added: [] },
    engine: { name: "", accel: "", vendor: "", build: "" },
    memoryBytes: MEMORY_MIB * MIB,
    layout: layout.identity,
    cpu: { model: cpuModel, tscKhz, cpuid: cpuid.map(({ leaf, subleaf, eax, ebx, ecx, edx }) => [leaf, subleaf, eax, ebx, ecx, edx]) },
  };
}

/** As `hvkit snapshot create` and `hvkit restore` do it, the file on the disk at the end of the one, checked at the begin of the other. */
export async function snapshots(bench, { engine }) {
  const { hypervisor } = bench;
  const layout = readLayout(root);
  const store = new SnapshotStore(join(bench.runDir, "snapshots"));
  let guest = await bench.run("linux", { memoryMiB: MEMORY_MIB });
  await bench.shows(guest, "linux:/root# ");
  const saves = [];
  const restores = [];
  let path;
  for (let turn = 0; turn < (engine === "bochs" ? 1 : TURNS); turn++) {
    let start = performance.now();
    path = await store.write("bench", true, async (sink) => {
      await hypervisor.guestPause(guest);
      const state = await hypervisor.guestStateSave(guest);
      const writer = await SnapshotWriter.begin(sink, headerOf(state, layout));
      await writer.state(state, layout);
      await captureRam(hypervisor, guest, MEMORY_MIB * MIB, writer);
      await hypervisor.guestResume(guest);
      await writer.end();
    });
    saves.push((MEMORY_MIB * MIB) / 1e6 / ((performance.now() - start) / 1000));
    await hypervisor.guestPause(guest);
    const state = await hypervisor.guestStateSave(guest);
    await bench.remove(guest);
    await bench.scrubbed();
    start = performance.now();
    const { source, close } = await store.open("bench");
    const snapshot = await readSnapshot(source);
    const { cpuModel, tscKhz } = state;
    ({ guest } = await bench.create({ memoryBytes: MEMORY_MIB * MIB, wallSeconds: 0, cpuModel, tscKhz }));
    await readRam(source, snapshot, (address, bytes) => hypervisor.guestFill(guest, address, bytes));
    await hypervisor.guestStateLoad(guest, state);
    await hypervisor.guestResume(guest);
    restores.push(performance.now() - start);
    await close();
  }
  await bench.remove(guest);
  const { size } = statSync(path);
  rmSync(path);
  return {
    "snapshot.save_mb_per_s": Math.round(median(saves) * 10) / 10,
    "snapshot.restore_ms": Math.round(median(restores) * 10) / 10,
    "snapshot.bytes": size,
  };
}

/** As guest.create: from taking up the request to the first entry, less idle time. The control plane fills the RAM meanwhile. */
export async function restoreToFirstInstruction(bench, { engine }) {
  const metric = "snapshot.restore_to_first_instruction";
  if (engine !== "qemu") return { [metric]: none("the hypervisor itself reads the RAM from the store disk: see snapshot.restore_ms") };
  const { hypervisor } = bench;
  const memoryBytes = MEMORY_MIB * MIB;
  let guest = await bench.run("spin16", { memoryMiB: MEMORY_MIB }); // it never halts: nothing is idle after its first entry
  await hypervisor.guestPause(guest);
  const state = await hypervisor.guestStateSave(guest);
  const ram = await hypervisor.guestGet(guest, 0, 64 * MIB);
  const counts = [];
  for (let turn = 0; turn < TURNS; turn++) {
    await bench.remove(guest);
    await bench.scrubbed();
    const { cpuModel, tscKhz } = state;
    const [created, before] = await Promise.all([bench.create({ memoryBytes, wallSeconds: 0, cpuModel, tscKhz }), hypervisor.hostStat()]);
    ({ guest } = created);
    await hypervisor.guestFill(guest, 0, ram);
    await hypervisor.guestStateLoad(guest, state);
    await hypervisor.guestResume(guest);
    const stat = await hypervisor.guestStat(guest);
    const after = await hypervisor.hostStat(); // while it spins: a pause would add idle time that is none of the restore's
    await hypervisor.guestPause(guest);
    const idle = Number(after.idleNs - before.idleNs) * (hypervisor.hello.tscKhz / 1e6);
    counts.push(Number(stat.firstEntryTsc - created.requestTsc) - idle);
  }
  await bench.remove(guest);
  return { [metric]: Math.round(median(counts)) };
}
