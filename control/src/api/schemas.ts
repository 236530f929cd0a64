// The values that the JSON-RPC surface speaks of: guests, images, the hypervisor's status. Their JSON is what `--json` prints, so
// a key is never renamed or given another meaning. Counters that may pass 2^53 are decimal strings, addresses "0x..." strings.
import { z } from "zod";
import { HostLimit } from "../../../protocol/messages.js";
import { cpuModels } from "./cpu.js";

export const counter = z.string().regex(/^\d+$/);
export const address = z.string().regex(/^0x[0-9a-f]+$/);
/** bytes, in base64 */
export const bytes = z.base64();
const time = z.iso.datetime();

/** Docker's states, with `lost` for guests that went down with the hypervisor. */
export const guestState = z.enum(["created", "running", "paused", "restarting", "exited", "lost"]);

/** of what the tools that look inside take: a guest, or one that was saved to a file */
export const subjectState = z.enum([...guestState.options, "saved"]);

export const guestEnd = z.strictObject({
  /** stable: power-off, triple-fault, killed, stopped, lost, ... */
  code: z.string(),
  /** the same as a sentence */
  text: z.string(),
  value: address,
  rip: address,
  /** of a failed entry: the check that fails first (`hvkit explain` has them all), and why as a sentence */
  rule: z.string().optional(),
  why: z.string().optional(),
});

export const guestSummary = z.strictObject({
  id: z.string(),
  name: z.string(),
  image: z.string(),
  kind: z.enum(["linux", "multiboot", "bootsector"]),
  state: guestState,
  /** running, and halted until an interrupt */
  idle: z.boolean(),
  memoryBytes: z.int(),
  restarts: z.int(),
  createdAt: time,
  startedAt: time.nullable(),
  endedAt: time.nullable(),
  end: guestEnd.nullable(),
  /** bytes of its consoles that nobody had room for */
  consoleLost: z.int(),
  /** since when the line to its hypervisor is away: its state is as it was then, and may be another by now. null: it is as it is */
  staleSince: time.nullable(),
});

/** How a guest was run: what `run` takes, but for the name. */
export const launch = z.strictObject({
  /** a name, or the absolute path of a folder with image.json */
  image: z.string().min(1),
  memory: z.string().optional(),
  /** what its CPUID tells it to be */
  cpu: z.enum(cpuModels).optional(),
  append: z.string().optional(),
  /** CPUs that may run it; all, when left out */
  affinity: z
    .array(
      z
        .int()
        .min(0)
        .max(HostLimit.Cpus - 1),
    )
    .min(1)
    .optional(),
  /** it ends when it resets itself, instead of starting again; a Linux resets itself when it panics, then */
  noReboot: z.boolean().optional(),
  /** its exits are recorded from the first one on */
  trace: z.boolean().optional(),
  /** absolute paths of files here, and where they go in the guest */
  add: z.array(z.strictObject({ file: z.string().startsWith("/"), path: z.string().min(1) })).optional(),
});

/** A machine module, by the digest of its sources. */
const machineModule = z.strictObject({
  /** its place in the hypervisor; 0: the boot image's */
  slot: z.int(),
  identity: z.string(),
});

export const guestDetail = guestSummary.extend({
  /** null: it was made from a snapshot */
  launch: launch.nullable(),
  /** from which it was restored, or to which it was reverted, since its last start */
  snapshot: z.strictObject({ name: z.string(), createdAt: time }).nullable(),
  /** of which guest it is a clone (null in it: of a snapshot alone), and its generation, which it can read; null: it is none */
  clone: z.strictObject({ of: z.strictObject({ id: z.string(), name: z.string() }).nullable(), generation: counter }).nullable(),
  /** the hypervisor's number for it, while it is there */
  slot: z.int().nullable(),
  /** that it runs on; null: the hypervisor has it no more, or it was not asked */
  module: machineModule.nullable(),
  /** a debugger has it: when it is paused, that lets it go on, and `unpause` does not */
  debugged: z.boolean(),
  cpuModel: z.enum(cpuModels),
  append: z.string(),
  added: z.array(z.strictObject({ path: z.string(), bytes: z.int() })),
  rip: address.nullable(),
  /** CPUs that may run it; null: all */
  affinity: z.array(z.int()).nullable(),
  /** where it ran last */
  cpu: z.int().nullable(),
  console: z.array(z.strictObject({ port: z.int(), start: z.int(), end: z.int(), lost: z.int() })),
  /** where the boot plan put what, at the last start */
  placements: z.array(z.strictObject({ what: z.string(), address, bytes: z.int() })),
  /** milliseconds that each step of the last start took */
  timings: z.strictObject({ load: z.number(), create: z.number(), upload: z.number(), start: z.number() }).nullable(),
});

