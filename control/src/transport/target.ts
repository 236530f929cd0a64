// Where a hypervisor's serial line is, as a person names it: a WebSocket's URL, a tty, or a Unix socket. open.ts opens it.
import { statSync } from "node:fs";
import { isAbsolute } from "node:path";
import { HvkitError } from "../errors.js";

/** where a bridge's line is */
export const BRIDGE_PATH = "/serial";

export type Target = { kind: "websocket"; url: URL } | { kind: "tty"; path: string } | { kind: "socket"; path: string };

const HINT = "Write ws://HOST:PORT of an `hvkit bridge`, or the path of a serial line, /dev/ttyS0.";

/** Throws E_USAGE. A path need not be there. */
export function parseTarget(text: string): Target {
  if (isAbsolute(text)) return { kind: isSocket(text) ? "socket" : "tty", path: text };
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined) throw new HvkitError("E_USAGE", `'${text}' is neither a URL nor an absolute path`, { hint: HINT });
  if (scheme !== "ws" && scheme !== "wss") {
    throw new HvkitError("E_USAGE", `'${text}' is no WebSocket: its scheme is ${scheme}, not ws or wss`, { hint: HINT });
  }
  if (!URL.canParse(text)) throw new HvkitError("E_USAGE", `'${text}' is no URL`, { hint: HINT });
  const url = new URL(text);
  if (url.username !== "" || url.password !== "") {
    throw new HvkitError("E_USAGE", "a URL with a name or password in it is not taken", { hint: "The token is in a file: --token-file." });
  }
  url.hash = "";
  if (url.pathname === "/") url.pathname = BRIDGE_PATH;
  return { kind: "websocket", url };
}

function isSocket(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isSocket() ?? false;
}
