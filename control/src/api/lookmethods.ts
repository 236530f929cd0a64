// Methods that look inside a guest, beside regs and mem: part of the surface of methods.ts. They change nothing, and answer for a guest that
// runs, is paused, or has ended.
import { z } from "zod";
import { address, counter, guestEnd, guestState } from "./schemas.js";

const guest = z.string().min(1).max(128);
const oneGuest = z.strictObject({ guest });
const named = { id: z.string(), name: z.string(), state: guestState, idle: z.boolean() };
/** may be negative, may pass 2^53 */
const integer = z.string().regex(/^-?\d+$/);

export const lookMethods = {
  /** the devices' records and what is around them */
  machine: {
    params: oneGuest,
    result: z.strictObject({
      ...named,
      /** the guest's time, in which the devices' times are told */
      clockNs: counter,
      halted: z.boolean(),
      /** the event that the next entry delivers; "0x0": none */
      inject: address,
      events: z.int(),
      /** console input that the guest has not taken, COM1 and COM2 */
      inputBytes: z.tuple([z.int(), z.int()]),
      /** by the names of hv/machine/state.ts and devices/records.ts */
      records: z.record(z.string(), z.record(z.string(), z.union([integer, z.array(integer)]))),
    }),
  },
  /** the way of a guest-physical address through the nested tables */
  nested: {
    params: z.strictObject({
      guest,
      address: z
        .int()
        .min(0)
        .max(2 ** 48 - 1),
    }),
    result: z.strictObject({
      id: z.string(),
      name: z.string(),
      /** EPT or NPT */
      tables: z.enum(["EPT", "NPT"]),
      /** host-physical, of the PML4 */
      root: address,
      /** from the PML4's on, in NestedBit's form (protocol/state.ts) */
      entries: z.array(address),
    }),
  },
  /** what the last exit left in the fields of ExitField (protocol/state.ts), by their names; and why the guest ended */
  exit: {
    params: oneGuest,
    result: z.strictObject({ ...named, fields: z.record(z.string(), address), end: guestEnd.nullable() }),
  },
};
