// To which machine `up` attaches, from its options. Paths become absolute: the daemon runs elsewhere.
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { Option } from "@commander-js/extra-typings";
import { tokenPath } from "../bridge/tokenfile.js";
import type { AttachRequest } from "../engines/attach.js";
import { HvkitError } from "../errors.js";
import { isLoopback } from "../transport/guard.js";
import { parseTarget, type Target } from "../transport/target.js";

export const attachOption = () =>
  new Option("--attach <url|tty>", "drive a hypervisor that is booted elsewhere: ws://HOST:PORT of a bridge, or a serial line").conflicts([
    "engine",
    "accel",
    "memory",
    "cpus",
  ]);
export const baudOption = (of: string) => new Option("--baud <rate>", `rate of ${of} (default: 115200)`);
export const tokenFileOption = () =>
  new Option("--token-file <file>", "file of the bridge's token; found by itself for one on this machine");

export function parseBaud(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new HvkitError("E_USAGE", `--baud '${text}' is no rate`, { hint: "Give bits a second, for example --baud 115200." });
}

interface Given {
  attach?: string | undefined;
  baud?: string | undefined;
  tokenFile?: string | undefined;
}

/** Undefined: it does not attach. */
export function attachRequest({ attach, baud, tokenFile }: Given): AttachRequest | undefined {
  if (attach === undefined) {
    const alone = baud !== undefined ? "--baud" : tokenFile !== undefined ? "--token-file" : undefined;
    if (alone) throw new HvkitError("E_USAGE", `${alone} is of a machine to attach to`, { hint: "Name it with --attach." });
    return undefined;
  }
  const target = parseTarget(attach);
  if (baud !== undefined && target.kind !== "tty") {
    throw new HvkitError("E_USAGE", "--baud is of a serial line of this machine", { hint: "Give it to `hvkit bridge`, at the other end." });
  }
  if (tokenFile !== undefined && target.kind !== "websocket") {
    throw new HvkitError("E_USAGE", "--token-file is of a WebSocket", { hint: "A serial line needs none." });
  }
  const file = tokenFile === undefined ? ownToken(target) : resolve(tokenFile);
  return {
    to: target.kind === "websocket" ? target.url.href : target.path,
    ...(baud === undefined ? {} : { baud: parseBaud(baud) }),
    ...(file === undefined ? {} : { tokenFile: file }),
  };
}

/** Of a bridge of this user on this machine. */
function ownToken(target: Target): string | undefined {
  if (target.kind !== "websocket" || !isLoopback(target.url.hostname.replace(/^\[|\]$/g, ""))) return undefined;
  const path = tokenPath(Number(target.url.port));
  return path !== undefined && existsSync(path) ? path : undefined;
}
