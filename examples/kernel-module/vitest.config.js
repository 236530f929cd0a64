import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    // One hypervisor for all test files; the module is built once, too.
    globalSetup: ["hvkit/vitest/setup", "./build.js"],
    // An emulated machine takes its time.
    testTimeout: 120_000,
    hookTimeout: 300_000,
  },
});
