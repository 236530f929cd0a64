// A hypervisor that was booted elsewhere, over its serial line: a tty, a WebSocket of `hvkit bridge`, or a Unix socket. There is no
// process to start or to end, no memory window and no store disk: files go over the line.
import { once } from "node:events";
import { HvkitError } from "../errors.js";
import { LastingTransport } from "../transport/lasting.js";
import { openTarget } from "../transport/open.js";
import { parseTarget } from "../transport/target.js";
import type { Transport } from "../transport/transport.js";
import type { RunningEngine } from "./engine.js";

export interface AttachRequest {
  /** a URL or an absolute path: transport/target */
  to: string;
  /** of a tty */
  baud?: number;
  /** of a WebSocket's token */
  tokenFile?: string;
}

/** of what the hypervisor said */
const LAST_LINES = 8;
/** the other side's part of closing the line */
const CLOSE_MS = 1000;

/** What can be over by itself, so that it is worth another try: a line that is away, or in use, or silent; a bridge takes its token with it. */
const PASSING = [
  "E_CONNECT",
  "E_SOCKET",
  "E_TTY",
  "E_TTY_BUSY",
  "E_TTY_GONE",
  "E_TOKEN_FILE",
  "E_BRIDGE_BUSY",
  "E_LINK_TIMEOUT",
  "E_LINK_LOST",
];

export const isPassing = (error: unknown): boolean => error instanceof HvkitError && PASSING.includes(error.code);

export async function attach(request: AttachRequest, signal?: AbortSignal): Promise<AttachedMachine> {
  const { to, baud, tokenFile } = request;
  const open = (abort: AbortSignal | undefined) => openTarget(parseTarget(to), { baud, tokenFile, signal: abort });
  const line = new LastingTransport(await open(signal), { open, isPassing });
  return new AttachedMachine(request, line);
}

export class AttachedMachine implements RunningEngine {
  readonly name = "attach";
  readonly accel = "remote";
  readonly pid = undefined;
  readonly external = true;
  readonly command: string[];
  readonly transport: Transport;
  readonly #closed: Promise<void>;

  constructor({ to, baud }: AttachRequest, line: Transport) {
    this.command = [to, ...(baud === undefined ? [] : [`${baud} baud`])];
    this.transport = line;
    this.#closed = new Promise((resolve) => {
      line.onClose(() => resolve());
    });
  }

  /** The other end's console is not here. */
  lastWords(): string {
    return "";
  }

  /** The line's end is told by the line. */
  onExit(): void {}

  /** The machine goes on. Resolves when another one can have the line. */
  async stop(): Promise<void> {
    this.transport.close();
    const patience = AbortSignal.timeout(CLOSE_MS);
    await Promise.race([this.#closed, once(patience, "abort")]);
  }

  /** Nothing answered: what may be wrong at the other end. */
  silent(cause: HvkitError): HvkitError {
    const where = this.command.join(", ");
    const { bytesIn, framesIn, lines } = cause.data ?? {};
    const said = Array.isArray(lines) ? lines.filter((line) => String(line).startsWith("hvkit: ")).slice(-LAST_LINES) : [];
    const [what, hint] =
      bytesIn === 0
        ? [
            "nothing came",
            "Is the hypervisor booted there, and the cable or the bridge connected to its COM1? One that cannot run says why once, at its start.",
          ]
        : said.length > 0
          ? [
              `it said, and then no more:\n${said.join("\n")}`,
              "Does the other direction of the line work? Boot it again, and attach before.",
            ]
          : framesIn !== 0
            ? [
                `${String(framesIn)} frames of hvkit came, and no answer to the first request`,
                "Does the other direction of the line work, and does nobody else read this one?",
              ]
            : [
                `${String(bytesIn)} bytes came, and no frame of hvkit`,
                "Is the baud rate the other end's, and is it hvkit's hypervisor that sends?",
              ];
    return new HvkitError("E_LINK_TIMEOUT", `no hypervisor answers at ${where}: ${what}`, { hint, data: cause.data ?? {}, cause });
  }
}
