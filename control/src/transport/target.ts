// Where a hypervisor's serial line is, as a person names it: a WebSocket's URL, a tty, or a Unix socket; and the transport to it.
import { statSync } from "node:fs";
import { isAbsolute } from "node:path";
import { HvkitError } from "../errors.js";
import { connectSocket } from "./socket.js";
import { readToken } from "./token.js";
import type { Line } from "./transport.js";
import { openTty } from "./tty.js";
import { BRIDGE_PATH, connectWebSocket } from "./websocket.js";

export type Target = { kind: "websocket"; url: URL } | { kind: "tty"; path: string } | { kind: "socket"; path: string };

export interface OpenOptions {
  /** of a tty */
  baud?: number | undefined;
  /** of a WebSocket */
  tokenFile?: string | undefined;
  signal?: AbortSignal | undefined;
}

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

export function openTarget(target: Target, { baud, tokenFile, signal }: OpenOptions = {}): Line | Promise<Line> {
  switch (target.kind) {
    case "websocket":
      return connectWebSocket(target.url, { token: tokenFile === undefined ? undefined : readToken(tokenFile), signal });
    case "socket":
      return connectSocket({ path: target.path });
    case "tty":
      return openTty({ path: target.path, ...(baud === undefined ? {} : { baud }) });
  }
}

function isSocket(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isSocket() ?? false;
}
