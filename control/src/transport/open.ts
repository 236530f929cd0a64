// The transport to a target, of whatever kind it is. Used by engines/attach.
import { connectSocket } from "./socket.js";
import type { Target } from "./target.js";
import { readToken } from "./token.js";
import type { Line } from "./transport.js";
import { openTty } from "./tty.js";
import { connectWebSocket } from "./websocket.js";

export interface OpenOptions {
  /** of a tty */
  baud?: number | undefined;
  /** of a WebSocket */
  tokenFile?: string | undefined;
  signal?: AbortSignal | undefined;
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
