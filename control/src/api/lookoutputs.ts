// What the commands that look inside a guest print with --json: a part of outputs.ts. Addresses are "0x..." strings, numbers that may
// pass 2^53 decimal strings.
import { z } from "zod";
import { address, subjectState } from "./schemas.js";

const guest = z.string();
const integer = z.string().regex(/^-?\d+$/);
const hexBytes = z.string().regex(/^([0-9a-f]{2})*$/);
const irqs = z.array(z.int().min(0).max(15));

export const cpuOutput = z.strictObject({
  guest,
  state: subjectState,
  idle: z.boolean(),
  mode: z.string(),
  privilege: z.int().min(0).max(3),
  paging: z.string(),
  /** by register: the names of the bits that are set */
  bits: z.record(z.string(), z.array(z.string())),
  segments: z.array(
    z.strictObject({
      name: z.string(),
      selector: z.int(),
      base: address,
      limit: z.int(),
      attributes: z.int(),
      usable: z.boolean(),
      kind: z.string(),
      level: z.int(),
      rights: z.array(z.string()),
    }),
  ),
  registers: z.record(z.string(), address),
});

const injected = z
  .strictObject({
    vector: z.int(),
    type: z.enum(["interrupt", "nmi", "exception", "software interrupt", "other"]),
    errorCode: z.int().nullable(),
  })
  .nullable();

const pic = z.strictObject({
  chip: z.enum(["master", "slave"]),
  initialized: z.boolean(),
  expects: z.enum(["ICW2", "ICW3", "ICW4"]).nullable(),
  vector: z.int(),
  int: z.boolean(),
  requested: irqs,
  inService: irqs,
  masked: irqs,
  high: irqs,
  levelTriggered: irqs,
  lowest: z.int(),
  autoEoi: z.boolean(),
  specialMask: z.boolean(),
  reads: z.enum(["IRR", "ISR"]),
});

const pit = z.strictObject({
  counter: z.int().min(0).max(2),
  mode: z.int(),
  modeName: z.string(),
  state: z.string(),
  reload: z.int(),
  next: z.int().nullable(),
  count: z.int(),
  out: z.boolean(),
  gate: z.boolean(),
  bcd: z.boolean(),
  hz: z.number().nullable(),
  owed: z.int(),
});

const uart = z.strictObject({
  port: z.enum(["COM1", "COM2"]),
  irq: z.int(),
  baud: z.number(),
  format: z.string(),
  fifos: z.boolean(),
  received: hexBytes,
  sending: hexBytes,
  waiting: z.int(),
  enabled: z.array(z.string()),
  cause: z.string().nullable(),
  gateOpen: z.boolean(),
  rts: z.boolean(),
  loopback: z.boolean(),
  overrun: z.boolean(),
});

const rtc = z.strictObject({
  time: z.string().nullable(),
  running: z.boolean(),
  enabled: z.array(z.string()),
  flags: z.array(z.string()),
  interrupt: z.boolean(),
  alarm: z.string(),
  periodicHz: z.number().nullable(),
  nmiMasked: z.boolean(),
});

export const machineOutput = z.strictObject({
  guest,
  clockNs: integer,
  halted: z.boolean(),
  injecting: injected,
  deferred: injected,
  nmiWaits: z.boolean(),
  events: z.array(z.string()),
  pics: z.array(pic),
  /** what becomes of each request */
  requests: z.array(z.strictObject({ irq: z.int(), kind: z.string(), by: z.int().optional() })),
  pits: z.array(pit),
  uarts: z.array(uart),
  rtc,
  keyboard: z.strictObject({
    output: z.int().nullable(),
    interruptEnabled: z.boolean(),
    waitsFor: z.int().nullable(),
    a20: z.boolean(),
  }),
  speaker: z.strictObject({ gate: z.boolean(), data: z.boolean() }),
  post: z.int(),
  timers: z.array(z.strictObject({ source: z.enum(["pit", "rtc", "com1", "com2"]), inNs: integer })),
  kvmClock: z.strictObject({ enabled: z.boolean(), systemTime: address, wallClock: address }),
  /** the state region as it is: its records and fields change with the hypervisor */
  records: z.record(z.string(), z.record(z.string(), z.union([integer, z.array(integer)]))),
});

export const disasmOutput = z.strictObject({
  guest,
  bits: z.union([z.literal(16), z.literal(32), z.literal(64)]),
  instructions: z.array(z.strictObject({ address, bytes: hexBytes, text: z.string(), current: z.boolean() })),
});

export const dmesgOutput = z.strictObject({
  guest,
  /** the kernel's version */
  release: z.string(),
  /** messages whose text had to make room */
  lost: z.int(),
  records: z.array(
    z.strictObject({
      seq: integer,
      /** since boot */
      ns: integer,
      level: z.enum(["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"]),
      facility: z.int(),
      /** bytes as they are, in latin1 */
      text: z.string(),
    }),
  ),
});

const entry = z.strictObject({ level: z.string(), address, value: address, flags: z.array(z.string()) });

export const walkOutput = z.strictObject({
  guest,
  mode: z.enum(["none", "32-bit", "pae", "4-level"]),
  linear: address,
  entries: z.array(entry),
  physical: address.nullable(),
  pageBytes: z.int().nullable(),
  rights: z.strictObject({ writable: z.boolean(), user: z.boolean(), executable: z.boolean() }).nullable(),
  fault: z
    .strictObject({
      kind: z.enum(["address", "not-present", "reserved-bits", "outside-ram"]),
      level: z.string().nullable(),
      address: address.nullable(),
      text: z.string(),
    })
    .nullable(),
  tables: z.enum(["EPT", "NPT"]).nullable(),
  nested: z.array(z.strictObject({ address, entries: z.array(entry), physical: address.nullable(), pageBytes: z.int().nullable() })),
});
