// What each command prints with --json, by its name: scripts/documents.mjs makes schemas/ of it, and a live test holds the commands against
// that. A key is never renamed or given another meaning.
import { z } from "zod";
import { devEvent } from "./dev.js";
import { entryDocument } from "./entrystate.js";
import { event } from "./events.js";
import { cpuOutput, disasmOutput, dmesgOutput, machineOutput, walkOutput } from "./lookoutputs.js";
import { methods } from "./methods.js";
import { address, guestDetail, guestSummary, savedDetail, status, subjectState } from "./schemas.js";
import { topSample } from "./top.js";
import { trace, tracedExit, traceModes } from "./trace.js";

const guest = z.string();
const guests = z.array(guestSummary);
const file = z.string();

const diffSide = z.strictObject({ path: z.string(), guest, vendor: z.string(), exits: z.int() });
const ofBoth = <T extends z.ZodType>(side: T) => z.strictObject({ a: side, b: side });

const traceOutput = z.union([
  trace.meta({ title: "the exits" }),
  traceModes.meta({ title: "with --on and --off" }),
  z.strictObject({ name: guest, count: z.int(), written: z.int(), file }).meta({ title: "with -o" }),
  z.strictObject({ name: guest, lost: z.int(), written: z.int(), file }).meta({ title: "with -f and -o" }),
  tracedExit.meta({ title: "with -f, one a line" }),
  z
    .strictObject({
      a: diffSide,
      b: diffSide,
      alike: z.int(),
      leftOut: ofBoth(z.int()),
      lost: ofBoth(z.boolean()),
      difference: z
        .strictObject({ alike: z.int(), a: tracedExit.nullable(), b: tracedExit.nullable(), differs: z.array(z.string()) })
        .nullable(),
      before: z.array(tracedExit),
    })
    .meta({ title: "with --diff" }),
]);

const check = z.strictObject({ level: z.enum(["ok", "warn", "FAIL"]), name: z.string(), text: z.string(), cure: z.string().optional() });

const finding = z.strictObject({
  code: z.string(),
  certainty: z.enum(["certain", "likely", "possible"]),
  text: z.string(),
  evidence: z.array(z.string()),
  hint: z.string().nullable(),
});

const scriptedOutput = z.strictObject({
  engine: z.enum(["qemu", "bochs"]),
  /** of all that the machine wrote: the same at each run */
  bytes: z.int(),
  sha256: z.string(),
  guests: z.array(
    z.strictObject({ image: z.string(), console: z.string(), end: z.strictObject({ code: z.string(), text: z.string(), value: address }) }),
  ),
});

const memory = { guest, address: z.int().nullable(), linear: address.nullable(), length: z.int() };

/** By command, as it is typed. */
export const outputs: Record<string, z.ZodType> = {
  up: status,
  down: z.strictObject({ was: z.enum(["up", "leftovers", "down"]) }),
  status: z.union([status, z.strictObject({ state: z.literal("down") })]),
  images: methods.images.result,
  bridge: z.strictObject({ url: z.string(), tokenFile: file, line: z.string() }),
  run: z.union([guestDetail, z.array(guestDetail).meta({ title: "with --from" }), scriptedOutput.meta({ title: "with --deterministic" })]),
  clone: methods.clone.result,
  ps: guests,
  inspect: z.array(z.union([guestDetail, savedDetail.meta({ title: "of a snapshot" })])),
  logs: z.strictObject({ guest, start: z.int(), end: z.int(), lost: z.int(), text: z.string() }),
  events: z.union([z.array(event), event.meta({ title: "with -f, one a line" })]),
  exec: z.strictObject({ guest, code: z.int(), signal: z.string().nullable(), stdout: z.string(), stderr: z.string() }),
  pause: guests,
  unpause: guests,
  reset: guests,
  stop: guests,
  kill: guests,
  rm: guests,
  "snapshot create": methods["snapshot.create"].result,
  "snapshot ls": methods["snapshot.ls"].result,
  "snapshot inspect": z.array(methods["snapshot.inspect"].result),
  "snapshot rm": z.array(z.string()),
  "snapshot check": methods["snapshot.check"].result,
  restore: guestDetail,
  revert: guestDetail,
  // A command's result is what it prints with --json by itself.
  open: z.strictObject({ command: z.string(), result: z.unknown() }).meta({ description: "one object a line" }),
  regs: methods.regs.result.extend({ state: subjectState }),
  mem: z.union([z.strictObject({ ...memory, hex: z.string() }), z.strictObject({ ...memory, file })]),
  cpu: cpuOutput,
  machine: machineOutput,
  disasm: disasmOutput,
  walk: walkOutput,
  dump: z.strictObject({ guest, file, bytes: z.int(), segments: z.int(), architecture: z.string() }),
  dmesg: dmesgOutput,
  why: z.strictObject({ guest, state: subjectState, findings: z.array(finding) }),
  stats: methods.stats.result,
  explain: entryDocument,
  trace: traceOutput,
  top: topSample.meta({ description: "one object a line" }),
  dev: devEvent.meta({ description: "one object a line" }),
  debug: z.union([
    z.strictObject({ guest, id: z.string(), host: z.string(), port: z.int(), symbols: z.string().nullable(), command: z.string() }),
    z.strictObject({ socket: z.string(), symbols: z.string(), command: z.string() }).meta({ title: "with --hypervisor" }),
  ]),
  version: z.strictObject({ version: z.string(), node: z.string() }),
  // The facts are what this machine is: their keys are not promised.
  doctor: z.strictObject({ checks: z.array(check), verdict: z.string(), usable: z.boolean(), facts: z.record(z.string(), z.unknown()) }),
};

/** On standard error, of every command that fails. */
export const errorOutput = z.strictObject({
  error: z.strictObject({
    code: z.string(),
    message: z.string(),
    hint: z.string().nullable(),
    values: z.record(z.string(), z.unknown()).nullable(),
  }),
});
