// A guest's control block as a document: what `explain --json` prints and `explain -o` writes, and what `explain FILE` reads again. A key is never
// renamed. Only `vendor` and `fields` must be there; what this kit writes has all of it.
import { z } from "zod";
import { address, guestEnd } from "./schemas.js";

/** A failed check, or one that was not made. */
const found = z.strictObject({
  /** stable: `vmx.Cr4Fixed` */
  rule: z.string(),
  text: z.string(),
  section: z.string(),
  mistake: z.string(),
  fields: z.array(z.strictObject({ name: z.string(), text: z.string(), value: address.nullable() })),
});

export const entryChecks = z.strictObject({
  failed: z.array(found),
  notMade: z.array(found),
  /** fields that the file has not */
  absent: z.array(z.string()),
});

export const entryVendor = z.enum(["vmx", "svm"]);

/** What the daemon answers: the state alone. */
export const entryState = z.strictObject({
  format: z.literal("hvkit-entry-state"),
  version: z.literal(1),
  vendor: entryVendor,
  guest: z.strictObject({ id: z.string(), name: z.string(), image: z.string() }).nullable(),
  /** identity of the hypervisor */
  build: z.string().nullable(),
  /** how the guest ended, if it did */
  end: guestEnd.nullable(),
  /** by the names of protocol/vcb.ts */
  fields: z.record(z.string(), address),
});

export const entryDocument = entryState.extend({ checks: entryChecks });

export type EntryStateDocument = z.infer<typeof entryState>;
export type EntryDocument = z.infer<typeof entryDocument>;
export type EntryFinding = z.infer<typeof found>;
