// The JSON-RPC surface: every method's parameters and result, and every notification, typed once for client and daemon.
// A method has the name of its `hvkit` subcommand. The daemon checks parameters with these schemas; the client takes only the types.
import { z } from "zod";
import { TraceRing } from "../../../protocol/trace.js";
import { resumeClocks } from "./clock.js";
import { MAX_CLONES } from "./clones.js";
import { debugMethods, debugNotifications } from "./debugmethods.js";
import { entryState } from "./entrystate.js";
import { event, eventList } from "./events.js";
import { lookMethods } from "./lookmethods.js";
import {
  address,
  bytes,
  guestDetail,
  guestEnd,
  guestState,
  guestStats,
  guestSummary,
  imageInfo,
  launch,
  snapshotCheck,
  snapshotDetail,
  snapshotEntry,
  status,
} from "./schemas.js";
import { counters } from "./top.js";
import { trace, traceModes } from "./trace.js";

/** a guest's name, its id, or a beginning of its id that no other has */
const guest = z.string().min(1).max(128);
/** the guest's serial port: 0 is COM1 (and port E9h), 1 is COM2 */
const port = z.int().min(0).max(1).default(0);
/** it is removed when it has ended, and who ran it has closed the connection */
const autoRemove = z.boolean().optional();
const affinity = launch.shape.affinity;
/** how many clones at once */
const cloneCount = z.int().min(1).max(MAX_CLONES).default(1);
const none = z.strictObject({});
const oneGuest = z.strictObject({ guest });
/** a snapshot's name, or the absolute path of a file */
const snapshot = z.string().min(1).max(4096);

/** most that one `mem`, `logs` or `console.write` carries: with base64 and JSON it stays below the message limit of 1 MiB */
export const MAX_CHUNK = 256 * 1024;
/** most exits that one `trace` carries */
export const MAX_EXITS = 512;

const method = <P extends z.ZodType, R extends z.ZodType>(params: P, result: R) => ({ params, result });

