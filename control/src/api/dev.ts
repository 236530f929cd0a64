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
  z.strictObject({ event: z.literal("failed"), what: z.enum(["build", "up", "guest"]), text: z.string() }),
  z.strictObject({ event: z.literal("up"), vendor: z.string(), engine: z.string(), accel: z.string(), identity: z.string(), ms }),
  z.strictObject({ event: z.literal("started"), guest: z.string(), image: z.string(), ms }),
  /** what a guest's console wrote */
  z.strictObject({ event: z.literal("output"), guest: z.string(), text: z.string() }),
  /** the first of it after a save */
  z.strictObject({ event: z.literal("first-output"), guest: z.string(), msAfterSave: ms }),
]);

export type DevEvent = z.infer<typeof devEvent>;
