// Measures one engine: instruction counts on a machine whose TSC counts instructions, wall-clock figures on one that runs freely.
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { documentOf, withChecks } from "../../../build/js/control/src/explain/document.js";
import { explain } from "../../../build/js/control/src/explain/explain.js";
import { readState } from "../../../build/js/control/src/explain/read.js";
import { vendorNameOf } from "../../../build/js/control/src/explain/rules.js";
import { BootBlock, BootLimit } from "../../../build/js/protocol/boot.js";
import { GuestKind, Op } from "../../../build/js/protocol/messages.js";
import { TraceMode } from "../../../build/js/protocol/trace.js";
import { SvmField, VmxField } from "../../../build/js/protocol/vcb.js";
import { root } from "../run.mjs";
import { clones, cloneWall, copyOnWrite, mostGuests } from "./clones.mjs";
import { daemon } from "./daemon.mjs";
import { DevCopy } from "./devcopy.mjs";
import { directLinux } from "./direct.mjs";
import { gdbRead } from "./gdb.mjs";
import { consoleRate, linkGoodput } from "./line.mjs";
import { metrics, none } from "./metrics.mjs";
import { Bench } from "./session.mjs";
import { restoreToFirstInstruction, snapshots } from "./snapshot.mjs";
import { swapOnce } from "./swap.mjs";

const MIB = 2 ** 20;
const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
const rounded = (value) => Math.round(value * 10) / 10;

/** Instruction counts: name -> (bench, engine) -> values. */
const counted = {
  exits: { of: ["exit.cpuid", "exit.hypercall", "exit.out", "exit.in", "exit.rdmsr"], measure: exits },
  trace: { of: ["trace.cost"], measure: traceCost },
  vmcs: { of: ["exit.vmcs_accesses"], measure: vmcsAccesses },
  create: { of: ["guest.create"], measure: guestCreate },
  ready: { of: ["boot.reset_to_ready"], measure: async ({ hypervisor }) => ({ "boot.reset_to_ready": Number(hypervisor.hello.readyTsc) }) },
  switches: { of: ["sched.switch"], measure: schedSwitch },
  restore: { of: ["snapshot.restore_to_first_instruction"], measure: restoreToFirstInstruction },
  clones: { of: ["clone.instructions", "clone.protect_instructions", "clone.bytes"], measure: clones },
  cow: { of: ["cow.first_fault", "cow.fault"], measure: copyOnWrite },
  linux: { of: ["linux.to_init", "linux.exits", "guest.overhead_bytes"], measure: linux },
};
/** Wall-clock figures. */
const timed = {
  rpc: { of: ["rpc.median_ms", "rpc.per_s"], measure: rpc },
  console: { of: ["console.bytes_per_s"], measure: consoleRate },
  link: { of: ["link.goodput", "link.goodput_1e-5", "link.goodput_1e-4"], measure: linkGoodput },
  explain: { of: ["explain.ms"], measure: explainOnce },
  upload: { of: ["upload.mb_per_s"], measure: upload },
  gdb: { of: ["gdb.read_mb_per_s"], measure: gdbRead },
  swap: { of: ["swap.ms"], measure: swapOnce },
  clone: { of: ["clone.wall_ms"], measure: cloneWall },
  snapshot: { of: ["snapshot.save_mb_per_s", "snapshot.restore_ms", "snapshot.bytes"], measure: snapshots },
};

const DAEMON = ["daemon.rss_mb", "cli.start_ms"];

const failed = (names, error) => Object.fromEntries(names.map((name) => [name, none(`it failed: ${error.message.split("\n")[0]}`)]));

