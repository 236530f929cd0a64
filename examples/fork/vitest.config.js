import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    // The hypervisor has a gigabyte and two CPUs; the modules are those of the example beside this one.
    globalSetup: ["hvkit/vitest/setup", "../kernel-module/build.js"],
    // Fifty kernels on an emulated machine take their time.
    testTimeout: 600_000,
    hookTimeout: 300_000,
  },
});
