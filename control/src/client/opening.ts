// How a client gets to its daemon: by this user's socket, or by the TCP port that HVKIT_URL names, with the token of HVKIT_URL_TOKEN_FILE.
import { connect as connectSocket } from "node:net";
import type { ClientOptions, WebSocket } from "ws";
import { checkRuntimeFolder, runtimePaths } from "../api/paths.js";
import { HvkitError } from "../errors.js";
import { WebSocket as Socket } from "./ws.js";

export interface RemoteDaemon {
  /** ws://127.0.0.1:PORT */
  url: string;
  /** the file that `hvkit up --listen` made; by default the one in this user's runtime folder */
  tokenFile?: string;
}

/** A socket's path, or a TCP port. */
export type DaemonAddress = string | RemoteDaemon;

const PATH = "/rpc";
const HANDSHAKE_MS = 10_000;
/** how often one that breaks off is asked again, and after which time */
const RESETS = 20;
const RESET_MS = 50;
/** more than the daemon's answers have (daemon/connection.ts) */
const MAX_MESSAGE_BYTES = 8 * 2 ** 20;

/** The TCP port that HVKIT_URL names; undefined: the daemon is at its socket. */
export function remoteDaemon(env: NodeJS.ProcessEnv = process.env): RemoteDaemon | undefined {
  const { HVKIT_URL: url, HVKIT_URL_TOKEN_FILE: tokenFile } = env;
  return url ? { url, ...(tokenFile ? { tokenFile } : {}) } : undefined;
}

export interface Opened {
  socket: WebSocket;
  /** bytes that have come on it */
  received: () => number;
}

/** Open. Throws E_NOT_UP, E_CONNECT, or what the daemon refuses with. `patienceMs`: for its answer. */
export async function openSocket(address: DaemonAddress = remoteDaemon() ?? ownSocket(), patienceMs = HANDSHAKE_MS): Promise<Opened> {
  for (let again = 0; ; again++) {
    try {
      return await open(address, patienceMs);
    } catch (error) {
      // A daemon that was killed breaks off who waits at its socket, until the last of its threads is gone: then it is known to be down.
      const code = error instanceof HvkitError ? ((error.cause as NodeJS.ErrnoException | undefined)?.code ?? "") : "";
      if (!["ECONNRESET", "EPIPE"].includes(code) || typeof address !== "string" || again === RESETS) throw error;
      await new Promise((resolve) => setTimeout(resolve, RESET_MS));
    }
  }
}

async function open(address: DaemonAddress, patienceMs: number): Promise<Opened> {
  const options: ClientOptions = { perMessageDeflate: false, maxPayload: MAX_MESSAGE_BYTES };
  const socket =
    typeof address === "string"
      ? new Socket(`ws://localhost${PATH}`, { ...options, createConnection: () => connectSocket(address) })
      : await openRemote(address, options);
  let received = (): number => 0;
  socket.once("upgrade", ({ socket: stream }) => {
    received = () => stream.bytesRead;
  });
  let timer: NodeJS.Timeout | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      // Not ws's own limit: that one is the socket's idle time, which a socket made by createConnection has not.
      timer = setTimeout(() => reject(noAnswer(address, patienceMs)), patienceMs);
      socket.once("open", resolve);
      socket.on("error", (error: NodeJS.ErrnoException) => reject(unreachable(error, address)));
      socket.once("unexpected-response", (_request, response) => {
        const where = nameOf(address);
        import("../transport/guard.js")
          .then(({ refusedBy }) => refusedBy(where, response))
          .then((error) => reject(withHint(error)), reject);
      });
    });
  } catch (error) {
    socket.terminate();
    throw error;
  } finally {
    clearTimeout(timer);
  }
  return { socket, received: () => received() };
}

async function openRemote({ url: text, tokenFile }: RemoteDaemon, options: ClientOptions): Promise<WebSocket> {
  const url = parseUrl(text);
  const { readToken, tokenHeaders } = await import("../transport/token.js");
  return new Socket(url, { ...options, headers: tokenHeaders(readToken(tokenFile ?? runtimePaths().token)) });
}

function ownSocket(): string {
  const { folder, socket } = runtimePaths();
  if (!checkRuntimeFolder(folder)) throw notUp();
  return socket;
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (
    !url ||
    !["ws:", "wss:"].includes(url.protocol) ||
    ![PATH, "/"].includes(url.pathname) ||
    `${url.username}${url.search}${url.hash}` !== ""
  ) {
    throw new HvkitError("E_URL", `'${text}' is no daemon's address`, { hint: "Write ws://127.0.0.1:PORT, as `hvkit status` shows it." });
  }
  url.pathname = PATH;
  return url;
}

/** The guard does not know by which option its token is given. */
function withHint(error: HvkitError): HvkitError {
  if (error.code !== "E_TOKEN") return error;
  return new HvkitError(error.code, error.message, { hint: "Give the file that `hvkit status` names there: --url-token-file FILE." });
}

function unreachable(error: NodeJS.ErrnoException, address: DaemonAddress): HvkitError {
  const isAbsent = error.code === "ENOENT" || error.code === "ECONNREFUSED";
  if (isAbsent && typeof address === "string") return notUp(error);
  return new HvkitError("E_CONNECT", `${nameOf(address)} cannot be reached: ${error.message || error.code}`, {
    hint: isAbsent ? "Nothing listens there: `hvkit status` on the daemon's side shows its port." : "`hvkit status` says whether it runs.",
    cause: error,
  });
}

const nameOf = (address: DaemonAddress): string => (typeof address === "string" ? "the daemon" : address.url);

/** Its socket takes connections, and nobody serves them. */
function noAnswer(address: DaemonAddress, patienceMs: number): HvkitError {
  return new HvkitError("E_CONNECT", `${nameOf(address)} does not answer: nothing came within ${patienceMs / 1000} s`, {
    hint: typeof address === "string" ? endIt() : "`hvkit down` on the daemon's side ends it, also one that hangs.",
  });
}

/** What to do with a daemon that hangs. */
export const endIt = (): string => `It hangs, or was stopped: \`hvkit down${ofInstance()}\` ends it.`;

function notUp(cause?: unknown): HvkitError {
  return new HvkitError("E_NOT_UP", "the hypervisor is not up", {
    hint: `Start it with \`hvkit up${ofInstance()}\`.`,
    ...(cause === undefined ? {} : { cause }),
  });
}

function ofInstance(): string {
  const { instance } = runtimePaths();
  return instance === undefined ? "" : ` --instance ${instance}`;
}