export async function measureEngine(engine, { only, note }) {
  const values = {};
  let flags;
  const wanted = (names) => !only || names.some((name) => only.includes(name));
  const take = async (parts, options) => {
    const chosen = Object.entries(parts).filter(([, { of }]) => wanted(of));
    if (chosen.length === 0) return;
    const bench = await Bench.start(engine, options);
    try {
      for (const [name, { of, measure }] of chosen) {
        const start = performance.now();
        try {
          Object.assign(values, await measure(bench, engine));
        } catch (error) {
          Object.assign(values, failed(of, error));
        }
        note(`${name} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
      }
    } finally {
      flags ??= bench.flags;
      await bench.stop();
    }
  };
  if (engine.accel === "kvm")
    for (const { of } of Object.values(counted))
      for (const name of of) values[name] = none("KVM's machines have no counter of instructions");
  else await take(counted, { icount: true });
  await take(timed);
  if (wanted(["guests.max_in_1g"])) Object.assign(values, await inOneGigabyte(engine, note));
  if (wanted(["cpus.speedup"])) values["cpus.speedup"] = await cpusSpeedup(engine, note);
  if (wanted(["dev.save_to_output_ms"])) values["dev.save_to_output_ms"] = await saveToOutput(engine, note);
  if (wanted(DAEMON)) Object.assign(values, await daemon(engine).catch((error) => failed(DAEMON, error)));
  if (wanted(["image.bytes"])) values["image.bytes"] = statSync(join(root, "build/hv.img")).size;
  if (wanted(["linux.direct"])) values["linux.direct"] = await directLinux(engine, { flags, note });
  const ordered = Object.keys(metrics).flatMap((name) => (name in values && wanted([name]) ? [[name, values[name]]] : []));
  return { engine: engine.engine, accel: engine.accel, vendor: engine.vendor, metrics: Object.fromEntries(ordered) };
}

async function exits(bench) {
  const found = await exitCosts(bench);
  return Object.fromEntries(counted.exits.of.map((name) => [name, found[name] ?? none("the guest `exits` could not measure it")]));
}

async function exitCosts(bench, options) {
  const guest = await bench.run("exits", options);
  const output = await bench.output(guest);
  await bench.remove(guest);
  return Object.fromEntries([...output.matchAll(/^(exit\.\w+) ([\d.]+)/gm)].map(([, name, value]) => [name, Number(value)]));
}

/** A CPUID exit with the ring of last exits on, less one with it off. */
async function traceCost(bench) {
  const off = await exitCosts(bench);
  const on = await exitCosts(bench, { traceModes: TraceMode.Ring });
  return { "trace.cost": rounded(on["exit.cpuid"] - off["exit.cpuid"]) };
}

/** What one CPUID exit needs: the difference of two runs with different numbers of them. */
async function vmcsAccesses(bench, { vendor }) {
  if (vendor !== "Intel VMX") return { "exit.vmcs_accesses": none("SVM has no VMCS") };
  const accesses = async (count) => {
    const guest = await bench.run("cpuids", { append: `count=${count}` });
    await bench.output(guest);
    const stat = await bench.hypervisor.guestStat(guest);
    await bench.remove(guest);
    return Number(stat.vmcsAccesses);
  };
  const few = await accesses(1000);
  return { "exit.vmcs_accesses": rounded(((await accesses(11000)) - few) / 10000) };
}

/**
 * From the request to the guest's first instruction: requests that follow each other without a reply in between (a halted CPU's TSC goes
 * on, and its idle time is subtracted). The guest is a boot sector that never halts, so nothing is idle after its start.
 */
async function guestCreate(bench) {
  const { hypervisor } = bench;
  const memory = 256 * MIB;
  const sector = readFileSync(join(root, "build/bench/spin16/spin16"));
  const block = memory - BootLimit.BlockBytes;
  const words = new Array(BootBlock.Words).fill(0n);
  words[BootBlock.Magic] = BigInt(BootLimit.Magic);
  words[BootBlock.Kernel] = BigInt(MIB);
  words[BootBlock.KernelBytes] = BigInt(sector.length);
  words[BootBlock.CommandLine] = BigInt(block);
  const bytes = Buffer.alloc(words.length * 8);
  for (const [index, word] of words.entries()) bytes.writeBigUInt64LE(word, index * 8);
  const counts = [];
  for (let turn = 0; turn < 5; turn++) {
    await bench.scrubbed();
    // Idle time before the request must not be subtracted, so the count begins behind the guest's making, which is never idle.
    const [created, before] = await Promise.all([
      hypervisor.guestCreate({ memoryBytes: memory, wallSeconds: 0 }),
      hypervisor.hostStat(),
      hypervisor.request(Op.GuestWrite, [0, MIB], sector),
      hypervisor.request(Op.GuestWrite, [0, block], bytes),
      hypervisor.request(Op.GuestStart, [0, GuestKind.BootSector, block, bytes.length, 0]),
    ]);
    if (created.guest !== 0) throw new Error("the guest did not get slot 0");
    const stat = await hypervisor.guestStat(0);
    const after = await hypervisor.hostStat();
    const idle = Number(after.idleNs - before.idleNs) * (hypervisor.hello.tscKhz / 1e6);
    counts.push(Number(stat.firstEntryTsc - created.requestTsc) - idle);
    await hypervisor.guestKill(0);
    await hypervisor.guestDestroy(0);
  }
  return { "guest.create": Math.round(median(counts)) };
}

/**
 * A guest's TSC is 0 at its first instruction. The time that it was halted is the hypervisor's count. Exits are counted in the same run: timer
 * ticks, most of them, go with guest time, which is 1 ns an instruction on QEMU and 20 ns on Bochs.
 */
async function linux(bench) {
  const guest = await bench.run("linux", { append: "bench=1" });
  const output = await bench.output(guest);
  const stat = await bench.hypervisor.guestStat(guest);
  await bench.remove(guest);
  const tsc = Number(/hvkit: tsc (\d+)/.exec(output)?.[1]);
  bench.flags = /hvkit: flags (.*)/.exec(output)?.[1];
  return { "linux.to_init": tsc - Number(stat.haltTsc), "linux.exits": Number(stat.exits), "guest.overhead_bytes": stat.overheadBytes };
}

const GAPS_AREA = 0x200000;
const SWITCHES = 50;

/** From the last instruction of one guest to the first one of the other: each writes down when it stood, by its own TSC. */
async function schedSwitch(bench) {
  const { hypervisor } = bench;
  await bench.scrubbed(); // else core takes a piece of each slice
  const guests = [await bench.run("gaps"), await bench.run("gaps")];
  const gaps = async (guest) => {
    const words = new BigUint64Array(new Uint8Array(await hypervisor.guestGet(guest, GAPS_AREA, 16 * (SWITCHES + 1))).buffer);
    if (words[0] < SWITCHES) return undefined;
    const { firstEntryTsc } = await hypervisor.guestStat(guest);
    return Array.from({ length: SWITCHES }, (_, index) => [2 + 2 * index, 3 + 2 * index].map((at) => Number(words[at] + firstEntryTsc)));
  };
  let found = [];
  while (found.length === 0 || found.includes(undefined)) {
    await new Promise((resolve) => setTimeout(resolve, 200));
    found = await Promise.all(guests.map(gaps));
  }
  for (const guest of guests) await bench.remove(guest);
  const [one, two] = found;
  const switches = one.flatMap(([left]) => {
    const [, entered] = two.find(([, end]) => end > left) ?? [];
    return entered === undefined ? [] : [entered - left];
  });
  return { "sched.switch": median(switches) };
}

async function inOneGigabyte(engine, note) {
  if (engine.engine === "bochs") return { "guests.max_in_1g": none("measured on QEMU: the hypervisor's memory is the same on both") };
  const bench = await Bench.start(engine, { memoryMiB: 1024 });
  try {
    return await mostGuests(bench);
  } catch (error) {
    return failed(["guests.max_in_1g"], error);
  } finally {
    note("guests");
    await bench.stop();
  }
}

const SPIN_COUNTER = 0x200000;
const SPEEDUP_SECONDS = 2;
const SPEEDUP_PAIRS = 3;

/** What two guests that count get done on two CPUs, against on one. */
async function cpusSpeedup(engine, note) {
  if (engine.engine === "bochs") return none("Bochs' CPUs take turns on one of the host's");
  const rate = async (cpus) => {
    const bench = await Bench.start(engine, { cpus });
    try {
      await bench.scrubbed(); // else a CPU without a guest works on that, beside those that are measured
      const guests = [await bench.run("spin"), await bench.run("spin")];
      const counted = async () => {
        const words = await Promise.all(guests.map((guest) => bench.hypervisor.guestGet(guest, SPIN_COUNTER, 8)));
        return words.reduce((sum, bytes) => sum + Number(Buffer.from(bytes).readBigUInt64LE()), 0);
      };
      await new Promise((resolve) => setTimeout(resolve, 1000));
      const [before, start] = [await counted(), performance.now()];
      await new Promise((resolve) => setTimeout(resolve, SPEEDUP_SECONDS * 1000));
      return ((await counted()) - before) / (performance.now() - start);
    } finally {
      await bench.stop();
    }
  };
  // Pairs one after the other: what else the host does meanwhile changes.
  const ratios = [];
  for (let pair = 0; pair < SPEEDUP_PAIRS; pair++) {
    const one = await rate(1);
    ratios.push((await rate(2)) / one);
  }
  note("speedup");
  return Math.round(100 * median(ratios)) / 100;
}

const SAVES = 5;

/** `hvkit dev` in a copy of the checkout: from a device's save to the first output of the guest that runs again. */
async function saveToOutput({ engine, accel }, note) {
  const copy = new DevCopy();
  try {
    copy.start(["hello64", "--engine", engine, ...(engine === "qemu" ? ["--accel", accel] : [])]);
    await copy.event(({ event }) => event === "watching", 180);
    const device = copy.path("hv/machine/devices/port61.ts");
    const source = readFileSync(device, "utf8");
    const times = [];
    for (let save = 0; save <= SAVES; save++) {
      const from = copy.events.length;
      writeFileSync(device, source.replace("REFRESH_NS: u64 = 15085", `REFRESH_NS: u64 = ${15086 + save}`));
      const first = await copy.event(({ event }) => event === "first-output", 180, from);
      // The compiler is warm when it has compiled once.
      if (save > 0) times.push(first.msAfterSave);
    }
    note("dev");
    return Math.round(median(times));
  } finally {
    await copy.remove();
  }
}

/** A guest's state as a file has it, once every field is there and once as a kernel's log would be, without those of the CPU: the longer of both. */
async function explainOnce(bench) {
  const guest = await bench.run("spin16");
  const vendor = vendorNameOf(bench.hypervisor.hello.vendor);
  const fields = new Map((await bench.hypervisor.guestExplain(guest)).entries());
  const firstOfCpu = vendor === "vmx" ? VmxField.VmcsAddress : SvmField.Features1;
  const log = new Map([...fields].filter(([field]) => field < firstOfCpu));
  const took = (known) => {
    const text = JSON.stringify(documentOf({ vendor, fields: known }));
    const times = Array.from({ length: 50 }, () => {
      const start = performance.now();
      const state = readState(text, "bench");
      const explanation = explain(state);
      if (explanation.failed.length > 0) throw new Error(`${explanation.failed.length} checks fail`);
      withChecks(documentOf(state), state, explanation);
      return performance.now() - start;
    });
    return median(times);
  };
  const ms = Math.max(took(fields), took(log));
  await bench.remove(guest);
  return { "explain.ms": Math.round(ms * 1000) / 1000 };
}

/** Through the hypervisor and back: a Ping of 16 bytes, one at a time, while nothing else runs. */
async function rpc({ hypervisor }) {
  const data = Buffer.alloc(16, 7);
  const times = [];
  for (let turn = 0; turn < 220; turn++) {
    const start = performance.now();
    await hypervisor.ping(data);
    if (turn >= 20) times.push(performance.now() - start);
  }
  return { "rpc.median_ms": Math.round(median(times) * 1000) / 1000, "rpc.per_s": await rpcRate(hypervisor, data) };
}

/** As many Pings under way as the control plane has at once. */
async function rpcRate(hypervisor, data) {
  let done = 0;
  const start = performance.now();
  const seconds = () => (performance.now() - start) / 1000;
  const lane = async () => {
    for (; seconds() < 3; done++) await hypervisor.ping(data);
  };
  await Promise.all(Array.from({ length: 32 }, lane));
  return Math.round(done / seconds());
}

/** An initrd's way: bytes into guest RAM, verified there. */
async function upload({ hypervisor }, { engine }) {
  const bytes = Buffer.alloc((engine === "bochs" ? 16 : 64) * MIB);
  for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE((at * 2654435761) >>> 0, at);
  const { guest } = await hypervisor.guestCreate({ memoryBytes: 128 * MIB, wallSeconds: 0 });
  const rates = [];
  for (let turn = 0; turn < 5; turn++) {
    bytes.writeUInt32LE(turn, 0);
    const start = performance.now();
    await hypervisor.guestPut(guest, 2 * MIB, bytes);
    rates.push(bytes.length / 1e6 / ((performance.now() - start) / 1000));
  }
  await hypervisor.guestDestroy(guest);
  return { "upload.mb_per_s": rounded(median(rates)) };
}
