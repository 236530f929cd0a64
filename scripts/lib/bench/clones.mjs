// The figures of copies: what a clone of a booted Linux takes and owns, what a write to shared memory costs, and how many guests there can be.

const MEMORY_MIB = 256;
const TURNS = 5;
const COPIES = 20;
/** of twin's memory: as many regions of 2 MiB can be written to first, and all but the one below them */
const REGIONS = 7;
const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];

/** A Linux that never halts: nothing is idle behind its copy's first instruction. */
async function busyLinux(bench) {
  const guest = await bench.run("linux", { memoryMiB: MEMORY_MIB });
  await bench.shows(guest, "linux:/root# ");
  await bench.hypervisor.consoleWrite(guest, 0, Buffer.from("echo bu''sy; while :; do :; done\n"));
  await bench.shows(guest, "busy");
  return guest;
}

/**
 * From taking up the request to the copy's first entry, without idle time and without what goes into the nested tables, which is told apart. The
 * source stands, so that it takes no slice in between; between two copies it runs, and writes again to what it shared.
 */
export async function clones(bench) {
  const { hypervisor } = bench;
  const source = await busyLinux(bench);
  const counts = [];
  const protects = [];
  const bytes = [];
  for (let turn = 0; turn < TURNS; turn++) {
    await hypervisor.guestPause(source);
    await bench.scrubbed();
    const [free, tables] = [(await hypervisor.hostStat()).freeBytes, (await hypervisor.guestStat(source)).nestedTableBytes];
    const still = await bench.clone(source, { paused: true });
    const owned = await hypervisor.guestStat(still.guest);
    const grown = (await hypervisor.guestStat(source)).nestedTableBytes - tables;
    bytes.push(Math.max(owned.overheadBytes, free - (await hypervisor.hostStat()).freeBytes - owned.nestedTableBytes - grown));
    await bench.remove(still.guest);
    await bench.scrubbed();

    const [made, before] = await Promise.all([bench.clone(source), hypervisor.hostStat()]);
    const stat = await hypervisor.guestStat(made.guest);
    const after = await hypervisor.hostStat();
    const idle = Number(after.idleNs - before.idleNs) * (hypervisor.hello.tscKhz / 1e6);
    counts.push(Number(stat.firstEntryTsc - made.requestTsc - made.protectTicks) - idle);
    protects.push(Number(made.protectTicks));
    await bench.remove(made.guest);
    await hypervisor.guestResume(source);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  await bench.remove(source);
  return {
    "clone.instructions": Math.round(median(counts)),
    "clone.protect_instructions": Math.max(...protects),
    "clone.bytes": Math.max(...bytes),
  };
}

/** The guest times its own writes, less one to a page that is its own. */
export async function copyOnWrite(bench) {
  const { hypervisor } = bench;
  const source = await bench.run("twin");
  await bench.shows(source, "twin: ready");
  await hypervisor.guestPause(source);
  await bench.scrubbed(); // else core takes a piece of what is measured
  const { guest } = await bench.clone(source);
  const firsts = [];
  const nexts = [];
  for (let region = 0; region < REGIONS; region++) {
    await hypervisor.consoleWrite(guest, 0, Buffer.from("t"));
    const [, first, next] = await bench.matches(guest, new RegExp(`(?:twin: first (\\d+) next (\\d+)\\s+){${region + 1}}`));
    firsts.push(Number(first));
    nexts.push(Number(next));
  }
  await bench.remove(guest);
  await bench.remove(source);
  return { "cow.first_fault": median(firsts), "cow.fault": median(nexts) };
}

/** Copies of a booted Linux that sits at its shell, one after the other: each is asked for, is made, and runs. */
export async function cloneWall(bench) {
  const source = await bench.run("linux", { memoryMiB: MEMORY_MIB });
  await bench.shows(source, "linux:/root# ");
  await bench.scrubbed();
  const times = [];
  const copies = [];
  for (let copy = 0; copy < COPIES; copy++) {
    const start = performance.now();
    copies.push((await bench.clone(source)).guest);
    times.push(performance.now() - start);
  }
  for (const copy of copies) await bench.remove(copy);
  await bench.remove(source);
  return { "clone.wall_ms": Math.round(median(times) * 100) / 100 };
}

/** A guest of 16 MiB and as many copies of it as there can be, each of which answers, with its generation. */
export async function mostGuests(bench) {
  const source = await bench.run("twin");
  await bench.shows(source, "twin: ready");
  const copies = [];
  for (;;) {
    const made = await bench.clone(source).catch((error) => {
      if (!["E_HV_NO_MEMORY", "E_HV_NO_SLOT"].includes(error.code)) throw error;
      return undefined;
    });
    if (!made) break;
    copies.push(made);
  }
  await Promise.all(
    copies.map(async ({ guest, generation }) => {
      await bench.hypervisor.consoleWrite(guest, 0, Buffer.from("g"));
      await bench.shows(guest, `twin: generation ${generation} `);
    }),
  );
  return { "guests.max_in_1g": copies.length + 1 };
}
