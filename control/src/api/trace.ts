// A recorded exit as the JSON-RPC surface and `--json` speak of it: neutral, the same for both vendors, but for what `raw` has.
import { z } from "zod";
import { address, counter, guestState } from "./schemas.js";

/** What a guest's exits are watched for. */
export const traceModes = z.strictObject({ ring: z.boolean(), time: z.boolean() });

export const tracedExit = z.strictObject({
  /** counts from 0 since recording began */
  index: z.int(),
  /** since the guest's first entry */
  timeNs: counter,
  /** as `stats` names it: cpuid, io-out, ... */
  reason: z.string(),
  /** of the instruction */
  rip: address,
  /** what the handler decided: go on, halt until an interrupt, end; or it trapped itself */
  verdict: z.enum(["resume", "halt", "stop", "break", "trap"]),
  /** I/O */
  port: z.int().optional(),
  /** width of the I/O: 1, 2, 4 */
  bytes: z.int().optional(),
  /** io-string, cr-access, dr-access, nested-fault */
  direction: z.enum(["in", "out", "read", "write", "fetch"]).optional(),
  /** nested-fault: the guest-physical address, of the exit that ended the guest */
  address: address.optional(),
  /** what was written, or read: AL, AX or EAX of OUT and IN; EAX after CPUID, RDMSR, RDTSC; EAX of WRMSR and XSETBV */
  value: address.optional(),
  /** CPUID: EAX and ECX */
  leaf: address.optional(),
  subleaf: address.optional(),
  msr: address.optional(),
  /** CR, DR or XCR */
  register: z.int().optional(),
  /** exception */
  vector: z.int().optional(),
  /** hypercall: RAX */
  call: address.optional(),
  /** iterations that REP has to do: RCX */
  count: counter.optional(),
  /** task-switch */
  selector: address.optional(),
  /** as the CPU told it */
  raw: z.strictObject({ reason: address, qualification: address }),
});

export const trace = z.strictObject({
  id: z.string(),
  name: z.string(),
  state: guestState,
  vendor: z.string(),
  modes: traceModes,
  /** exits that were recorded in all; `exits` are in a row, and what lies before them in the ring's 1,024 can be asked for with `from` */
  count: z.int(),
  exits: z.array(tracedExit),
});

export type TraceModes = z.infer<typeof traceModes>;
export type TracedExit = z.infer<typeof tracedExit>;
export type Trace = z.infer<typeof trace>;
