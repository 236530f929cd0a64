// An address to listen on, as it is written on the command line.
import { isIP } from "node:net";
import { HvkitError } from "../errors.js";

export interface ListenAddress {
  host: string;
  /** 0: any free one */
  port: number;
}

export const LOOPBACK = "127.0.0.1";

/** "PORT", ":PORT", "HOST:PORT" or "[IPv6]:PORT"; without a host it is loopback. A host is an IP address: a name may lead anywhere. */
export function parseListen(text: string, option: string): ListenAddress {
  const match = /^(?:(?:\[([^\]]*)\]|([^:[\]]*)):)?(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? (match?.[2] || LOOPBACK);
  const address = host === "localhost" ? LOOPBACK : host;
  const port = Number(match?.[3]);
  if (match && isIP(address) !== 0 && port <= 65_535) return { host: address, port };
  throw new HvkitError("E_USAGE", `${option} '${text}' is no address to listen on`, {
    hint: "Write an IP address and a port, 127.0.0.1:4590 or [::1]:4590; port 0 takes any free one.",
  });
}
