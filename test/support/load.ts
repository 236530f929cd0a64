// How busy the machine is that the tests run on: an engine there gets its CPUs as late as that, and limits on its time grow with it.
import { cpus, loadavg } from "node:os";

/** How many want each CPU, by the last minute's load; 1 at the least. */
export const hostLoad = (): number => Math.max(1, (loadavg()[0] ?? 1) / cpus().length);