export const imageInfo = z.strictObject({
  name: z.string(),
  description: z.string().nullable(),
  kind: z.enum(["linux", "multiboot", "bootsector"]).nullable(),
  memoryBytes: z.int().nullable(),
  /** of its files; null while one is missing */
  bytes: z.int().nullable(),
  problem: z.strictObject({ code: z.string(), message: z.string() }).nullable(),
});

const row = z.strictObject({ leaf: address, subleaf: address, eax: address, ebx: address, ecx: address, edx: address });

export const snapshotSummary = z.strictObject({
  name: z.string(),
  path: z.string(),
  bytes: z.int(),
  createdAt: time,
  description: z.string(),
  guest: z.strictObject({ id: z.string(), name: z.string() }),
  image: z.string(),
  kind: z.enum(["linux", "multiboot", "bootsector"]),
  memoryBytes: z.int(),
  engine: z.strictObject({ name: z.string(), accel: z.string(), vendor: z.string(), build: z.string() }),
  cpuModel: z.string(),
  tscKhz: z.int(),
});

export const snapshotDetail = snapshotSummary.extend({
  append: z.string(),
  added: z.array(z.strictObject({ path: z.string(), bytes: z.int() })),
  /** CPUs that might run the guest; null: all */
  affinity: z.array(z.int()).nullable(),
  /** identity of the state region's layout table */
  layout: z.string(),
  cpuid: z.array(row),
});

/** The guest in a snapshot: what is in the file's sections beside RAM, registers and the machine's state. */
export const savedDetail = snapshotDetail.extend({
  state: z.literal("saved"),
  /** the guest from which this one comes by restores */
  lineage: z.string(),
  /** it waits in HLT */
  idle: z.boolean(),
  /** nanoseconds of its own time */
  clockNs: counter,
  /** when its clocks stopped; null: at createdAt */
  clockAt: time.nullable(),
  /** bytes of console input that it has not read, COM1 and COM2 */
  inputBytes: z.array(z.int()),
  rip: address,
});

export const snapshotEntry = z.strictObject({
  name: z.string(),
  path: z.string(),
  bytes: z.int(),
  /** null: it cannot be read, and `problem` says why */
  snapshot: snapshotSummary.nullable(),
  problem: z.strictObject({ code: z.string(), message: z.string() }).nullable(),
});

export const snapshotCheck = z.strictObject({
  path: z.string(),
  /** where it would go on: the engine, its vendor */
  target: z.string(),
  /** nothing of severity error is in the way */
  ok: z.boolean(),
  obstacles: z.array(
    z.strictObject({
      code: z.enum(["format", "damaged", "layout", "cpu-feature", "cpu-vendor", "memory", "tsc"]),
      severity: z.enum(["error", "warning"]),
      text: z.string(),
    }),
  ),
});

export const failure = z.strictObject({
  at: time,
  reason: z.string(),
  /** the panic report, symbolized; empty when there was none */
  panic: z.array(z.string()),
});

/** What the serial line carried. In: to the hypervisor; out: from it. */
export const link = z.strictObject({
  bytesIn: counter,
  bytesOut: counter,
  framesIn: counter,
  framesOut: counter,
  /** arrived damaged: at the hypervisor, and at the daemon */
  framesBad: counter,
  replyFramesBad: counter,
  /** sent again: by the hypervisor, and by the daemon */
  framesResent: counter,
  requestFramesResent: counter,
  /** bytes that the hypervisor's UART lost */
  serialOverruns: counter,
});

