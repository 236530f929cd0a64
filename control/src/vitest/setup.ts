// hvkit/vitest/setup: one hypervisor for all test files of a run. In vitest.config: globalSetup: ["hvkit/vitest/setup"], or a file of one's own with
//   export default hypervisorSetup({ engine: "bochs", memory: "2G" });
import type { UpOptions } from "../client/hvkit.js";
import { bootForTests, type TestHypervisor } from "./hypervisor.js";

/** of vitest's TestProject */
interface Project {
  provide(key: "hvkit", value: TestHypervisor): void;
}

export function hypervisorSetup(
  options: Pick<UpOptions, "engine" | "accel" | "memory" | "cpus" | "onLine"> = {},
): (project: Project) => Promise<() => Promise<void>> {
  return async (project) => {
    const { where, end } = await bootForTests(options);
    project.provide("hvkit", where);
    return end;
  };
}

export default hypervisorSetup();
