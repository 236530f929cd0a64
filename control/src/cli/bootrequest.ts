// How the hypervisor shall be booted, from the options that `up` and `dev` share.
import { Option } from "@commander-js/extra-typings";
import { HostLimit } from "../../../protocol/messages.js";
import { parseSize } from "../api/size.js";
import type { BootRequest } from "../daemon/boot.js";
import { HvkitError } from "../errors.js";

/** less does not hold the hypervisor and one Linux guest; more than QEMU's and Bochs' 32-bit hole leaves is not used */
const MIN_MEMORY = 64 * 2 ** 20;

export const engineOption = () =>
  new Option("--engine <name>", "what runs the hypervisor").choices(["auto", "qemu", "bochs"] as const).default("auto" as const);
export const accelOption = () =>
  new Option("--accel <name>", "how QEMU runs it").choices(["auto", "kvm", "tcg"] as const).default("auto" as const);
export const memoryOption = () => new Option("--memory <size>", "RAM of the machine that the hypervisor boots on").default("1G");
export const cpusOption = () =>
  new Option("--cpus <count>", `CPUs of that machine, 1 to ${HostLimit.Cpus}; without it two where there are, one in Bochs`);

interface Given {
  engine: BootRequest["engine"];
  accel: BootRequest["accel"];
  memory: string;
  cpus?: string | true | undefined;
}

export function bootRequest({ engine, accel, memory, cpus: count }: Given): BootRequest {
  const memoryBytes = parseSize(memory, "--memory");
  if (memoryBytes < MIN_MEMORY || memoryBytes % 2 ** 20 !== 0) {
    throw new HvkitError("E_MEMORY_SIZE", `the hypervisor's machine cannot have ${memory} of memory`, {
      hint: "Give it whole MiB, 64M or more.",
    });
  }
  return { engine, accel, memoryBytes, ...(typeof count === "string" ? { cpus: cpuCount(count) } : {}) };
}

function cpuCount(text: string): number {
  const isNumber = /^\d{1,9}$/.test(text);
  const count = isNumber ? Number(text) : 0;
  if (count >= 1 && count <= HostLimit.Cpus) return count;
  const what = isNumber ? `the hypervisor's machine cannot have ${count} CPUs` : `--cpus '${text}' is no number of CPUs`;
  throw new HvkitError("E_USAGE", what, { hint: `Give a whole number from 1 to ${HostLimit.Cpus}, for example --cpus 2.` });
}