export const status = z.strictObject({
  state: z.enum(["starting", "running", "restarting", "failed", "stopping"]),
  pid: z.int(),
  startedAt: time,
  /** `--instance`; null: the one without a name */
  instance: z.string().nullable(),
  /** of its socket, its guests' consoles, its engine's files */
  folder: z.string(),
  /** the daemon's log */
  log: z.string(),
  /** where it listens besides its socket, and the file with the token for it */
  tcp: z.strictObject({ url: z.string(), tokenFile: z.string() }).nullable(),
  /** gdb: the socket of its own stub, for the hypervisor; null: it has none */
  engine: z
    .strictObject({
      name: z.string(),
      accel: z.string(),
      /** null: the machine is elsewhere */
      pid: z.int().nullable(),
      why: z.string(),
      command: z.array(z.string()),
      /** RAM of its machine */
      memoryBytes: z.int(),
      gdb: z.string().nullable(),
    })
    .nullable(),
  /** null: it is not running, or its line is away */
  hypervisor: z
    .strictObject({
      version: z.int(),
      identity: z.string(),
      /** new guests start on it */
      module: machineModule,
      vendor: z.string(),
      cpus: z.int(),
      /** each of them: how busy it is now, its time since the start, and the guest on it */
      perCpu: z.array(
        z.strictObject({ index: z.int(), loadPercent: z.int(), idleNs: counter, busyNs: counter, guest: z.string().nullable() }),
      ),
      tscKhz: z.int(),
      features: z.array(z.string()),
      totalBytes: z.int(),
      freeBytes: z.int(),
      dirtyBytes: z.int(),
      uptimeNs: counter,
      idleNs: counter,
      tsc: counter,
      readyTsc: counter,
      link,
    })
    .nullable(),
  /** The line to a machine elsewhere broke, and is tried until it is there again. The guests go on there, and are shown as they were. */
  linkLost: z.strictObject({ since: time, reason: z.string() }).nullable(),
  guests: z.strictObject({ total: z.int(), running: z.int() }),
  /** how often the hypervisor had to be started again */
  restarts: z.int(),
  lastFailure: failure.nullable(),
});

export const guestStats = z.strictObject({
  id: z.string(),
  name: z.string(),
  state: guestState,
  /** where it ran last */
  cpu: z.int().nullable(),
  exits: counter,
  /** Where its life went, from its start to now or its end: run, halted, waiting for a CPU, paused. */
  lifeNs: counter,
  /** with the handling of its exits */
  runNs: counter,
  haltNs: counter,
  waitNs: counter,
  pausedNs: counter,
  /** the part of runNs in which its exits were handled, while that was timed */
  handlingNs: counter,
  /** the handling is timed now */
  timed: z.boolean(),
  /** its exits are recorded */
  traced: z.boolean(),
  vmcsAccesses: counter,
  injected: counter,
  firstEntryTsc: counter,
  haltTsc: counter,
  overheadBytes: z.int(),
  nestedTableBytes: z.int(),
  nestedFaults: counter,
  /** nested translations dropped before an entry: the first one, and each on another CPU */
  nestedFlushes: counter,
  /** writes to RAM that it shared with a copy, and the bytes of RAM that were copied for it so */
  copyFaults: counter,
  copiedBytes: z.int(),
  /** most frequent first */
  byReason: z.array(z.strictObject({ reason: z.string(), count: counter })),
});

export type GuestState = z.infer<typeof guestState>;
export type SubjectState = z.infer<typeof subjectState>;
export type GuestEnd = z.infer<typeof guestEnd>;
export type GuestSummary = z.infer<typeof guestSummary>;
export type GuestDetail = z.infer<typeof guestDetail>;
export type Launch = z.infer<typeof launch>;
export type Link = z.infer<typeof link>;
export type GuestStats = z.infer<typeof guestStats>;
export type SnapshotSummary = z.infer<typeof snapshotSummary>;
export type SnapshotDetail = z.infer<typeof snapshotDetail>;
export type SavedDetail = z.infer<typeof savedDetail>;
export type SnapshotEntry = z.infer<typeof snapshotEntry>;
export type SnapshotCheck = z.infer<typeof snapshotCheck>;
export type ImageInfo = z.infer<typeof imageInfo>;
export type Status = z.infer<typeof status>;
export type Failure = z.infer<typeof failure>;