export const methods = {
  status: method(none, status),
  images: method(none, z.array(imageInfo)),
  down: method(none, none),
  /** what this connection waits for, or asks for later, is broken off, as if it had been closed; each answer comes when what was begun is taken back */
  cancel: method(none, none),
  /** bytes through the hypervisor and back */
  ping: method(z.strictObject({ data: bytes.max(400).optional() }), z.strictObject({ data: bytes })),

  run: method(
    launch.extend({
      /** which are allowed: daemon/names.ts */
      name: z.string().max(1024).optional(),
      /** before its first instruction: it waits for unpause, or for a debugger */
      paused: z.boolean().default(false),
      autoRemove,
    }),
    guestDetail,
  ),
  /** New guests that go on from where this one is, all from the same moment, while it goes on itself. All of them, or none. */
  clone: method(
    z.strictObject({
      guest,
      /** of one; of several the beginning, to which a number comes. By default the guest's, with a number */
      name: z.string().max(1024).optional(),
      count: cloneCount,
      /** they go on at the next unpause */
      paused: z.boolean().default(false),
    }),
    z.array(guestDetail),
  ),
  /** The same from a snapshot, which is read once. */
  "run.from": method(
    z.strictObject({
      snapshot,
      name: z.string().max(1024).optional(),
      count: cloneCount,
      affinity,
      paused: z.boolean().default(false),
      noReboot: launch.shape.noReboot,
      autoRemove,
    }),
    z.array(guestDetail),
  ),
  ps: method(none, z.array(guestSummary)),
  inspect: method(oneGuest, guestDetail),
  pause: method(oneGuest, guestSummary),
  /** clock: what the guest's clocks make of the pause */
  unpause: method(z.strictObject({ guest, clock: z.enum(resumeClocks).default("frozen") }), guestSummary),
  reset: method(oneGuest, guestSummary),
  /** time: seconds that the guest gets to end by itself */
  stop: method(z.strictObject({ guest, time: z.number().min(0).max(86400).default(0) }), guestSummary),
  kill: method(oneGuest, guestSummary),
  rm: method(z.strictObject({ guest, force: z.boolean().default(false) }), guestSummary),

  regs: method(
    oneGuest,
    z.strictObject({ id: z.string(), name: z.string(), state: guestState, idle: z.boolean(), registers: z.record(z.string(), address) }),
  ),
  mem: method(
    z.strictObject({ guest, address: z.int().min(0), length: z.int().min(1).max(MAX_CHUNK) }),
    z.strictObject({ id: z.string(), name: z.string(), data: bytes }),
  ),
  /** XXH64 of a part of the guest's RAM */
  digest: method(z.strictObject({ guest, address: z.int().min(0), length: z.int().min(1) }), z.strictObject({ digest: address })),
  stats: method(oneGuest, guestStats),
  ...lookMethods,
  /** Where the machine module of that identity is, or the next one would lie, which is what it must be linked for, and the hypervisor that it must be made
   *  for. */
  "swap.place": method(
    z.strictObject({ identity: z.string().optional() }),
    z.strictObject({ slot: z.int(), address: z.int(), bytes: z.int(), base: z.string() }),
  ),
  /** Each guest goes over to another machine module, as far as its state fits, and new guests start on it. One that is there already is not loaded again. */
  swap: method(
    /** layout: its table of the state region, as build/layout.json; daemon/swap.ts checks it */
    z.strictObject({ module: bytes.max(MAX_CHUNK), layout: z.record(z.string(), z.unknown()) }),
    z.strictObject({
      module: z.string(),
      slot: z.int(),
      /** false: it failed with every guest, and new ones start on the one before */
      newGuests: z.boolean(),
      ms: z.number(),
      /** those that run or are paused; `error`: why one keeps the module that it has */
      guests: z.array(
        z.strictObject({
          id: z.string(),
          name: z.string(),
          ms: z.number(),
          error: z.strictObject({ code: z.string(), message: z.string() }).nullable(),
        }),
      ),
    }),
  ),
  /** its control block, as the next entry finds it, or as a failed one did */
  explain: method(oneGuest, entryState),
  /** all counters at one moment */
  top: method(none, counters),
  /** Recorded exits, from number `from` on, or the last ones; at most MAX_EXITS at once. */
  trace: method(z.strictObject({ guest, from: z.int().min(0).optional(), last: z.int().min(1).max(TraceRing.Records).default(20) }), trace),
  /** What the guest's exits are watched for; what is left out stays as it is. */
  "trace.set": method(z.strictObject({ guest, ring: z.boolean().optional(), time: z.boolean().optional() }), traceModes),

  /** The guest is paused until its state and its RAM are copied. `replace`: a snapshot of that name may be there. */
  "snapshot.create": method(
    z.strictObject({
      guest,
      /** by default the guest's, and the time */
      name: z.string().max(1024).optional(),
      /** which are allowed: checkDescription of name.ts */
      description: z.string().optional(),
      replace: z.boolean().default(false),
    }),
    snapshotDetail,
  ),
  "snapshot.ls": method(none, z.array(snapshotEntry)),
  "snapshot.inspect": method(z.strictObject({ snapshot }), snapshotDetail),
  "snapshot.rm": method(z.strictObject({ name: z.string().max(1024) }), none),
  /** engine: as it was recorded, instead of the hypervisor that is up */
  "snapshot.check": method(z.strictObject({ snapshot, engine: z.enum(["qemu", "bochs"]).optional() }), snapshotCheck),
  /** A new guest that goes on from the snapshot; `paused`: at the next unpause. */
  restore: method(
    z.strictObject({
      snapshot,
      name: z.string().max(1024).optional(),
      affinity,
      paused: z.boolean().default(false),
      noReboot: launch.shape.noReboot,
    }),
    guestDetail,
  ),
  /** The guest itself goes back to a snapshot of it: id, name and log stay. */
  revert: method(z.strictObject({ guest, snapshot, paused: z.boolean().default(false) }), guestDetail),

  ...debugMethods,

  /** A part of the console's log. Offsets count from the guest's first byte; `start` is the oldest that is kept,
   * `lost` are the bytes that nobody had room for. */
  logs: method(
    z.strictObject({ guest, port, offset: z.int().min(0).default(0), length: z.int().min(1).max(MAX_CHUNK).default(MAX_CHUNK) }),
    z.strictObject({ data: bytes, offset: z.int(), start: z.int(), end: z.int(), lost: z.int() }),
  ),
  /** From here on `console` notifications come, the first with `offset`. */
  "console.attach": method(z.strictObject({ guest, port }), z.strictObject({ guest: guestSummary, offset: z.int(), start: z.int() })),
  "console.write": method(z.strictObject({ guest, port, data: bytes.max(MAX_CHUNK * 2) }), none),
  "console.detach": method(z.strictObject({ guest, port }), none),
  /** What happened, from event number `from` on; at most MAX_EVENTS at once. */
  events: method(z.strictObject({ from: z.int().min(0).default(0) }), eventList),
  /** From here on `event` notifications come, the first with number `next`. */
  "events.subscribe": method(none, z.strictObject({ next: z.int() })),
  "events.unsubscribe": method(none, none),
};

export const notifications = {
  /** bytes that a guest wrote; an offset beyond the last one's end says that the reader was too slow, and the log has the rest */
  console: z.strictObject({ id: z.string(), port: z.int(), offset: z.int(), data: bytes }),
  /** an attached guest has ended for good: no more bytes come */
  "console.end": z.strictObject({ id: z.string(), port: z.int(), state: guestState, end: guestEnd.nullable() }),
  /** how far a `run`, `clone`, `snapshot.create`, `restore` or `revert` of this connection is: bytes, if no unit is named */
  progress: z.strictObject({ stage: z.string(), done: z.int(), total: z.int(), unit: z.literal("guests").optional() }),
  ...debugNotifications,
  event,
};

export type MethodName = keyof typeof methods;
/** as a caller writes them: what has a default may be left out */
export type Params<M extends MethodName> = z.input<(typeof methods)[M]["params"]>;
/** as the daemon gets them: checked, defaults filled in */
export type CheckedParams<M extends MethodName> = z.output<(typeof methods)[M]["params"]>;
export type Result<M extends MethodName> = z.output<(typeof methods)[M]["result"]>;
export type NotificationName = keyof typeof notifications;
export type Notification<N extends NotificationName> = z.output<(typeof notifications)[N]>;
