// Which daemon a command speaks to, by options that every command takes: they are the environment's variables for this one command,
// and for the daemon that it starts.
import { Option } from "@commander-js/extra-typings";

export const daemonOptions = () => [
  new Option("--instance <name>", "the hypervisor of this name, beside others (HVKIT_INSTANCE)"),
  new Option("--url <url>", "a daemon's TCP port, as `hvkit status` shows it (HVKIT_URL)"),
  new Option("--url-token-file <file>", "the token for it (HVKIT_URL_TOKEN_FILE)"),
];

interface Chosen {
  instance?: string;
  url?: string;
  urlTokenFile?: string;
}

export function chooseDaemon({ instance, url, urlTokenFile }: Chosen): void {
  if (instance !== undefined) process.env.HVKIT_INSTANCE = instance;
  if (url !== undefined) process.env.HVKIT_URL = url;
  if (urlTokenFile !== undefined) process.env.HVKIT_URL_TOKEN_FILE = urlTokenFile;
}
