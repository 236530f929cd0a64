// Which daemon a command speaks to, by options that every command takes: they are the environment's variables for this one command,
// and for the daemon that it starts.
import { Option } from "@commander-js/extra-typings";
import { checkName } from "../api/name.js";

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
  if (instance !== undefined) {
    checkName(instance, "instance"); // an empty one, of a variable that is not set, would be the one without a name
    process.env.HVKIT_INSTANCE = instance;
  }
  if (url !== undefined) process.env.HVKIT_URL = url;
  if (urlTokenFile !== undefined) process.env.HVKIT_URL_TOKEN_FILE = urlTokenFile;
}

/** These options among the words of a command line that is not complete, and the other words. The last one may want its value yet. */
export function daemonWords(words: readonly string[]): { chosen: Chosen; rest: string[] } {
  const options = new Map(daemonOptions().map((option) => [option.long, option.attributeName() as keyof Chosen]));
  const chosen: Chosen = {};
  const rest: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    if (word === "--") return { chosen, rest: [...rest, ...words.slice(at)] };
    const [name = "", value] = word.split(/=(.*)/s);
    const option = options.get(name);
    const next = value ?? words[at + 1];
    if (option === undefined || next === undefined) rest.push(word);
    else {
      chosen[option] = next;
      if (value === undefined) at++;
    }
  }
  return { chosen, rest };
}
