import { defineConfig } from "vitest/config";

// Two kinds of tests: `unit` needs no engine and takes seconds; `live` boots the real thing, and waits for emulated machines.
export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      { extends: true, test: { name: "unit", include: ["test/unit/**/*.test.ts"], testTimeout: 30_000, hookTimeout: 120_000 } },
      {
        extends: true,
        test: {
          name: "live",
          include: ["boot", "contract", "docs", "examples"].map((folder) => `test/${folder}/**/*.test.ts`),
          testTimeout: 120_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});
