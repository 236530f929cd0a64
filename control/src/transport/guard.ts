// Who may open a WebSocket on a TCP port: a token, and an exact Host and Origin, checked before the upgrade. A port on loopback is open to
// every account of the machine, and to every web page in its browsers. Used by the bridge and by the daemon's TCP listener; the client's
// side of a refusal is here, too.
import { createHash, timingSafeEqual } from "node:crypto";
import { type IncomingMessage, STATUS_CODES } from "node:http";
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import type { Duplex } from "node:stream";
import { HvkitError } from "../errors.js";

/** of a refusal, as the client reads it */
const MAX_BODY = 4096;
const WILDCARDS = ["0.0.0.0", "::"];

export interface GuardOptions {
  token: string;
  /** the address and the port that are listened on */
  address: string;
  port: number;
  /** further values of Host that are right, as they stand in the header: where a tunnel or a name leads here */
  hosts?: readonly string[];
  /** Origins that may connect; by default no web page */
  origins?: readonly string[];
  /** the options that give these two, when whoever listens has such */
  options?: { host: string; origin: string };
}

export interface Refusal {
  status: 400 | 401 | 403 | 404 | 421 | 503;
  code: string;
  message: string;
  hint: string;
}

export class Guard {
  readonly #digest: Buffer;
  readonly #hosts: ReadonlySet<string>;
  readonly #origins: ReadonlySet<string>;
  readonly #options: GuardOptions["options"];

  constructor({ token, address, port, hosts = [], origins = [], options }: GuardOptions) {
    this.#digest = digestOf(token);
    this.#hosts = new Set([...namesOf(address).map((name) => `${name}:${port}`), ...hosts].map((host) => host.toLowerCase()));
    this.#origins = new Set(origins);
    this.#options = options;
  }

  /** Undefined: it may come in. */
  refusal({ headers, rawHeaders }: Pick<IncomingMessage, "headers" | "rawHeaders">): Refusal | undefined {
    const { host = "", origin, authorization } = headers;
    // Node takes the first, and whoever stands between may have looked at another one (RFC 9112, 3.2).
    if (rawHeaders.filter((text, place) => place % 2 === 0 && text.toLowerCase() === "host").length > 1) {
      return { status: 400, code: "E_HOST", message: "the request has more than one Host", hint: "Send one." };
    }
    if (!this.#hosts.has(host.toLowerCase())) {
      const message = `the Host of the request is ${shown(host)}; here it is ${[...this.#hosts].join(" or ")}`;
      const allow = this.#options ? `, or allow the other one with ${this.#options.host}` : "";
      return { status: 421, code: "E_HOST", message, hint: `Connect by one of these names${allow}.` };
    }
    if (origin !== undefined && !this.#origins.has(origin)) {
      const message = `web pages of ${shown(origin)} may not connect`;
      const hint = this.#options
        ? `Allow them with ${this.#options.origin}, if you know what they do.`
        : "A program may, which sends no Origin.";
      return { status: 403, code: "E_ORIGIN", message, hint };
    }
    if (authorization === undefined) return { status: 401, code: "E_TOKEN", message: "a token is needed", hint: TOKEN_HINT };
    if (!this.#isToken(authorization)) return { status: 401, code: "E_TOKEN", message: "the token is a wrong one", hint: TOKEN_HINT };
    return undefined;
  }

  /** In a time that tells nothing of how much of it was right: digests have one length, and are compared whole. */
  #isToken(authorization: string): boolean {
    const given = /^Bearer (\S+)$/i.exec(authorization)?.[1] ?? "";
    return timingSafeEqual(digestOf(given), this.#digest);
  }
}

const TOKEN_HINT = "It stands in the file that the other side named when it started: --token-file FILE.";

/** The answer in place of an upgrade, as JSON for programs, and the end of the connection. */
export function refuse(socket: Duplex, { status, ...error }: Refusal): void {
  socket.on("error", () => {}); // who does not wait for the answer
  const body = `${JSON.stringify({ error })}\n`;
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    "Connection: close",
    "Content-Type: application/json",
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...(status === 401 ? ["WWW-Authenticate: Bearer"] : []),
  ];
  // Whoever keeps its half open does not keep the connection.
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`, () => socket.destroy());
}

/** What the other side answered in place of an upgrade, as the error that it is. */
export async function refusedBy(where: string, response: IncomingMessage): Promise<HvkitError> {
  const body = await bodyOf(response).catch(() => "");
  const status = `${response.statusCode} ${response.statusMessage ?? ""}`.trim();
  try {
    const { error } = JSON.parse(body) as { error: Record<"code" | "message" | "hint", unknown> };
    const [code, message, hint] = [error.code, error.message, error.hint].map(String) as [string, string, string];
    if (/^E_[A-Z_]+$/.test(code)) return new HvkitError(code, `${where} refuses: ${printable(message)}`, { hint: printable(hint) });
  } catch {
    // Not one of ours.
  }
  return new HvkitError("E_CONNECT", `${where} is no WebSocket of hvkit: it answers ${status}`, { hint: "Check host, port and path." });
}

async function bodyOf(response: IncomingMessage): Promise<string> {
  let body = "";
  response.setEncoding("utf8");
  for await (const piece of response) {
    body += piece as string;
    if (body.length > MAX_BODY) break;
  }
  return body.slice(0, MAX_BODY);
}

/** An address as it stands in a Host header, and the other names of it. */
function namesOf(address: string): string[] {
  if (WILDCARDS.includes(address)) {
    const own = Object.values(networkInterfaces()).flatMap((list) => list?.map((each) => each.address) ?? []);
    return [...new Set(["127.0.0.1", "::1", ...own])].map(bracketed).concat("localhost");
  }
  return isLoopback(address) ? [bracketed(address), "localhost"] : [bracketed(address)];
}

export function isLoopback(address: string): boolean {
  return address === "localhost" || address === "::1" || (isIP(address) === 4 && address.startsWith("127."));
}

/** An IPv6 address stands in brackets wherever a port follows. */
export const bracketed = (address: string): string => (isIP(address) === 6 ? `[${address}]` : address);

const digestOf = (token: string): Buffer => createHash("sha256").update(token).digest();

const shown = (value: string): string => (value === "" ? "not given" : `'${printable(value).slice(0, 100)}'`);

/** What came from the other side goes to a terminal. */
const printable = (text: string): string => text.replace(/[^\x20-\x7e]/g, "?");
