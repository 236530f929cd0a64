// hvkit/vitest: a test gets a hypervisor that runs, and guests that are cleaned away after it. docs/testing.md shows it.
//
//   import { test } from "hvkit/vitest";
//   test("boots", async ({ guests }) => {
//     const guest = await guests.run("linux");
//     expect((await guest.exec(["uname"])).code).toBe(0);
//   });
import { test as base, inject, type TestAPI } from "vitest";
import { connect, type Hvkit, type UpOptions } from "../client/hvkit.js";
import { TestGuests } from "./guests.js";
import { bootForTests, type TestHypervisor } from "./hypervisor.js";
import { titleOf } from "./title.js";

export { type CloneOptions, Guest, type GuestEnded } from "../client/guest.js";
export { Hvkit, type RunOptions } from "../client/hvkit.js";
export { HvkitError } from "../errors.js";
export { TestGuests } from "./guests.js";

declare module "vitest" {
  interface ProvidedContext {
    /** where the hypervisor is that hvkit/vitest/setup booted for all files */
    hvkit?: TestHypervisor;
  }
}

export interface TestOptions extends Pick<UpOptions, "engine" | "accel" | "memory" | "cpus"> {
  /** where the artifacts of failed guests go; by default hvkit-artifacts in the working folder */
  artifacts?: string;
}

export interface HvkitFixtures {
  /** the hypervisor: one for all tests of a file, or for all files with hvkit/vitest/setup */
  hvkit: Hvkit;
  /** guests of this test alone: gone when it ends, and what is known of them kept when it fails */
  guests: TestGuests;
}

/** vitest's `test` with a hypervisor of these options. With hvkit/vitest/setup it is that one, and has its options. */
export function hvkitTest({ artifacts = "hvkit-artifacts", ...options }: TestOptions = {}): TestAPI<HvkitFixtures> {
  return base.extend<HvkitFixtures>({
    hvkit: [
      // biome-ignore lint/correctness/noEmptyPattern: vitest reads from it which fixtures this one needs
      async ({}, use) => {
        const shared = inject("hvkit");
        const own = shared ? undefined : await bootForTests(options);
        const where = shared ?? own?.where;
        try {
          const hvkit = await connect(where);
          try {
            await use(hvkit);
          } finally {
            await hvkit.close();
          }
        } finally {
          await own?.end();
        }
      },
      { scope: "file" },
    ],
    guests: async ({ hvkit, task }, use) => {
      const guests = new TestGuests(hvkit, artifacts, titleOf(task));
      try {
        await use(guests);
      } finally {
        await guests.end(task.result?.state === "fail");
      }
    },
  }) as TestAPI<HvkitFixtures>;
}

export const test = hvkitTest();
