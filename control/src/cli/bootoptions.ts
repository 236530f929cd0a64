// The options of a hypervisor that shall be booted, which `up` and `dev` share.
import { Option } from "@commander-js/extra-typings";
import { HostLimit } from "../../../protocol/messages.js";
import { ACCELERATORS, DEFAULT_MEMORY, ENGINES } from "../client/bootwish.js";

export const engineOption = () => new Option("--engine <name>", "what runs the hypervisor").choices(ENGINES).default("auto" as const);
export const accelOption = () => new Option("--accel <name>", "how QEMU runs it").choices(ACCELERATORS).default("auto" as const);
export const memoryOption = () =>
  new Option("--memory <size>", `RAM of the machine that the hypervisor boots on (default: ${DEFAULT_MEMORY})`);
export const cpusOption = () =>
  new Option(
    "--cpus <count>",
    `CPUs for guests, 1 to ${HostLimit.Cpus}; without it two with KVM, where there are, and one where they are emulated`,
  );
