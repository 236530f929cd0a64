// Which daemon a command speaks to, by options that every command takes: they are the environment's variables for this one command,
// and for the daemon that it starts.
import { Option } from "@commander-js/extra-typings";

export const daemonOptions = () => [new Option("--instance <name>", "the hypervisor of this name, beside others (HVKIT_INSTANCE)")];

export function chooseDaemon({ instance }: { instance?: string }): void {
  if (instance !== undefined) process.env.HVKIT_INSTANCE = instance;
}
