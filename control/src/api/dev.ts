// What `hvkit dev` tells, one object after another: with --json, one a line.
import { z } from "zod";

const ms = z.number();

export const devEvent = z.discriminatedUnion("event", [
  /** it waits for a save in these folders */
  z.strictObject({ event: z.literal("watching"), folders: z.array(z.string()) }),
  z.strictObject({ event: z.literal("changed"), files: z.array(z.string()) }),
  /** the build is up to date; of `steps` 0 nothing had to be done, and nothing is started anew */
  z.strictObject({ event: z.literal("built"), steps: z.int(), ms }),
  /** a build or a start failed: what runs, runs on */
  z.strictObject({ event: z.literal("failed"), what: z.enum(["build", "up", "guest", "swap"]), text: z.string() }),
  z.strictObject({ event: z.literal("up"), vendor: z.string(), engine: z.string(), accel: z.string(), identity: z.string(), ms }),
  z.strictObject({ event: z.literal("started"), guest: z.string(), image: z.string(), ms }),
  /** with --live: the guests that run are on the new machine module now, but those with an error, which keep theirs */
  z.strictObject({
    event: z.literal("swapped"),
    module: z.string(),
    slot: z.int(),
    /** false: it failed with every guest, and new ones start on the one before */
    newGuests: z.boolean(),
    /** from the hypervisor's answer to where it shall lie, to the last guest */
    ms,
    msAfterSave: ms,
    guests: z.array(z.strictObject({ guest: z.string(), ms, error: z.string().nullable() })),
  }),
  /** with --live: what changed is not in the machine alone, and what runs stays as it is */
  z.strictObject({ event: z.literal("restart-needed"), files: z.array(z.string()), text: z.string() }),
  /** what a guest's console wrote */
  z.strictObject({ event: z.literal("output"), guest: z.string(), text: z.string() }),
  /** the first of it after a save */
  z.strictObject({ event: z.literal("first-output"), guest: z.string(), msAfterSave: ms }),
]);

export type DevEvent = z.infer<typeof devEvent>;
