// The methods of a debugger, a part of the JSON-RPC surface (methods.ts). One connection at a time has a guest; when it closes, the guest goes
// on as if nobody had been there. Numbers of 64 bits are "0x..." strings.
import { z } from "zod";
import { address, bytes, guestEnd, guestState, guestSummary } from "./schemas.js";

const guest = z.string().min(1).max(128);
const none = z.strictObject({});
const method = <P extends z.ZodType, R extends z.ZodType>(params: P, result: R) => ({ params, result });

/** most that one debug.store carries */
const STORE_CHARACTERS = 400_000;

export const debugMethods = {
  /** Pauses the guest and takes it. `xsave`: its FPU state is XSAVE's; `avx`: with AVX. E_DEBUG_ATTACHED when another one has it. */
  "debug.attach": method(z.strictObject({ guest }), z.strictObject({ guest: guestSummary, xsave: z.boolean(), avx: z.boolean() })),
  /** Gives it back: it runs. */
  "debug.detach": method(z.strictObject({ guest }), none),
  /** All registers by name, what the next entry injects (ExitField.Inject), and whether it waits in HLT. */
  "debug.read": method(
    z.strictObject({ guest }),
    z.strictObject({ registers: z.record(z.string(), address), inject: address, halted: z.boolean() }),
  ),
  /** Registers by name, in this order; `inject` last. */
  "debug.write": method(
    z.strictObject({ guest, registers: z.array(z.tuple([z.string(), address])).max(128), inject: address.optional() }),
    none,
  ),
  /** XSAVE's area, its first 832 bytes */
  "debug.fpu": method(z.strictObject({ guest }), z.strictObject({ data: bytes })),
  "debug.fpu.write": method(z.strictObject({ guest, data: bytes.max(2000) }), none),
  /** Bytes into guest-physical memory. */
  "debug.store": method(z.strictObject({ guest, address: z.int().min(0), data: bytes.max(STORE_CHARACTERS) }), none),
  /** Lets the guest run until it stops (notification debug.stop). `step`: one instruction; `pops`: it loads RFLAGS from memory. DR0 to DR3
   *  and DR7 are the CPU's own; `software`: guest-physical addresses of INT1 breakpoints. */
  "debug.resume": method(
    z.strictObject({
      guest,
      step: z.boolean().default(false),
      pops: z.boolean().default(false),
      addresses: z.array(address).max(4).default([]),
      dr7: z.int().min(0).max(0xffffffff).default(0),
      software: z.array(z.int().min(0)).max(1024).default([]),
    }),
    none,
  ),
  /** Stops it where it is; debug.stop follows, unless it has stopped already. */
  "debug.pause": method(z.strictObject({ guest }), none),
};

export const debugNotifications = {
  /** DebugStop bits (protocol/debug.ts); 0: it was paused */
  "debug.stop": z.strictObject({ id: z.string(), stop: z.int(), rip: address }),
  /** The guest is not there any more as it was: ended, reset, reverted, removed. */
  "debug.end": z.strictObject({ id: z.string(), state: guestState.nullable(), end: guestEnd.nullable() }),
};
