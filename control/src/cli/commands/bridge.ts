// hvkit bridge: a raw serial line on a WebSocket, until ^C or the line's end.
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { Command, Option } from "@commander-js/extra-typings";
import type { Bridge, BridgeEvent } from "../../bridge/bridge.js";
import { HvkitError } from "../../errors.js";
import { ENDS_AND_HANGUP, interruption } from "../../interrupts.js";
import { baudOption, parseBaud } from "../attachrequest.js";
import { note, print, printJson, style } from "../output.js";

const DEFAULT_LISTEN = "127.0.0.1:4590";

interface Given {
  tty?: string | undefined;
  socket?: string | undefined;
  baud?: string | undefined;
  listen: string;
  tokenFile?: string | undefined;
  allowHost?: string[] | undefined;
  allowOrigin?: string[] | undefined;
}

export const bridge = () =>
  new Command("bridge")
    .description("put a serial line on a WebSocket, for `hvkit up --attach` elsewhere")
    .addOption(new Option("--tty <device>", "the serial line, for example /dev/ttyS0").conflicts("socket"))
    .option("--socket <path>", "a Unix socket that is the serial line, of a virtual machine")
    .addOption(baudOption("the tty"))
    .option("--listen <address:port>", "where clients connect; loopback, if no address is given", DEFAULT_LISTEN)
    .option("--token-file <file>", "file of the token, made if it is not there; by default a new token in the runtime folder")
    .addOption(new Option("--allow-host <host:port>", "a further name by which clients may connect").argParser(collect))
    .addOption(new Option("--allow-origin <origin>", "a web page's origin that may connect").argParser(collect))
    .option("--json", "print URL and token file as JSON")
    .addHelpText(
      "after",
      `
Examples:
  hvkit bridge --tty /dev/ttyUSB0
  hvkit bridge --socket /tmp/serial.sock --listen 4600
  ssh -L 4590:127.0.0.1:4590 lab       from elsewhere; then: hvkit up --attach ws://127.0.0.1:4590 --token-file FILE

One client at a time. The bridge's bytes are not encrypted: beyond this machine let ssh carry them. ^C ends it.`,
    )
    .action(async ({ json, ...options }) => {
      await serve(options, interruption(ENDS_AND_HANGUP), (url, tokenFile, name) => {
        if (json) printJson({ url, tokenFile, line: name });
        else print(url);
        note(`${name} is at ${url}; the token is in ${tokenFile} (^C ends)`);
      });
    });

async function serve(options: Given, signal: AbortSignal, ready: (url: string, tokenFile: string, name: string) => void): Promise<void> {
  const { makeToken, readToken } = await import("../../transport/token.js");
  const { parseListen } = await import("../../transport/address.js");
  const { isLoopback } = await import("../../transport/guard.js");
  const { Bridge } = await import("../../bridge/bridge.js");
  const listen = parseListen(options.listen, "--listen");
  const kept = options.tokenFile === undefined ? undefined : resolve(options.tokenFile);
  const given = kept !== undefined && existsSync(kept) ? readToken(kept) : undefined;
  const token = given ?? makeToken();
  const name = options.tty ?? options.socket ?? "";
  const line = await openLine(options);
  let opened: Bridge;
  try {
    opened = await Bridge.open({
      line,
      name,
      listen,
      token,
      hosts: options.allowHost ?? [],
      origins: options.allowOrigin ?? [],
      onEvent: tell,
    });
  } catch (error) {
    line.close();
    throw error;
  }
  let tokenFile = kept;
  try {
    tokenFile = await keepToken(token, given, kept, opened.port);
    if (!isLoopback(listen.host)) note(style("warning: the token and all bytes go over the network as they are", "yellow", process.stderr));
    ready(opened.url, tokenFile, name);
    signal.addEventListener("abort", () => void opened.close());
    if (signal.aborted) void opened.close();
    await opened.ended;
  } finally {
    await opened.close();
    if (given === undefined && tokenFile !== undefined) (await import("../../bridge/tokenfile.js")).dropToken(tokenFile);
  }
}

async function openLine({ tty, socket, baud }: Given) {
  if (tty === undefined && socket === undefined) {
    throw new HvkitError("E_USAGE", "no serial line is named", { hint: "For example `hvkit bridge --tty /dev/ttyS0`, or --socket PATH." });
  }
  if (tty !== undefined) {
    const { openTty } = await import("../../transport/tty.js");
    return openTty({ path: resolve(tty), ...(baud === undefined ? {} : { baud: parseBaud(baud) }) });
  }
  if (baud !== undefined) throw new HvkitError("E_USAGE", "--baud is of a tty; a socket has no rate", { hint: "Leave it out." });
  const { connectSocket } = await import("../../transport/socket.js");
  return connectSocket({ path: resolve(socket ?? "") });
}

/** The path of the file that has the token. */
async function keepToken(token: string, given: string | undefined, path: string | undefined, port: number): Promise<string> {
  const { makeTokenPath } = await import("../../bridge/tokenfile.js");
  const { writeToken } = await import("../../transport/token.js");
  const file = path ?? makeTokenPath(port);
  if (path === undefined) {
    const { claimToken, dropStaleTokens } = await import("../../bridge/staletokens.js");
    claimToken(file);
    dropStaleTokens(file);
  }
  if (given === undefined) writeToken(file, token);
  return file;
}

function tell(event: BridgeEvent): void {
  if (event.type === "connected") {
    const lost = event.dropped > 0 ? `; ${event.dropped} bytes came while nobody was there, and were dropped` : "";
    note(`connected: ${event.peer}${lost}`);
  } else if (event.type === "left") note(`left: ${event.peer}`);
  else note(`refused: ${event.peer}: ${event.why}`);
}

function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}
